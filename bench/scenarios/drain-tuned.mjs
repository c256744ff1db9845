import { fillAndDrain } from "../measure/drain.mjs";

const GRAPHILE_WORKERS = ["0.17", "0.18"].flatMap((version) => [
  `graphile-worker ${version}`,
  `graphile-worker ${version}, large batches`,
]);

/** One process runs a backlog of trivial jobs as fast as it can. */
export const drainTuned = {
  name: "drain-tuned",
  title: "Drain a backlog with tuned settings",
  unit: "jobs/s",
  what: "200,000 jobs whose handler only counts, one worker process; from the first call of a handler until no job is left in the table.",
  fair: "Each side has the settings that its own documentation uses for throughput, or, where other settings were found to be faster, those; and it releases every job durably. River keeps finished jobs in its table; they count as done. The bare loop sends the same two SQL statements as Howdah, in batches as large as one of its local queues, and does nothing else. Large batches are more than the documentation of anyone recommends; they are there because batch size is most of the difference between such figures.",
  columns: {
    cpuUs: "worker CPU, µs/job",
    serverUs: "server CPU, µs/job",
    bothUs: "both, µs/job",
    maxRssMb: "memory of the worker, MB at most",
  },
  sides: [
    { peer: "howdah", settings: "tuned" },
    { peer: "bare-loop", settings: "tuned" },
    { peer: "graphile-worker-0.17", settings: "tuned" },
    { peer: "graphile-worker-0.18", settings: "tuned" },
    { peer: "graphile-worker-rs", settings: "tuned" },
    { peer: "river", settings: "tuned" },
    { peer: "pg-boss", settings: "tuned" },
    { peer: "bullmq", settings: "tuned" },
    { peer: "howdah", settings: "large", variant: "large batches" },
    { peer: "bare-loop", settings: "large", variant: "large batches" },
    { peer: "graphile-worker-0.17", settings: "large", variant: "large batches" },
    { peer: "graphile-worker-0.18", settings: "large", variant: "large batches" },
  ],
  targets: [
    { of: "howdah, large batches", against: "graphile_worker_rs", least: 2 },
    { of: "howdah, large batches", against: "graphile_worker_rs", measure: "bothUs", most: 0.5 },
    { of: "howdah, large batches", against: GRAPHILE_WORKERS, least: 2.7 },
    { of: "howdah, large batches", against: "bare loop, large batches", least: 0.9 },
    { of: "howdah", against: "bare loop", least: 0.9 },
    { of: "howdah", measure: "cpuUs", most: 8 },
    { of: "howdah", measure: "maxRssMb", most: 150 },
    { of: "howdah, large batches", measure: "maxRssMb", most: 150 },
  ],
  run: (run, side) => fillAndDrain(run, side, { total: run.quick ? 2_000 : 200_000 * (run.scale ?? 1) }),
};
