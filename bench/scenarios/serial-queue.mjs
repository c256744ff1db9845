import { fillAndDrain } from "../measure/drain.mjs";

/** All jobs are in one queue, so they run one after another. */
export const serialQueue = {
  name: "serial-queue",
  title: "One serial queue",
  unit: "jobs/s",
  what: "20,000 jobs of one queue, one worker process with 24 slots. The handler gives way to the event loop once and notes how many jobs of the queue run at the same time.",
  fair: "The same jobs for everyone; a side that runs more than one job at once has not kept the queue serial and is not comparable, whatever its speed. The bare queue is one statement a job, which deletes the one that is done and locks the next, each committed: what one durable statement after another can give.",
  columns: { mostAtOnce: "most at once", cpuUs: "worker CPU, µs/job", serverUs: "server CPU, µs/job" },
  sides: [
    { peer: "howdah", settings: "default", variant: "direct" },
    { peer: "howdah", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.17", settings: "default", variant: "direct" },
    { peer: "graphile-worker-0.17", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.18", settings: "default", variant: "direct" },
    { peer: "graphile-worker-0.18", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-rs", settings: "queued", variant: "direct" },
    { peer: "graphile-worker-rs", settings: "tuned", variant: "local queue" },
    { peer: "bare-queue", settings: "default" },
  ],
  targets: [
    { of: "howdah, local queue", least: 10_000 },
    { of: "howdah, direct", least: 1_000 },
    { of: "howdah, direct", against: "bare queue", least: 0.7 },
    { of: "howdah, direct", measure: "mostAtOnce", most: 1 },
    { of: "howdah, local queue", measure: "mostAtOnce", most: 1 },
  ],
  run: (run, side) =>
    fillAndDrain(run, side, { total: run.quick ? 200 : 20_000, load: { queues: 1 }, handler: "watched" }),
};
