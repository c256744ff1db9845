import { fillAndDrain } from "../measure/drain.mjs";

/** All jobs are in one queue, so they run one after another. */
export const serialQueue = {
  name: "serial-queue",
  title: "One serial queue",
  unit: "jobs/s",
  what: "20,000 jobs of one queue, one worker process with 24 slots. The handler gives way to the event loop once and notes how many jobs of the queue run at the same time.",
  fair: "The same jobs for everyone; a side that runs more than one job at once has not kept the queue serial and is not comparable, whatever its speed.",
  columns: { mostAtOnce: "most at once" },
  sides: [
    { peer: "howdah", settings: "default", variant: "direct" },
    { peer: "howdah", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.17", settings: "default", variant: "direct" },
    { peer: "graphile-worker-0.17", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.18", settings: "default", variant: "direct" },
    { peer: "graphile-worker-0.18", settings: "tuned", variant: "local queue" },
  ],
  targets: [
    { of: "howdah, local queue", least: 10_000 },
    { of: "howdah, direct", least: 1_000 },
    { of: "howdah, direct", measure: "mostAtOnce", most: 1 },
    { of: "howdah, local queue", measure: "mostAtOnce", most: 1 },
  ],
  run: (run, side) => fillAndDrain(run, side, { total: run.quick ? 200 : 20_000, queues: 1, watchQueues: true }),
};
