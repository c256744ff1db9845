import type { Cell, Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";
import {
  jobColumns,
  jobNames,
  type JobRecord,
  type JobStateName,
  stateConditions,
  toJobRecord,
} from "./job-columns.ts";

/** Returns at most `limit` jobs that pass the filter, by id. */
export async function listJobs(
  { executor, schema }: { executor: Executor; schema: Schema },
  filter: JobFilter,
  limit: number,
): Promise<readonly JobRecord[]> {
  const { where, values } = filtered(schema, filter, limit);
  const text = `${selectJobs(schema)}${where}`;
  return (await executor.query({ text, values })).rows.map(toJobRecord);
}

/** Returns the job with this id, or `undefined`. */
export async function getJob(executor: Executor, schema: Schema, id: string): Promise<JobRecord | undefined> {
  // $1 job id
  const text = `${selectJobs(schema)}\nwhere job.id operator(pg_catalog.=) $1::bigint`;
  const [row] = (await executor.query({ name: "get_job", text, values: [id] })).rows;
  return row && toJobRecord(row);
}

/** Returns the ids of at most `limit` jobs that pass the filter and have not failed for good, in order. */
export async function listOpenJobIds(
  { executor, schema }: { executor: Executor; schema: Schema },
  filter: JobFilter,
  limit: number,
): Promise<string[]> {
  const { where, values } = filtered(schema, { ...filter, isOpen: true }, limit);
  const text = `select job.id from ${schema.of("_private_jobs")} as job${where}`;
  return (await executor.query({ text, values })).rows.map(([id]) => String(id));
}

/** Which jobs to list; what is left out does not matter. */
export interface JobFilter {
  readonly state?: JobStateName | undefined;
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
  /** Only jobs with a larger id. */
  readonly after?: string | undefined;
}

/** The end of a statement that selects jobs. */
function filtered(schema: Schema, filter: JobFilter & { readonly isOpen?: true }, limit: number) {
  const values: Cell[] = [String(limit)];
  const conditions = filter.isOpen ? [`not (${stateConditions.failed})`] : [];
  if (filter.state !== undefined) conditions.push(stateConditions[filter.state]);
  const filterBy = (value: string | undefined, condition: (parameter: string) => string): void => {
    if (value !== undefined) conditions.push(condition(`$${values.push(value)}`));
  };
  // Ids instead of names, so that the indexes of the jobs can be used.
  const tasks = schema.of("_private_tasks");
  const queues = schema.of("_private_job_queues");
  filterBy(
    filter.task,
    (name) =>
      `job.task_id operator(pg_catalog.=) (select id from ${tasks} where identifier operator(pg_catalog.=) ${name}::pg_catalog.text)`,
  );
  filterBy(
    filter.queueName,
    (name) =>
      `job.job_queue_id operator(pg_catalog.=) (select id from ${queues} where queue_name operator(pg_catalog.=) ${name}::pg_catalog.text)`,
  );
  filterBy(filter.jobKey, (key) => `job.key operator(pg_catalog.=) ${key}::pg_catalog.text`);
  filterBy(filter.after, (id) => `job.id operator(pg_catalog.>) ${id}::bigint`);
  const where = conditions.length === 0 ? "" : `\nwhere ${conditions.join("\n  and ")}`;
  // $1 limit   $2… the filters
  return { where: `${where}\norder by job.id\nlimit $1::integer`, values };
}

function selectJobs(schema: Schema): string {
  return `select ${jobColumns(schema)}\nfrom ${schema.of("_private_jobs")} as job${jobNames(schema)}`;
}
