import type { Client } from "../../client/client.ts";
import type { JobStats } from "../../client/counts.ts";
import type { QueueInfo } from "../../client/inspect.ts";
import type { JobGroup } from "../../client/read-group-stats.ts";
import type { WorkerInfo } from "../../client/workers.ts";
import type { Schedule } from "../../cron/stored-schedule.ts";
import type { Job } from "../../job/job.ts";
import type { Clock } from "../../runtime/clock.ts";

/** What one look at the queue has found. */
export interface Facts {
  /** When it was read, by this machine's clock. */
  readonly at: number;
  readonly stats: JobStats;
  /** The due time of the job that has waited for longest; `null` when none waits. */
  readonly oldestDue: Date | null;
  /** The largest id that was given out; from two of them one knows how many jobs were added. */
  readonly newestId: string | null;
  readonly tasks: readonly JobGroup[];
  readonly pausedTasks: readonly string[];
  readonly queues: readonly QueueInfo[];
  readonly workers: readonly WorkerInfo[];
  /** Those that only listen, and are in no list. */
  readonly idleWorkers: number;
  /** Without their payloads, as everything here. */
  readonly running: readonly ShownJob[];
  readonly failed: readonly ShownJob[];
  readonly schedules: readonly Schedule[];
}

/** A job without its payload. */
export type ShownJob = Omit<Job, "payload">;

/** Reads all that is shown. Each list ends at what fits on a large screen. */
export async function readFacts(client: Client, clock: Pick<Clock, "now">): Promise<Facts> {
  const limit = MOST_ROWS;
  // Nothing here shows them.
  const withPayloads = false;
  const stats = await client.stats();
  const oldest = await client.listJobs({ state: "ready", limit: 1, withPayloads });
  const newest = await client.listJobs({ limit: 1, backward: true, withPayloads });
  const { groups } = await client.stats({ by: "task" });
  const { tasks } = await client.listPauses();
  const { queues } = await client.listQueues({ hasJobs: true, limit });
  const workers = await client.listActiveWorkers();
  const idle = await client.listIdleWorkers();
  const { jobs: running } = await client.listJobs({ state: "running", limit, withPayloads });
  const { jobs: failed } = await client.listJobs({ state: "failed", backward: true, limit, withPayloads });
  const schedules = await client.schedules.list();
  return {
    at: clock.now(),
    stats,
    oldestDue: oldest.jobs[0]?.runAt ?? null,
    newestId: newest.jobs[0]?.id ?? null,
    tasks: groups,
    pausedTasks: tasks.map(({ name }) => name),
    queues,
    workers,
    idleWorkers: idle.length,
    running: running.map(withoutPayload),
    failed: failed.map(withoutPayload),
    schedules,
  };
}

function withoutPayload(job: Job): ShownJob {
  const { payload, ...shown } = job;
  void payload;
  return shown;
}

const MOST_ROWS = 100;
