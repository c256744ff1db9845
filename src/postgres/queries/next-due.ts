import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";

/**
 * In how many milliseconds the next job becomes due, of whatever task, or a
 * pause ends; `Infinity` when neither will happen by itself. What is due already
 * does not count. One index entry is read for each priority, and the pauses.
 *
 * Beside another statement: it locks nothing, and says what was committed when it
 * began. Jobs that are added later are notified of.
 */
export async function readNextDueMs(executor: Executor, schema: Schema): Promise<number> {
  const jobs = schema.of("_private_jobs");
  const text = `
with recursive levels as (
  (
    select job.priority from ${jobs} as job where job.job_queue_id is null and not job._howdah_exhausted
    order by job.priority limit 1
  )
  union all
  select (
    select job.priority from ${jobs} as job where job.job_queue_id is null and not job._howdah_exhausted
      and job.priority operator(pg_catalog.>) levels.priority
    order by job.priority limit 1
  )
  from levels where levels.priority is not null
),
next as (
  select (
    select job.run_at from ${jobs} as job where job.job_queue_id is null and not job._howdah_exhausted
      and job.priority operator(pg_catalog.=) levels.priority and job.run_at operator(pg_catalog.>) pg_catalog.now()
    order by job.run_at limit 1
  ) as due_at
  from levels
  union all
  (
    select job.run_at from ${jobs} as job where job.job_queue_id is not null and not job._howdah_exhausted
      and job.run_at operator(pg_catalog.>) pg_catalog.now()
    order by job.run_at limit 1
  )
  union all
  select queue._howdah_paused_until from ${schema.of("_private_job_queues")} as queue
  where queue._howdah_paused_until operator(pg_catalog.>) pg_catalog.now()
  union all
  select task.paused_until from ${schema.of("_howdah_paused_tasks")} as task
  where task.paused_until operator(pg_catalog.>) pg_catalog.now()
)
select pg_catalog.ceil(
  extract(epoch from pg_catalog.min(next.due_at) operator(pg_catalog.-) pg_catalog.now()) operator(pg_catalog.*) 1000
)
from next where next.due_at operator(pg_catalog.<) 'infinity'`;
  const { rows } = await executor.query({ text });
  const [dueInMs = null] = rows[0] ?? [];
  return dueInMs === null ? Number.POSITIVE_INFINITY : Number(dueInMs);
}
