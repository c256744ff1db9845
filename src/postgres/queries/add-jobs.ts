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

/** Whether the statement itself tells the workers, when it commits. The only switch for all adds of the client. */
const NOTIFY = true;

/** Where jobs are stored. */
export interface JobStore {
  readonly executor: Executor;
  readonly schema: Schema;
}

/**
 * Stores one job and returns its row, without the names of its task and queue.
 * A job without a key comes back without its payload, too.
 */
export async function addJob({ executor, schema }: JobStore, job: JobToStore): Promise<Row> {
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
  const text = `select ${jobColumns(schema, { task: "null", queue: "null", payload: keyed ? "job.payload" : "null" })}
from ${schema.of("_howdah_add_job_v1")}(
  $1::text, $2::json, $3::text, $4::timestamptz, $5::integer, $6::text, $7::integer, $8::text[], $9::text, ${NOTIFY}
) as job`;
  const { rows } = await executor.query({ name: keyed ? "add_keyed_job" : "add_job", text, values });
  return rows[0] ?? [];
}

/**
 * Stores all of the jobs or none, in one statement, and returns their rows in
 * the same order, without the names of tasks and queues. A row has its payload
 * only if it may differ from what was given, because it was merged.
 */
export async function addJobs({ executor, schema }: JobStore, jobs: readonly JobToStore[]): Promise<readonly Row[]> {
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
  })}
from ${schema.of("_howdah_add_jobs_v1")}(
  $1::text[], $2::json[], $3::text[], $4::timestamptz[], $5::integer[], $6::text[], $7::integer[], $8::jsonb[],
  $9::text[], ${NOTIFY}
) as job`;
  return (await executor.query({ name: "add_jobs", text, values })).rows;
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
