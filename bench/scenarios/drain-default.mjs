import { fillAndDrain } from "../measure/drain.mjs";

/** The same drain as a newcomer would set it up. */
export const drainDefault = {
  name: "drain-default",
  title: "Drain a backlog with default settings",
  unit: "jobs/s",
  what: "50,000 jobs whose handler only counts, one worker process with 24 slots and otherwise default options: no local queue, no batching.",
  fair: "24 slots is what graphile-worker's own performance test runs with; no side is tuned beyond that number and a pool large enough for it. graphile_worker_rs and pg-boss run one round of 24 jobs for each time they poll, River one in 100 ms: what they can do shows the tuned drain.",
  columns: { cpuUs: "worker CPU, µs/job", serverUs: "server CPU, µs/job" },
  sides: [
    { peer: "howdah", settings: "default" },
    { peer: "graphile-worker-0.17", settings: "default" },
    { peer: "graphile-worker-0.18", settings: "default" },
    { peer: "graphile-worker-rs", settings: "default" },
    { peer: "river", settings: "default" },
    { peer: "pg-boss", settings: "default" },
    { peer: "bullmq", settings: "default" },
  ],
  targets: [{ of: "howdah", against: ["graphile-worker 0.17", "graphile-worker 0.18"], least: 8 }],
  run: (run, side) => fillAndDrain(run, side, { total: run.quick ? 1_000 : 50_000 }),
};
