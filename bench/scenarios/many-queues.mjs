import { fillAndDrain } from "../measure/drain.mjs";

/** Many short serial queues. */
export const manyQueues = {
  name: "many-queues",
  title: "10,000 queues with 10 jobs each",
  unit: "jobs/s",
  what: "100,000 jobs spread evenly over 10,000 serial queues, one worker process with 24 slots. The handler gives way to the event loop once and notes how many jobs of one queue run at the same time.",
  fair: "The same jobs for everyone. With its local queue graphile-worker 0.17 does not keep queues serial, as the last column shows: it is there as a speed to reach, not as an alternative.",
  columns: {
    mostAtOnce: "most at once in a queue",
    cpuUs: "worker CPU, µs/job",
    serverUs: "server CPU, µs/job",
  },
  sides: [
    { peer: "howdah", settings: "default", variant: "direct" },
    { peer: "howdah", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.17", settings: "default", variant: "direct" },
    { peer: "graphile-worker-0.17", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-0.18", settings: "tuned", variant: "local queue" },
    { peer: "graphile-worker-rs", settings: "queued", variant: "direct" },
    { peer: "graphile-worker-rs", settings: "tuned", variant: "local queue" },
  ],
  targets: [
    { of: "howdah, direct", against: "graphile-worker 0.17, direct", least: 50 },
    { of: "howdah, local queue", against: "graphile-worker 0.17, local queue", least: 1 },
    { of: "howdah, direct", measure: "mostAtOnce", most: 1 },
    { of: "howdah, local queue", measure: "mostAtOnce", most: 1 },
  ],
  run(run, side) {
    const queues = run.quick ? 50 : 10_000;
    return fillAndDrain(run, side, { total: 10 * queues, load: { queues }, handler: "watched" });
  },
};
