import pg from "pg";
import { fillAndDrain } from "../measure/drain.mjs";

/** A long transaction keeps every dead row alive. */
export const pinnedSnapshot = {
  name: "pinned-snapshot",
  title: "Drain while a long transaction pins its snapshot",
  unit: "jobs/s",
  what: "The tuned drain of 300,000 jobs, while another session holds a snapshot from before, as a backup or a report does. By fifths of the jobs.",
  fair: "Nothing that is deleted can be cleaned up during the drain, by no side. The last fifth against the first shows what the dead rows cost.",
  columns: { firstFifth: "first fifth", lastFifth: "last fifth", lastToFirst: "last ÷ first" },
  sides: [
    { peer: "howdah", settings: "tuned" },
    { peer: "graphile-worker-0.17", settings: "tuned" },
    { peer: "graphile-worker-rs", settings: "tuned" },
  ],
  targets: [{ of: "howdah", measure: "lastToFirst", least: 0.8 }],
  async run(run, side) {
    const total = run.quick ? 5_000 : 300_000;
    const marks = [1, 2, 3, 4, 5].map((fifth) => (fifth * total) / 5);
    let reader;
    const prepare = async ({ connectionString }) => {
      reader = new pg.Client({ connectionString });
      // The database is dropped under it, which ends its session.
      reader.on("error", () => {});
      await reader.connect();
      await reader.query("begin isolation level repeatable read");
      await reader.query("select count(*) from pg_class");
    };
    const cell = await fillAndDrain(run, side, { total, marks, prepare });
    return { ...cell, ...byFifths(cell.marks, total / 5) };
  },
};

/** Jobs per second in each fifth that was reached. */
function byFifths(marks, fifth) {
  const rates = marks.map(({ at }, index) => (fifth / (at - (marks[index - 1]?.at ?? 0))) * 1000);
  const [firstFifth, lastFifth] = [rates[0], rates[4]];
  return { firstFifth, lastFifth, lastToFirst: lastFifth && lastFifth / firstFifth };
}
