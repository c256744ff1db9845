export { open } from "./program.mjs";

const SWEEP =
  "the fastest of those tried on this machine: 24, 100 and 500 slots, local queues of 2,000 and 5,000, one and two of them, batches of 1 and 5 ms";

/** What the scenarios run graphile_worker_rs with; what is left out is its default. */
export const SETTINGS = {
  default: {
    options: { concurrency: 24 },
    source: "the defaults, with as many slots as the others: it polls every second",
  },
  tuned: {
    options: {
      concurrency: 100,
      pollIntervalMs: 5,
      batchDelayMs: 1,
      poolSize: 10,
      localQueue: { size: 5_000, queueCount: 2 },
    },
    source: `its own benches/perf_test.rs has 500 slots, one local queue of 5,000, batches of 5 ms; this is ${SWEEP}`,
  },
  queued: {
    options: { concurrency: 24, pollIntervalMs: 5, batchDelayMs: 1, poolSize: 25 },
    source: "without a local queue, with the polling interval of its own benches/perf_test.rs",
  },
  mixed: {
    options: {
      concurrency: 200,
      pollIntervalMs: 5,
      batchDelayMs: 5,
      poolSize: 25,
      localQueue: { size: 500, queueCount: 2 },
    },
    source: "200 slots for handlers that wait; batches as in its own benches/perf_test.rs, local queues as Howdah's",
  },
};
