import { fillAndDrain } from "../measure/drain.mjs";
import { mostAtOnce } from "../measure/spans.mjs";
import { setRules } from "../peers/rules.mjs";

/** How many keys share 20,000 jobs, and how many of each may run at once. */
const KEYS = {
  "1,000 keys, serial": { keys: 1_000, limit: 1 },
  "1,000 keys, 5 each": { keys: 1_000, limit: 5, rules: { concurrency: 5 } },
  "1,000 keys, no limit": { keys: 1_000, limit: Number.POSITIVE_INFINITY, rules: { concurrency: "unlimited" } },
  "1,000 keys, 5 each and 50 in all": { keys: 1_000, limit: 5, rules: { concurrency: 5, pool: "all" }, pool: 50 },
  "20 keys, 50 each": { keys: 20, limit: 50, rules: { concurrency: 50 } },
  "1 key, 1,000": { keys: 1, limit: 1_000, rules: { concurrency: 1_000 } },
};

/** Limits for each key, over all processes. */
export const limits = {
  name: "limits",
  title: "Limits for each key",
  unit: "jobs/s",
  what: "20,000 jobs of 2 ms spread over keys, each of which may run at most some at once over two worker processes with 100 slots each. The handlers note when they ran, in both processes by the same clock: the most of one key at once says how often a side goes over its limit.",
  fair: "The same jobs for everyone. A side that runs more of a key at once than its limit says is not comparable, whatever its speed. pg-boss documents its groups as approximate.",
  columns: {
    mostAtOnce: "most of a key at once",
    over: "above the limit",
    cpuUs: "worker CPU, µs/job",
    serverUs: "server CPU, µs/job",
  },
  sides: [
    ...Object.keys(KEYS).map((variant) => ({ peer: "howdah", settings: "many", variant })),
    { peer: "pg-boss", settings: "groups of 5", variant: "1,000 keys, 5 each" },
    { peer: "pg-boss", settings: "groups of 50", variant: "20 keys, 50 each" },
    { peer: "dbos", settings: "keys of 5", variant: "1,000 keys, 5 each" },
    { peer: "dbos", settings: "keys of 50", variant: "20 keys, 50 each" },
  ],
  targets: [
    { of: "howdah, 1,000 keys, 5 each", against: "howdah, 1,000 keys, serial", least: 0.62 },
    { of: "howdah, 1,000 keys, 5 each", against: "pg-boss, 1,000 keys, 5 each", least: 1 },
    { of: "howdah, 20 keys, 50 each", against: "pg-boss, 20 keys, 50 each", least: 1 },
    ...Object.keys(KEYS).map((variant) => ({ of: `howdah, ${variant}`, measure: "over", most: 0 })),
  ],
  async run(run, side) {
    const { keys, limit, rules, pool } = KEYS[side.variant];
    const pattern = keys === 1 ? "queue-0" : "queue-*";
    const { spans, ...cell } = await fillAndDrain(run, side, {
      total: run.quick ? 500 : 20_000,
      load: { queues: keys },
      handler: "spanned",
      processes: 2,
      ...(side.peer === "howdah" &&
        rules && { prepare: (database) => setRules(run, database, { pattern, rules, pool }) }),
    });
    const most = mostAtOnce(spans);
    const inAll = pool ? mostAtOnce(spans.map((span) => ({ ...span, q: "all" }))) : 0;
    return { ...cell, mostAtOnce: most, over: Math.max(0, most - limit, pool ? inAll - pool : 0) };
  },
};
