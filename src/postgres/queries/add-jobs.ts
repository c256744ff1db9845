import type { Cell, Executor, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";
import { jobColumns } from "./job-columns.ts";

/** A job to store. Null takes the default of the database. */
export interface JobToStore {
  readonly identifier: string;
  /** JSON. */
  readonly payload: string;
  readonly queueName: string | null;
  readonly runAt: string | null;
  readonly maxAttempts: number | null;
  readonly jobKey: string | null;
  readonly jobKeyMode: string;
  readonly priority: number | null;
  readonly flags: readonly string[] | null;
}

/** Where jobs are stored. */
export interface JobStore {
  readonly executor: Executor;
  readonly schema: Schema;
  /** Whether the statement itself tells the workers, when its transaction commits; otherwise the caller does, afterwards. */
  readonly notifies: boolean;
}

/** Where, beyond the columns that `toJob` reads, a row says what a notification needs. */
const QUEUE_ID = 17;
const IS_DUE = 18;

/** What has to be told about a row that was stored by a statement that tells nothing. */
export function dueOf(row: Row): { readonly runAt: string; readonly queueId: number | null } | undefined {
  const runAt = row[5];
  if (row[IS_DUE] !== "t" || runAt == null) return undefined;
  const queueId = row[QUEUE_ID];
  return { runAt, queueId: queueId == null ? null : Number(queueId) };
}

/** As the functions decide themselves whether to tell: what is due later is found by polling. */
const WHETHER_DUE = "job.job_queue_id, job.run_at <= now() + interval '2 seconds'";

/**
 * Stores one job and returns its row, without the names of its task and queue.
 * A job without a key comes back without its payload, too.
 */
export async function addJob({ executor, schema, notifies }: JobStore, job: JobToStore): Promise<Row> {
  const keyed = job.jobKey !== null;
  const values = [
    job.identifier,
    job.payload,
    job.queueName,
    job.runAt,
    cell(job.maxAttempts),
    job.jobKey,
    cell(job.priority),
    job.flags === null ? null : textArray(job.flags),
    job.jobKeyMode,
  ];
  // $1 identifier     $2 payload   $3 queue name   $4 run at   $5 max attempts
  // $6 key            $7 priority  $8 flags        $9 key mode
  const text = `select ${jobColumns(schema, { task: "null", queue: "null", payload: keyed ? "job.payload" : "null" })},
  ${WHETHER_DUE}
from ${schema.of("_howdah_add_job_v1")}(
  $1::text, $2::json, $3::text, $4::timestamptz, $5::integer, $6::text, $7::integer, $8::text[], $9::text, ${notifies}
) as job`;
  const { rows } = await executor.query({
    name: `add_${keyed ? "keyed_" : ""}job${notifies ? "" : "_silently"}`,
    text,
    values,
  });
  return rows[0] ?? [];
}

/**
 * Stores all of the jobs or none, in one statement, and returns their rows in
 * the same order, without the names of tasks and queues. A row has its payload
 * only if it may differ from what was given, because it was merged.
 */
export async function addJobs(
  { executor, schema, notifies }: JobStore,
  jobs: readonly JobToStore[],
): Promise<readonly Row[]> {
  const values = [
    textArray(jobs.map((job) => job.identifier)),
    textArray(jobs.map((job) => job.payload)),
    textColumn(jobs.map((job) => job.queueName)),
    textColumn(jobs.map((job) => job.runAt)),
    numberColumn(jobs.map((job) => job.maxAttempts)),
    textColumn(jobs.map((job) => job.jobKey)),
    numberColumn(jobs.map((job) => job.priority)),
    textColumn(jobs.map((job) => job.flags && flagSet(job.flags))),
    textColumn(jobs.map((job) => (job.jobKey === null ? null : job.jobKeyMode))),
  ];
  // $1 identifiers   $2 payloads    $3 queue names   $4 run ats   $5 max attempts
  // $6 keys          $7 priorities  $8 flag sets     $9 key modes
  const text = `select ${jobColumns(schema, {
    task: "null",
    queue: "null",
    payload: "case when job.revision > 0 then job.payload end",
  })},
  ${WHETHER_DUE}
from ${schema.of("_howdah_add_jobs_v1")}(
  $1::text[], $2::json[], $3::text[], $4::timestamptz[], $5::integer[], $6::text[], $7::integer[], $8::jsonb[],
  $9::text[], ${notifies}
) as job`;
  return (await executor.query({ name: `add_jobs${notifies ? "" : "_silently"}`, text, values })).rows;
}

/** A column that nobody has set is sent as null: the function fills it up. */
function textColumn(values: readonly Cell[]): Cell {
  return values.every((value) => value === null) ? null : textArray(values);
}

function numberColumn(values: readonly (number | null)[]): Cell {
  if (values.every((value) => value === null)) return null;
  return numberArray(values.map((value) => value ?? "null"));
}

function flagSet(flags: readonly string[]): string {
  return JSON.stringify(Object.fromEntries(flags.map((flag) => [flag, true])));
}

function cell(value: number | null): Cell {
  return value === null ? null : String(value);
}
