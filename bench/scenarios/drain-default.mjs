import { fillAndDrain } from "../measure/drain.mjs";

/** The same drain as a newcomer would set it up. */
export const drainDefault = {
  name: "drain-default",
  title: "Drain a backlog with default settings",
  unit: "jobs/s",
  what: "50,000 jobs whose handler only counts, one worker process with 24 slots and otherwise default options: no local queue, no batching.",
  fair: "24 slots is what graphile-worker's own performance test runs with; no side is tuned beyond that number and a pool large enough for it.",
  columns: { cpuUs: "Node CPU, µs/job" },
  sides: [
    { peer: "howdah", settings: "default" },
    { peer: "graphile-worker-0.17", settings: "default" },
    { peer: "graphile-worker-0.18", settings: "default" },
    { peer: "pg-boss", settings: "default" },
    { peer: "bullmq", settings: "default" },
  ],
  targets: [{ of: "howdah", against: "graphile-worker 0.17", least: 8 }],
  run: (run, side) => fillAndDrain(run, side, { total: run.quick ? 1_000 : 50_000 }),
};
