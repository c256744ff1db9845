import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";
import { filterConditions, type JobSelection, Values } from "./job-selection.ts";

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
  select job.id, job.task_id, job.job_queue_id, job.updated_at, job.last_error from ${schema.of("_private_jobs")} as job
  where job._howdah_exhausted order by job.id desc limit ${ERROR_WINDOW}
), grouped as (
  select pg_catalog.left(pg_catalog.split_part(coalesce(job.last_error, ''), E'\\n', 1), ${ERROR_LENGTH}) as message,
    pg_catalog.count(*) as jobs, pg_catalog.max(job.id) as newest_id, pg_catalog.max(job.updated_at) as newest_at,
    pg_catalog.array_agg(distinct job.task_id) as task_ids
  from newest as job${conditions.length === 0 ? "" : ` where ${conditions.join(" and ")}`}
  group by 1 order by 2 desc, 1 limit ${limit}
)
select grouped.message, grouped.jobs, grouped.newest_id, ${us}(grouped.newest_at), pg_catalog.to_json(array(
    select task.identifier from ${schema.of("_private_tasks")} as task
    where task.id operator(pg_catalog.=) any (grouped.task_ids) order by task.identifier limit ${MOST_TASKS}
  )), ${us}(pg_catalog.now()), looked.jobs, looked.oldest
from (select pg_catalog.count(*) as jobs, pg_catalog.min(id) as oldest from newest) as looked
left join grouped on true
order by grouped.jobs desc, grouped.message`;
  const { rows } = await executor.query({ text, values: values.cells });
  const [first] = rows;
  return {
    groups: rows
      .filter(([message]) => message !== null)
      .map(([message, jobs, newestId, newestAt, tasks]) => ({
        message: message ?? "",
        jobs: Number(jobs),
        newestId: newestId ?? "",
        newestAt: newestAt ?? "0",
        tasks: JSON.parse(tasks ?? "[]") as readonly string[],
      })),
    asOf: first?.[5] ?? "0",
    oldestId: Number(first?.[6]) < ERROR_WINDOW ? undefined : (first?.[7] ?? undefined),
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
  readonly newestId: string;
  /** When the last of them was changed. */
  readonly newestAt: string;
  readonly tasks: readonly string[];
}

/** The failed jobs that are looked at, the newest ones. */
const ERROR_WINDOW = 20_000;

/** The characters of a first line that count. */
const ERROR_LENGTH = 500;

/** The tasks that are named for one error. */
const MOST_TASKS = 20;
