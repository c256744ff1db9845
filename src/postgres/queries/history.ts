import type { Cell, Executor, Row } from "../driver.ts";
import type { Schema } from "../schema.ts";
import {
  FINISHED_CODES,
  finishedColumns,
  type FinishedRecord,
  type FinishedStateName,
  toFinishedRecord,
} from "./finished-record.ts";

/**
 * Returns one page of the finished jobs that pass a filter, the newest first. A
 * page looks at a limited number of rows where no index serves the filter, and
 * says where it has stopped.
 *
 * The rows of each length of keeping are read by an index of their own, so none of
 * them is sorted, and the pages of all are merged.
 */
export async function listFinishedJobs(
  { executor, schema }: HistoryTarget,
  filter: HistorySelection,
  page: HistoryPageRequest,
): Promise<HistoryPage> {
  const values: Cell[] = [];
  const text = writePage(schema, { filter, page, values });
  const { rows } = await executor.query({ text, values });
  const edge = rows.find(([id]) => id === null);
  const found = rows.filter((row) => row !== edge);
  const records = found.slice(0, page.limit).map(toFinishedRecord);
  const last = found.length > page.limit ? records.at(-1) : undefined;
  return { records, next: last ? { finishedAt: last.finishedAt, id: last.id } : edge && toPlace(edge) };
}

/** Where history is read. */
export interface HistoryTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** Which finished jobs are meant: those that pass all of it. Times as PostgreSQL reads them. */
export interface HistorySelection {
  readonly state?: FinishedStateName | undefined;
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
  /** Not finished before this time. */
  readonly since?: string | undefined;
  /** Finished before this time. */
  readonly until?: string | undefined;
}

/** A page of history. */
export interface HistoryPageRequest {
  readonly after: HistoryPlace | undefined;
  readonly limit: number;
}

/** A place in history: microseconds, and an id. */
export interface HistoryPlace {
  readonly finishedAt: string;
  readonly id: string;
}

/** One page of finished jobs. */
export interface HistoryPage {
  readonly records: readonly FinishedRecord[];
  /** Behind which the next page begins; `undefined` when there is none. */
  readonly next: HistoryPlace | undefined;
}

/** Returns the finished job with this id, or `undefined`. */
export async function getFinishedJob(
  { executor, schema }: HistoryTarget,
  id: string,
): Promise<FinishedRecord | undefined> {
  // $1 job id
  const text = `select ${finishedColumns(schema)}\nfrom ${schema.of("_howdah_history")} as job
where job.id operator(pg_catalog.=) $1::bigint order by job.finished_at desc limit 1`;
  const [row] = (await executor.query({ name: "get_finished_job", text, values: [id] })).rows;
  return row && toFinishedRecord(row);
}

/** For how many days jobs are kept: each has rows and indexes of its own. */
const LENGTHS = [1, 7, 30, 365];

/** The most rows of each that a page looks at, where no index serves the filter. */
const MOST_LOOKED_AT = 20_000;

interface Writing {
  readonly filter: HistorySelection;
  readonly page: HistoryPageRequest;
  /** Those that the text has places for so far. */
  readonly values: Cell[];
}

/** Adds a value, and gives its place. */
function placeOf(cell: Cell, values: Cell[]): string {
  return `$${values.push(cell)}`;
}

