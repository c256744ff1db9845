import { callInChild } from "../measure/child.mjs";
import { drainFilled } from "../measure/drain.mjs";
import { addBacklog } from "../peers/loads.mjs";

const INSTALL = new URL("../peers/install.mjs", import.meta.url);

const SMALL = ["--max-semi-space-size=8"];

/** Whether a worker's memory depends on how many jobs it runs, or on how many wait. */
export const memory = {
  name: "memory",
  title: "Memory over a million jobs",
  unit: "MB at most",
  isLessBetter: true,
  repeats: 1,
  what: "The tuned drain of a backlog of 1,000,000 jobs; the resident memory of the worker's process at each tenth of what it ran, and the most it had.",
  fair: "The figure includes Node itself and the counting handler. Nothing is collected by hand. Most of it is what V8 takes for objects that live for a moment; the flag keeps that small, for all sides on Node alike.",
  columns: { afterFirst: "after the first tenth, MB", afterLast: "at the end, MB", lastToFirst: "end ÷ first tenth" },
  sides: [
    { peer: "howdah", settings: "tuned" },
    { peer: "graphile-worker-0.17", settings: "tuned" },
    { peer: "graphile-worker-rs", settings: "tuned" },
    { peer: "howdah", settings: "tuned", variant: SMALL.join(" "), nodeFlags: SMALL },
    { peer: "graphile-worker-0.17", settings: "tuned", variant: SMALL.join(" "), nodeFlags: SMALL },
  ],
  targets: [
    { of: "howdah", most: 150 },
    { of: `howdah, ${SMALL.join(" ")}`, most: 150 },
    { of: "howdah", measure: "lastToFirst", most: 1.3 },
  ],
  async run(run, side) {
    const total = run.quick ? 5_000 : 1_000_000;
    const marks = Array.from({ length: 10 }, (_, tenth) => ((tenth + 1) * total) / 10);
    const schema = side.peer === "howdah" ? "howdah" : "graphile_worker";
    const database = await run.postgres.createDatabase();
    try {
      const input = { peer: side.peer, connectionString: database.connectionString };
      await callInChild({ node: run.node, module: INSTALL, call: "install", input });
      await addBacklog(database, schema, total - 1);
      const cell = await drainFilled(run, side, { database, total, marks });
      const [first, last] = [cell.marks.at(0)?.rssMb, cell.marks.at(-1)?.rssMb];
      return { ...cell, value: cell.maxRssMb, afterFirst: first, afterLast: last, lastToFirst: last && last / first };
    } finally {
      await database.drop();
    }
  },
};
