import { fillAndDrain } from "../measure/drain.mjs";

const sidesFor = (peer, variants) =>
  Object.entries(variants).map(([settings, variant]) => ({ peer, settings, variant }));

/** What PostgreSQL could give if a claim asked less. */
export const rawLimit = {
  name: "raw-limit",
  title: "The limit of the SQL, and of plainer SQL",
  unit: "jobs/s",
  what: "200,000 jobs (50,000 in batches of 24), claimed and deleted over two plain connections, with nothing around them: by Howdah's two functions (the bare loop), and by plain statements that promise less and less. `Least` locks and returns what a worker needs, `lock and delete` asks for neither task nor flag, `only delete` takes a job out before it runs, so that a job of a worker that dies is lost.",
  fair: "All work on Howdah's table, with its indexes, and hold what they have seen of it, as Howdah's worker does. None of the plain statements sees a better priority, a serial queue or a paused task; their distance to the bare loop is what such promises cost, and none of them is a usable queue.",
  columns: { serverUs: "server CPU, µs/job", cpuUs: "client CPU, µs/job" },
  sides: [
    ...sidesFor("bare-loop", { large: "2,000 a claim", "batch-24": "24 a claim" }),
    ...sidesFor("bare-sql", {
      least: "least, 2,000 a claim",
      "least-24": "least, 24 a claim",
      plain: "lock and delete, 2,000 a claim",
      delete: "only delete, 2,000 a claim",
    }),
  ],
  targets: [
    { of: "bare loop, 2,000 a claim", against: "plain statements, least, 2,000 a claim", least: 0.9 },
    { of: "bare loop, 24 a claim", against: "plain statements, least, 24 a claim", least: 0.7 },
  ],
  run: (run, side) =>
    fillAndDrain(run, side, { total: run.quick ? 2_000 : side.settings.endsWith("24") ? 50_000 : 200_000 }),
};
