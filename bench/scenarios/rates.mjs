import { fillAndDrain } from "../measure/drain.mjs";
import { mostOverRate } from "../measure/spans.mjs";
import { setRules } from "../peers/rules.mjs";

const RATE = { perSecond: 1_000, burst: 50 };
const AT_1000 = { concurrency: "unlimited", rate: { limit: 1_000, per: "1s", burst: 50 } };

/** What each key may start, and over how many processes. */
const KEYS = {
  "10,000 keys, no rate": { total: 30_000, keys: 10_000, rules: { concurrency: "unlimited" } },
  "10,000 keys, 100 a second each": {
    total: 30_000,
    keys: 10_000,
    rules: { concurrency: "unlimited", rate: { limit: 100, per: "1s", burst: 10 } },
    rate: { perSecond: 100, burst: 10 },
  },
  "1 key, 1,000 a second, 1 process": { total: 5_000, keys: 1, rules: AT_1000, rate: RATE },
  "1 key, 1,000 a second, 8 processes": { total: 5_000, keys: 1, rules: AT_1000, rate: RATE, processes: 8 },
};

/** Rates for each key. */
export const rates = {
  name: "rates",
  title: "Rates for each key",
  unit: "jobs/s",
  what: "Jobs of 2 ms whose keys may start a number of them in a second, with 100 slots for each worker process; 10,000 keys whose rate is never reached, and one key with 5,000 jobs at 1,000 a second, which one process or eight share.",
  fair: "A start that is delayed on its way from the claim to the handler lets later ones come closer: what is above the rate is counted at the handler, where it can be some tokens although no claim took one too many. BullMQ limits a queue as a whole.",
  columns: { over: "starts above the bucket", serverUs: "server CPU, µs/job" },
  sides: [
    ...Object.keys(KEYS).map((variant) => ({ peer: "howdah", settings: "many", variant })),
    { peer: "bullmq", settings: "1,000 a second", variant: "1 key, 1,000 a second, 1 process" },
    { peer: "bullmq", settings: "1,000 a second", variant: "1 key, 1,000 a second, 8 processes" },
    { peer: "dbos", settings: "1,000 a second", variant: "1 key, 1,000 a second, 1 process" },
    { peer: "dbos", settings: "1,000 a second", variant: "1 key, 1,000 a second, 8 processes" },
  ],
  targets: [
    { of: "howdah, 10,000 keys, 100 a second each", against: "howdah, 10,000 keys, no rate", least: 0.7 },
    { of: "howdah, 1 key, 1,000 a second, 1 process", least: 950 },
    { of: "howdah, 1 key, 1,000 a second, 8 processes", least: 950 },
  ],
  async run(run, side) {
    const { total, keys, rules, rate, processes = 1 } = KEYS[side.variant];
    const { spans, ...cell } = await fillAndDrain(run, side, {
      total: run.quick ? total / 50 : total,
      load: { queues: keys },
      handler: "spanned",
      processes: run.quick ? Math.min(processes, 2) : processes,
      ...(side.peer === "howdah" && { prepare: (database) => setRules(run, database, { rules }) }),
    });
    return { ...cell, over: rate && spans.length > 0 ? mostOverRate(spans, rate) : undefined };
  },
};
