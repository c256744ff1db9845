import { fillAndDrain } from "../measure/drain.mjs";

/** One process runs a backlog of trivial jobs as fast as it can. */
export const drainTuned = {
  name: "drain-tuned",
  title: "Drain a backlog with tuned settings",
  unit: "jobs/s",
  what: "200,000 jobs whose handler only counts, one worker process; from the first call of a handler until no job is left in the table.",
  fair: "Each side has the settings that its own documentation uses for throughput, and releases every job durably. The bare loop sends the same two SQL statements as Howdah, in batches as large as one of its local queues, and does nothing else. Large batches are more than the documentation of anyone recommends; they are there because batch size is most of the difference between such figures.",
  columns: { cpuUs: "Node CPU, µs/job" },
  sides: [
    { peer: "howdah", settings: "tuned" },
    { peer: "bare-loop", settings: "tuned" },
    { peer: "graphile-worker-0.17", settings: "tuned" },
    { peer: "graphile-worker-0.18", settings: "tuned" },
    { peer: "pg-boss", settings: "tuned" },
    { peer: "bullmq", settings: "tuned" },
    { peer: "howdah", settings: "large", variant: "large batches" },
    { peer: "bare-loop", settings: "large", variant: "large batches" },
    { peer: "graphile-worker-0.17", settings: "large", variant: "large batches" },
  ],
  targets: [
    { of: "howdah", against: "graphile-worker 0.17", least: 3 },
    { of: "howdah", against: "bare loop", least: 0.6 },
    { of: "howdah", measure: "cpuUs", most: 8 },
  ],
  run: (run, side) => fillAndDrain(run, side, { total: run.quick ? 2_000 : 200_000 }),
};