/** `seen`: what is looked at; `edge`: how far that is known to be all there is, when it is not all. */
function writePage(schema: Schema, { filter, page, values }: Writing): string {
  const history = schema.of("_howdah_history");
  const bounds = boundsOf(schema, { filter, page, values });
  const tests = testsOf(filter, values);
  const limit = placeOf(String(page.limit + 1), values);
  const branches = LENGTHS.map((keep) => writeBranch(history, { keep, bounds, tests, limit }));
  return `with seen as materialized (
${branches.join("\nunion all\n")}
), edge as (
  select ends.finished_at, ends.id
  from (
    select distinct on (keep) keep, finished_at, id, most, pg_catalog.count(*) over (partition by keep) as looked
    from seen order by keep, finished_at, id
  ) as ends
  where ends.looked operator(pg_catalog.>=) ends.most
  order by ends.finished_at desc, ends.id desc limit 1
), found as materialized (
  select seen.keep, seen.finished_at, seen.id from seen
  where seen.fits and not exists (
    select from edge where (seen.finished_at, seen.id) operator(pg_catalog.<) (edge.finished_at, edge.id)
  )
  order by seen.finished_at desc, seen.id desc limit ${limit}
)
(
  select ${finishedColumns(schema)}
  from found cross join lateral (
    select * from ${history} as kept
    where kept.keep operator(pg_catalog.=) found.keep and kept.finished_at operator(pg_catalog.=) found.finished_at
      and kept.id operator(pg_catalog.=) found.id
  ) as job
  order by job.finished_at desc, job.id desc
)
union all
select null, ${schema.of("_howdah_us")}(edge.finished_at), edge.id::pg_catalog.text${", null".repeat(14)} from edge`;
}

/** The conditions that every index serves: the range of time. */
function boundsOf(schema: Schema, { filter: { since, until }, page: { after }, values }: Writing): string[] {
  const at = `pg_catalog.timestamptz`;
  const bounds: string[] = [];
  if (since !== undefined) bounds.push(`job.finished_at operator(pg_catalog.>=) ${placeOf(since, values)}::${at}`);
  if (until !== undefined) bounds.push(`job.finished_at operator(pg_catalog.<) ${placeOf(until, values)}::${at}`);
  if (after) {
    const time = `${schema.of("_howdah_at")}(${placeOf(after.finishedAt, values)}::bigint)`;
    bounds.push(
      `job.finished_at operator(pg_catalog.<=) ${time}`,
      `(job.finished_at, job.id) operator(pg_catalog.<) (${time}, ${placeOf(after.id, values)}::bigint)`,
    );
  }
  return bounds;
}

interface Tests {
  /** By the index of keys, which all have. */
  readonly key: string | undefined;
  /** By the index of tasks, which those that are kept for a day do not have. */
  readonly task: string | undefined;
  /** By no index. */
  readonly others: readonly string[];
}

function testsOf({ state, task, queueName, jobKey }: HistorySelection, values: Cell[]): Tests {
  const others: string[] = [];
  if (state !== undefined)
    others.push(`job.state operator(pg_catalog.=) '${FINISHED_CODES[state]}'::pg_catalog."char"`);
  if (queueName !== undefined) others.push(`job.queue_name operator(pg_catalog.=) ${placeOf(queueName, values)}`);
  return {
    key: jobKey === undefined ? undefined : `job.key operator(pg_catalog.=) ${placeOf(jobKey, values)}`,
    task: task === undefined ? undefined : `job.task operator(pg_catalog.=) ${placeOf(task, values)}`,
    others,
  };
}

interface Branch {
  readonly keep: number;
  readonly bounds: readonly string[];
  readonly tests: Tests;
  readonly limit: string;
}

function writeBranch(history: string, { keep, bounds, tests, limit }: Branch): string {
  const served = tests.key ?? (keep > 1 ? tests.task : undefined);
  const given = [tests.key, tests.task, ...tests.others].filter((test) => test !== undefined);
  const others = given.filter((test) => test !== served);
  const where = [`job.keep operator(pg_catalog.=) ${keep}`, ...(served === undefined ? [] : [served]), ...bounds];
  const most = others.length === 0 ? limit : String(MOST_LOOKED_AT);
  const fits = others.length === 0 ? "true" : `(${others.join(" and ")}) is true`;
  return `(
  select job.keep, job.finished_at, job.id, ${fits} as fits, ${most}::int as most
  from ${history} as job
  where ${where.join(" and ")}
  order by job.finished_at desc, job.id desc limit ${most}
)`;
}

function toPlace([, finishedAt, id]: Row): HistoryPlace {
  return { finishedAt: finishedAt ?? "0", id: id ?? "0" };
}
