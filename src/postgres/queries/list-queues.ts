import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";
import { stateConditions } from "./job-columns.ts";

/** Returns every named queue by name. */
export async function listQueues(executor: Executor, schema: Schema): Promise<readonly QueueRecord[]> {
  const text = `
select queue.queue_name, coalesce(held.jobs, 0), coalesce(held.ready, 0),
  ${schema.of("_howdah_us")}(queue.locked_at), queue.locked_by,
  case when queue._howdah_paused_until operator(pg_catalog.>) pg_catalog.now()
    then ${schema.of("_howdah_us")}(queue._howdah_paused_until) end
from ${schema.of("_private_job_queues")} as queue
left join (
  select job.job_queue_id, pg_catalog.count(*) as jobs,
    pg_catalog.count(*) filter (where ${stateConditions.ready}) as ready
  from ${schema.of("_private_jobs")} as job
  where job.job_queue_id is not null
  group by job.job_queue_id
) as held on held.job_queue_id operator(pg_catalog.=) queue.id
order by queue.queue_name collate pg_catalog."C"`;
  const { rows } = await executor.query({ name: "list_queues", text });
  return rows.map(([name, jobCount, readyCount, lockedAt = null, lockedBy = null, pausedUntil = null]) => ({
    name: name ?? "",
    jobCount: Number(jobCount),
    readyCount: Number(readyCount),
    lockedAt,
    lockedBy,
    pausedUntil,
  }));
}

/** A named queue. Times are microseconds since 1970. */
export interface QueueRecord {
  readonly name: string;
  readonly jobCount: number;
  readonly readyCount: number;
  readonly lockedAt: string | null;
  readonly lockedBy: string | null;
  /** Null for a queue that is not paused. */
  readonly pausedUntil: string | null;
}

/** The names of all queues, without a look at their jobs. */
export async function listQueueNames(executor: Executor, schema: Schema): Promise<string[]> {
  const text = `select queue.queue_name from ${schema.of("_private_job_queues")} as queue`;
  return (await executor.query({ text })).rows.map(([name]) => name ?? "");
}
