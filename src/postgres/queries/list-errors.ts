import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";
import { FAILED_AT, filterConditions, type JobSelection, Values } from "./job-selection.ts";

/** Groups the newest jobs that failed for good by the first line of their error, the largest groups first. */
export async function listErrors(
  { executor, schema }: { readonly executor: Executor; readonly schema: Schema },
  filter: Pick<JobSelection, "task" | "queueName" | "tasks" | "queueNames">,
  limit: number,
): Promise<ErrorGroups> {
  const values = new Values();
  const conditions = Object.values(filterConditions(schema, filter, values));
  const us = schema.of("_howdah_us");
  const text = `
with newest as materialized (
  select job.id, job.task_id, job.job_queue_id, ${FAILED_AT} as failed_at, job.last_error
  from ${schema.of("_private_jobs")} as job
  where job._howdah_exhausted order by job.id desc limit ${ERROR_WINDOW}
), by_task as (
  select pg_catalog.left(pg_catalog.split_part(coalesce(job.last_error, ''), E'\\n', 1), ${ERROR_LENGTH}) as message,
    job.task_id, pg_catalog.count(*) as jobs, pg_catalog.max(job.id) as newest_id,
    pg_catalog.min(job.failed_at) as oldest_at, pg_catalog.max(job.failed_at) as newest_at
  from newest as job${conditions.length === 0 ? "" : ` where ${conditions.join(" and ")}`}
  group by 1, 2
), grouped as (
  select part.message, pg_catalog.sum(part.jobs)::pg_catalog.int8 as jobs, pg_catalog.max(part.newest_id) as newest_id,
    pg_catalog.min(part.oldest_at) as oldest_at, pg_catalog.max(part.newest_at) as newest_at
  from by_task as part group by 1 order by 2 desc, 1 limit ${limit}
)
select grouped.message, grouped.jobs, ${us}(grouped.oldest_at), grouped.newest_id, ${us}(grouped.newest_at),
  pg_catalog.to_json(array(
    select pg_catalog.json_build_object('task', task.identifier, 'count', part.jobs)
    from by_task as part join ${schema.of("_private_tasks")} as task on task.id operator(pg_catalog.=) part.task_id
    where part.message operator(pg_catalog.=) grouped.message
    order by part.jobs desc, task.identifier limit ${MOST_TASKS}
  )), ${us}(pg_catalog.now()), looked.jobs, looked.oldest
from (select pg_catalog.count(*) as jobs, pg_catalog.min(id) as oldest from newest) as looked
left join grouped on true
order by grouped.jobs desc, grouped.message`;
  const { rows } = await executor.query({ text, values: values.cells });
  const [first] = rows;
  return {
    groups: rows
      .filter(([message]) => message !== null)
      .map(([message, jobs, oldestAt, newestId, newestAt, byTask]) => ({
        message: message ?? "",
        jobs: Number(jobs),
        oldestAt: oldestAt ?? "0",
        newestId: newestId ?? "",
        newestAt: newestAt ?? "0",
        byTask: JSON.parse(byTask ?? "[]") as ErrorGroup["byTask"],
      })),
    asOf: first?.[6] ?? "0",
    oldestId: Number(first?.[7]) < ERROR_WINDOW ? undefined : (first?.[8] ?? undefined),
  };
}

/** Failed jobs by their errors. Times are microseconds since 1970. */
export interface ErrorGroups {
  readonly groups: readonly ErrorGroup[];
  readonly asOf: string;
  /** The oldest job that was looked at; `undefined` when that were all. */
  readonly oldestId: string | undefined;
}

/** Jobs that failed for good with the same first line of their error. */
export interface ErrorGroup {
  readonly message: string;
  readonly jobs: number;
  /** When the first of them failed. */
  readonly oldestAt: string;
  readonly newestId: string;
  /** When the last of them failed. */
  readonly newestAt: string;
  readonly byTask: readonly { readonly task: string; readonly count: number }[];
}

/** The failed jobs that are looked at, the newest ones. */
const ERROR_WINDOW = 20_000;

/** The characters of a first line that count. */
const ERROR_LENGTH = 500;

/** The tasks that are named for one error. */
const MOST_TASKS = 20;
