import type { Cell, Executor } from "../../driver.ts";
import { integerCell, numberArray, textArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";
import { isDelay, runTime } from "../run-times.ts";
import { jobColumns, jobNames, type JobRecord, toJobRecord } from "../job-columns.ts";

/** Deletes the jobs with these ids that no worker runs. Returns them, in any order. */
export function completeJobs(target: ChangeTarget, ids: readonly string[]): Promise<readonly JobRecord[]> {
  // $1 job ids
  return changed(target, "complete_jobs($1::pg_catalog.int8[])", [numberArray(ids)]);
}

/** Deletes the same jobs as if they had never been added: their keys can be added again. Returns them, in any order. */
export function forgetJobs(target: ChangeTarget, ids: readonly string[]): Promise<readonly JobRecord[]> {
  return changed(target, REMOVAL, [numberArray(ids)]);
}

/** The call of the function that removes jobs: their ids are its value. */
export const REMOVAL = "_howdah_remove_jobs_v1($1::pg_catalog.int8[])";

/** Where jobs are ended or changed by a call. */
export interface ChangeTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** Marks the jobs with these ids that no worker runs as failed for good. Returns them, in any order. */
export function permanentlyFailJobs(
  target: ChangeTarget,
  ids: readonly string[],
  reason: string | null,
): Promise<readonly JobRecord[]> {
  // $1 job ids   $2 error message, or null for the default
  return changed(target, "permanently_fail_jobs($1::pg_catalog.int8[], $2::pg_catalog.text)", [
    numberArray(ids),
    reason,
  ]);
}

/**
 * Removes the waiting job with this key; a running one loses its key and its
 * further attempts instead. Returns the job, or `undefined` when there is none.
 */
export async function removeJob(target: ChangeTarget, jobKey: string): Promise<JobRecord | undefined> {
  // $1 job key
  const [job] = await changed(target, "remove_job($1::pg_catalog.text)", [jobKey]);
  return job;
}

/** Cancels the jobs with these ids. What it does beside other statements is told at the function in `000007-endings.sql`. */
export async function cancelJobs(
  { executor, schema }: ChangeTarget,
  ids: readonly string[],
  reason: string,
): Promise<CancelAnswer> {
  // $1 job ids   $2 reason
  const text = `select id, signalled from ${schema.of("_howdah_cancel_jobs_v1")}($1::pg_catalog.int8[], $2::pg_catalog.text)`;
  const { rows } = await executor.query({ name: "cancel_jobs", text, values: [numberArray(ids), reason] });
  const removed: string[] = [];
  const signalled: string[] = [];
  for (const [id, isSignalled] of rows) (isSignalled === "t" ? signalled : removed).push(String(id));
  return { removed, signalled };
}

/** What became of jobs that were to be cancelled; ids that are in neither list were left alone. */
export interface CancelAnswer {
  readonly removed: readonly string[];
  readonly signalled: readonly string[];
}

/** Changes when and how often the jobs with these ids run, of those that no worker runs now. Returns them, in any order. */
export function rescheduleJobs(
  target: ChangeTarget,
  ids: readonly string[],
  to: Reschedule,
): Promise<readonly JobRecord[]> {
  const { runAt, priority, attempts, maxAttempts } = to;
  const { expression } = runTime("$2", { delayed: isDelay(runAt), name: "" });
  // $1 job ids   $2 run at   $3 priority   $4 attempts   $5 max attempts
  const values = [numberArray(ids), runAt, integerCell(priority), integerCell(attempts), integerCell(maxAttempts)];
  const call = `reschedule_jobs($1::pg_catalog.int8[], ${expression}, $3::pg_catalog.int4,
  $4::pg_catalog.int4, $5::pg_catalog.int4)`;
  return changed(target, call, values);
}

/** What `reschedule_jobs` changes; null leaves a column as it is. */
export interface Reschedule {
  /** A time or a delay, see `run-times.ts`. */
  readonly runAt: string | null;
  readonly priority: number | null;
  readonly attempts: number | null;
  readonly maxAttempts: number | null;
}

/** Lets the jobs with these ids, of those that no worker runs now, run again. Returns them, in any order. */
export function retryJobs(
  target: ChangeTarget,
  ids: readonly string[],
  again: RetryChange,
): Promise<readonly JobRecord[]> {
  return changed(target, retryCall(), [numberArray(ids), ...retryCells(again)]);
}

/** The call of the function that puts jobs back. */
export function retryCall(): string {
  // $1 job ids   $2 attempts   $3 spread
  return "_howdah_retry_jobs_v1($1::pg_catalog.int8[], $2::pg_catalog.int4, $3::pg_catalog.int8)";
}

/** What {@link retryCall} takes behind the ids. */
export function retryCells({ attempts, spreadMs }: RetryChange): readonly Cell[] {
  return [integerCell(attempts), String(Math.round(spreadMs))];
}

/** How jobs run again. */
export interface RetryChange {
  /** How many attempts they get; null: as many as they had. */
  readonly attempts: number | null;
  /** They run at random times within this many milliseconds. */
  readonly spreadMs: number;
}

/** At once, and with all their attempts. */
export const RETRY: RetryChange = { attempts: null, spreadMs: 0 };

/** Unlocks every job and queue that these workers hold. */
export async function forceUnlockWorkers(
  { executor, schema }: ChangeTarget,
  workerIds: readonly string[],
): Promise<void> {
  // $1 worker ids
  const text = `select ${schema.of("force_unlock_workers")}($1::pg_catalog.text[])`;
  await executor.query({ name: "force_unlock_workers", text, values: [textArray(workerIds)] });
}

/**
 * Calls a public function, which answers with rows of the table. Without a name,
 * so that no session keeps a plan for the columns that the table once had.
 */
async function changed(
  { executor, schema }: ChangeTarget,
  call: string,
  values: readonly Cell[],
): Promise<readonly JobRecord[]> {
  const text = `select ${jobColumns(schema)}\nfrom ${schema.quoted}.${call} as job${jobNames(schema)}`;
  const { rows } = await executor.query({ text, values });
  // A missing job is answered with a row of nulls.
  return rows.filter(([id]) => id !== null).map(toJobRecord);
}
