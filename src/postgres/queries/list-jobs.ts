import type { Cell, Executor, Row } from "../driver.ts";
import { numberArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import {
  jobColumns,
  jobNames,
  type JobRecord,
  jobState,
  type JobStateName,
  toJobRecord,
  WHOLE_JOB_COLUMNS,
} from "./job-columns.ts";
import type { JobSelection } from "./job-selection.ts";
import { type PageRequest, type JobPlace, writePage } from "./job-pages.ts";

/**
 * Returns one page of the jobs that pass a filter, in the order of its way. With
 * a filter that the index of the way knows nothing of, a page looks at a limited
 * number of rows, whatever it finds.
 */
export async function listJobs(
  { executor, schema }: ListTarget,
  filter: JobSelection,
  { withPayloads = true, ...page }: PageRequest & { readonly withPayloads?: boolean },
): Promise<JobPage> {
  const whole = { columns: jobColumns(schema, withPayloads), joins: jobNames(schema), width: WHOLE_JOB_COLUMNS };
  const { text, values, isSearch } = writePage(schema, filter, { page, what: whole });
  const { found, searchedTo } = toPage((await executor.query({ text, values })).rows, whole.width);
  return {
    records: found.slice(0, page.limit).map(toJobRecord),
    hasMore: found.length > page.limit,
    searchedTo,
    isSearch,
  };
}

/** Where jobs are listed. */
export interface ListTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** One page of a list. */
export interface JobPage {
  readonly records: readonly JobRecord[];
  readonly hasMore: boolean;
  /** Where the search ended for now; `undefined` when it found a full page, or came to the end. */
  readonly searchedTo: JobPlace | undefined;
  /** Whether jobs had to be looked at that do not pass the filter. */
  readonly isSearch: boolean;
}

/** Returns the ids of one page of the jobs that pass a filter, and where the next page begins. */
export async function listJobIds(
  { executor, schema }: ListTarget,
  filter: JobSelection,
  page: PageRequest,
): Promise<JobIdPage> {
  const { text, values } = writePage(schema, filter, { page, what: { columns: "job.id", joins: "", width: 1 } });
  const { found, searchedTo } = toPage((await executor.query({ text, values })).rows, 1);
  const ids = found.slice(0, page.limit).map(([id]) => id ?? "");
  return { ids, nextAfter: found.length > page.limit ? ids.at(-1) : searchedTo?.id };
}

/** One page of ids, of a way that goes by id. */
export interface JobIdPage {
  readonly ids: readonly string[];
  /** What the next page begins behind; `undefined` when there is none. */
  readonly nextAfter: string | undefined;
}

/** Returns the tasks and states of one page of the jobs that pass a filter, and where the next page begins. */
export async function listJobKinds({ executor, schema }: ListTarget, filter: JobSelection, page: PageRequest) {
  const columns = `job.id, coalesce(task.identifier, ''), ${jobState}`;
  const { text, values } = writePage(schema, filter, { page, what: { columns, joins: jobNames(schema), width: 3 } });
  const { found, searchedTo } = toPage((await executor.query({ text, values })).rows, 3);
  const shown = found.slice(0, page.limit);
  const kinds = shown.map(([, task, state]) => ({ task: task ?? "", state: state as JobStateName }));
  return { kinds, nextAfter: found.length > page.limit ? (shown.at(-1)?.[0] ?? undefined) : searchedTo?.id };
}

/** Returns the job with this id, or `undefined`. */
export async function getJob(executor: Executor, schema: Schema, id: string): Promise<JobRecord | undefined> {
  // $1 job id
  const progress = `progress.value, ${schema.of("_howdah_us")}(progress.at)`;
  const text = `select ${jobColumns(schema)}, ${progress}\nfrom ${schema.of("_private_jobs")} as job${jobNames(schema)}
left join ${schema.of("_howdah_progress")} as progress on progress.job_id operator(pg_catalog.=) job.id
where job.id operator(pg_catalog.=) $1::bigint`;
  const [row] = (await executor.query({ name: "get_job_1", text, values: [id] })).rows;
  if (!row) return undefined;
  const [value, at] = row.slice(WHOLE_JOB_COLUMNS);
  return { ...toJobRecord(row), ...(value == null || at == null ? {} : { progress: { value, at } }) };
}

/** Returns the jobs with these ids, by id. */
export async function getJobsById({ executor, schema }: ListTarget, ids: readonly string[]): Promise<JobRecord[]> {
  // $1 job ids
  const text = `select ${jobColumns(schema)}\nfrom ${schema.of("_private_jobs")} as job${jobNames(schema)}
where job.id operator(pg_catalog.=) any ($1::pg_catalog.int8[]) order by job.id`;
  return (await executor.query({ text, values: [numberArray(ids)] })).rows.map(toJobRecord);
}

/** The row without a place says where the search ended. */
function toPage(rows: readonly Row[], width: number) {
  const edge = rows.find((row) => row[width] === null);
  return { found: rows.filter((row) => row !== edge), searchedTo: edge && toPosition(edge.slice(width + 1)) };
}

function toPosition([priority, runAt, id]: readonly Cell[]): JobPlace {
  return { priority: Number(priority), runAt: runAt ?? "0", id: id ?? "0" };
}
