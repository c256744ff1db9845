import type { Cell, Executor, Row } from "../driver.ts";
import { integerCell, numberArray, textArray } from "../literal.ts";
import { compareIntegers } from "../position.ts";
import type { Schema } from "../schema.ts";
import { flagSet } from "./flag-set.ts";
import { patiently } from "./patience.ts";

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
  readonly timeoutMs: number | null;
}

/** Where jobs are stored. */
export interface JobStore {
  readonly executor: Executor;
  readonly schema: Schema;
  /** Whether the statement itself tells the workers, when its transaction commits; otherwise the caller does, afterwards. */
  readonly notifies: boolean;
  /** How long the statement waits for locks of others, see `patience.ts`; without it, as long as it may take. */
  readonly patienceMs?: number | undefined;
}

/** What a job that was stored tells about itself. */
export interface StoredJob {
  readonly row: Row;
  /** True for a job of which nothing was there before: the row is read by `toNewJob`, otherwise by `toJob`. */
  readonly isNew: boolean;
}

/** What of a new job whoever adds it cannot know. */
const newColumns = (schema: Schema): string =>
  `job.id, ${schema.of("_howdah_us")}(job.run_at), ${schema.of("_howdah_us")}(job.created_at), job.flags`;

/** As the functions decide themselves whether to tell: what is due later is found by polling. */
const WHETHER_DUE = `job.job_queue_id,
  job.run_at operator(pg_catalog.<=) (pg_catalog.now() operator(pg_catalog.+) interval '2 seconds')`;

/** What has to be told about jobs that were stored by a statement that tells nothing. */
export interface DueJobs {
  readonly count: number;
  /** The earliest `run_at` in microseconds. */
  readonly at: string;
  readonly queueIds: readonly number[];
}

/** Those of the jobs that are due, or will be in a moment; `undefined` when none is. */
export function dueAmong(jobs: readonly StoredJob[]): DueJobs | undefined {
  const due = jobs
    .map(({ row, isNew }) => (isNew ? [row[1], row[4], row[5]] : [row[5], row[18], row[19]]))
    .filter(([, , isDue]) => isDue === "t");
  const [first] = due;
  if (!first) return undefined;
  const at = due.reduce(
    (earliest, [runAt]) => (compareIntegers(String(runAt), earliest) < 0 ? String(runAt) : earliest),
    String(first[0]),
  );
  const queueIds = new Set(due.flatMap(([, queueId]) => (queueId == null ? [] : Number(queueId))));
  return { count: due.length, at, queueIds: [...queueIds] };
}

/** Reads the answer of `_howdah_stored_jobs_v1`: whole rows. */
export function readStoredJobs(json: Cell | undefined): StoredJob[] {
  return json == null ? [] : (JSON.parse(json) as Row[]).map((row) => ({ row, isNew: false }));
}

/** Stores one job. Its row is whole when it may be another one than was given, and has no id when a trigger dropped it. */
export async function addJob(
  { executor, schema, notifies, patienceMs }: JobStore,
  job: JobToStore,
): Promise<StoredJob> {
  const values = [
    job.identifier,
    job.payload,
    job.queueName,
    job.runAt,
    integerCell(job.maxAttempts),
    job.jobKey,
    integerCell(job.priority),
    job.flags === null ? null : textArray(job.flags),
    job.jobKeyMode,
    integerCell(job.timeoutMs),
    String(notifies),
  ];
  // $1 identifier     $2 payload   $3 queue name   $4 run at   $5 max attempts
  // $6 key            $7 priority  $8 flags        $9 key mode $10 timeout   $11 notifies
  const whole = `case when job.is_changed then ${schema.of("_howdah_stored_jobs_v1")}(array[job.id], array[$2]) end`;
  const text = `select ${newColumns(schema)}, ${WHETHER_DUE}, ${whole}
from ${schema.of("_howdah_add_job_v1")}($1::pg_catalog.text, $2, $3, $4, $5, $6, $7, $8, $9, $11, $10) as job`;
  const query = { name: "add_job", text, values };
  const { rows } = await executor.query(patienceMs === undefined ? query : patiently(query, patienceMs));
  const row = rows[0] ?? [];
  return readStoredJobs(row[6])[0] ?? { row, isNew: true };
}

/**
 * Stores all of the jobs or none, in one statement, and returns them in the
 * same order. Their rows are whole, and have the payload only if it is another
 * one than was given. For jobs without keys `addNewJobs` does the same for less.
 */
export async function addJobs(
  { executor, schema, notifies, patienceMs }: JobStore,
  jobs: readonly JobToStore[],
): Promise<readonly StoredJob[]> {
  const values = [
    textArray(jobs.map((job) => job.identifier)),
    textArray(jobs.map((job) => job.payload)),
    textArray(jobs.map((job) => job.queueName)),
    textArray(jobs.map((job) => job.runAt)),
    numberArray(jobs.map((job) => job.maxAttempts ?? "null")),
    textArray(jobs.map((job) => job.jobKey)),
    numberArray(jobs.map((job) => job.priority ?? "null")),
    textArray(jobs.map((job) => job.flags && flagSet(job.flags))),
    textArray(jobs.map((job) => (job.jobKey === null ? null : job.jobKeyMode))),
    numberArray(jobs.map((job) => job.timeoutMs ?? "null")),
  ];
  // $1 identifiers   $2 payloads    $3 queue names   $4 run ats   $5 max attempts
  // $6 keys          $7 priorities  $8 flag sets     $9 key modes  $10 timeouts
  const text = `select ${schema.of("_howdah_stored_jobs_v1")}(${schema.of("_howdah_add_job_ids_v1")}(
  $1::pg_catalog.text[], $2, $3, $4, $5, $6, $7, $8, $9, ${notifies}, $10
), $2)`;
  const query = { name: `add_jobs${notifies ? "" : "_silently"}`, text, values };
  const { rows } = await executor.query(patienceMs === undefined ? query : patiently(query, patienceMs));
  return readStoredJobs(rows[0]?.[0]);
}
