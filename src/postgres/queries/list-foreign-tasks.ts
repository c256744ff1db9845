import type { Executor } from "../driver.ts";
import { numberArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/**
 * The identifiers of other tasks among the due jobs at the head of the line,
 * looking at no more than a thousand of them.
 */
export async function listForeignTasks(
  executor: Executor,
  schema: Schema,
  taskIds: readonly number[],
): Promise<string[]> {
  const { rows } = await executor.query({
    text: `
      select distinct task.identifier
      from (
        (
          select job.task_id, job.run_at from ${schema.of("_private_jobs")} as job
          where job.job_queue_id is null and not job._howdah_exhausted
          order by job.priority, job.run_at, job.id limit 500
        )
        union all
        (
          select job.task_id, job.run_at from ${schema.of("_private_jobs")} as job
          where job.job_queue_id is not null and not job._howdah_exhausted
          order by job.run_at, job.id limit 500
        )
      ) as oldest
      join ${schema.of("_private_tasks")} as task on task.id operator(pg_catalog.=) oldest.task_id
      where oldest.run_at operator(pg_catalog.<=) pg_catalog.now() and task.id operator(pg_catalog.<>) all ($1::integer[])
      order by task.identifier`,
    values: [numberArray(taskIds)],
  });
  return rows.map(([identifier]) => String(identifier));
}
