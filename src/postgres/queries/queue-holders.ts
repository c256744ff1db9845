import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";
import { COUNTED } from "./list-queues.ts";
import { lockOfQueue } from "./queue-limits.ts";

/**
 * The workers that hold a queue, or, when it has rules, lanes of it; where it has no limit, any of its first
 * {@link COUNTED} jobs. Sorted.
 */
export async function listQueueHolders(
  { executor, schema }: { readonly executor: Executor; readonly schema: Schema },
  name: string,
): Promise<string[]> {
  const text = `
select distinct held.worker from ${schema.of("_private_job_queues")} as queue
cross join lateral (
  select ${lockOfQueue("queue", "locked_by")} as worker
  union all
  select lane.locked_by from ${schema.of("_howdah_lanes")} as lane
  where lane.owner_id operator(pg_catalog.=) queue.id and lane.locked_at is not null
  union all
  select job.locked_by from (
    select * from ${schema.of("_private_jobs")} as job
    where queue._howdah_width operator(pg_catalog.=) 0 and job.job_queue_id operator(pg_catalog.=) queue.id
      and not job._howdah_exhausted
    order by job.priority, job.run_at, job.id limit ${COUNTED}
  ) as job
) as held
where queue.queue_name operator(pg_catalog.=) $1 and held.worker is not null
order by 1`;
  return (await executor.query({ text, values: [name] })).rows.map(([worker]) => worker ?? "");
}
