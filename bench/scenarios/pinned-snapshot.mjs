import pg from "pg";
import { fillAndDrain } from "../measure/drain.mjs";
import { setRules } from "../peers/rules.mjs";

/** A long transaction keeps every dead row alive. */
export const pinnedSnapshot = {
  name: "pinned-snapshot",
  title: "Drain while a long transaction pins its snapshot",
  unit: "jobs/s",
  what: "The tuned drain of 300,000 jobs, while another session holds a snapshot from before, as a backup or a report does. By fifths of the jobs. With limits: 100,000 jobs of 200 keys, of which 5 may run at once of each.",
  fair: "Nothing that is deleted can be cleaned up during the drain, by no side. The last fifth against the first shows what the dead rows cost.",
  columns: { firstFifth: "first fifth", lastFifth: "last fifth", lastToFirst: "last ÷ first" },
  sides: [
    { peer: "howdah", settings: "tuned" },
    { peer: "howdah", settings: "tuned", variant: "200 keys, 5 each", keys: 200 },
    { peer: "graphile-worker-0.17", settings: "tuned" },
    { peer: "graphile-worker-rs", settings: "tuned" },
  ],
  targets: [
    { of: "howdah", measure: "lastToFirst", least: 0.8 },
    { of: "howdah, 200 keys, 5 each", measure: "lastToFirst", least: 0.5 },
  ],
  async run(run, side) {
    const all = side.keys ? 100_000 : 300_000;
    const total = run.quick ? 5_000 : all;
    const marks = [1, 2, 3, 4, 5].map((fifth) => (fifth * total) / 5);
    let reader;
    const prepare = async (database) => {
      const { connectionString } = database;
      if (side.keys) await setRules(run, database, { rules: { concurrency: 5 } });
      reader = new pg.Client({ connectionString });
      // The database is dropped under it, which ends its session.
      reader.on("error", () => {});
      await reader.connect();
      await reader.query("begin isolation level repeatable read");
      await reader.query("select count(*) from pg_class");
    };
    const load = side.keys && { queues: side.keys };
    const cell = await fillAndDrain(run, side, { total, load, marks, prepare });
    return { ...cell, ...byFifths(cell.marks, total / 5) };
  },
};

/** Jobs per second in each fifth that was reached. */
function byFifths(marks, fifth) {
  const rates = marks.map(({ at }, index) => (fifth / (at - (marks[index - 1]?.at ?? 0))) * 1000);
  const [firstFifth, lastFifth] = [rates[0], rates[4]];
  return { firstFifth, lastFifth, lastToFirst: lastFifth && lastFifth / firstFifth };
}
