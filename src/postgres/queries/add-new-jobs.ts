import type { Cell, Row } from "../driver.ts";
import { jsonArray, numberArray, readNumbers, textArray } from "../literal.ts";
import { type DueJobs, type JobStore, type JobToStore, readStoredJobs, type StoredJob } from "./add-jobs.ts";
import { flagSet } from "./flag-set.ts";
import { patiently } from "./patience.ts";

/** How several jobs are stored. */
export interface StoreOptions {
  /**
   * Rejects with 55P03 when the statement has waited for somebody's lock for so
   * many milliseconds, and with HWALN when a trigger has kept one of the rows
   * from being stored. Without it the statement waits as long as it may take.
   */
  readonly strangersPatienceMs?: number;
}

/** Jobs that were stored together. */
export interface StoredTogether {
  /** The job that was given at this place; `undefined` for none. */
  at(index: number): StoredJob | undefined;
  /** Those that are due, or will be in a moment; `undefined` when none is. */
  readonly due: DueJobs | undefined;
}

/**
 * Stores all of the jobs or none, in one statement, and returns them in the
 * same order. None of them may have a key. What happens beside other
 * statements is told at the function in `000002-functions.sql`.
 */
export async function addNewJobs(
  { executor, schema, notifies, patienceMs }: JobStore,
  jobs: readonly JobToStore[],
  { strangersPatienceMs }: StoreOptions = {},
): Promise<StoredTogether> {
  const identifier = jobs[0]?.identifier ?? "";
  const isOneTask = jobs.every((job) => job.identifier === identifier);
  const values = [
    isOneTask ? textArray([identifier]) : textArray(jobs.map((job) => job.identifier)),
    jsonArray(jobs.map((job) => job.payload)),
    textColumn(jobs, (job) => job.queueName),
    textColumn(jobs, (job) => job.runAt),
    numberColumn(jobs, (job) => job.maxAttempts),
    numberColumn(jobs, (job) => job.priority),
    textColumn(jobs, (job) => job.flags && flagSet(job.flags)),
    numberColumn(jobs, (job) => job.timeoutMs),
    String(notifies),
    strangersPatienceMs === undefined ? null : String(strangersPatienceMs),
  ];
  // $1 identifiers   $2 payloads     $3 queue names   $4 run ats    $5 max attempts
  // $6 priorities    $7 flag sets    $8 timeouts      $9 notifies   $10 patience
  const add = schema.of("_howdah_add_jobs_without_keys_v1");
  const text = `select * from ${add}($1::pg_catalog.text[], $2, $3, $4, $5, $6, $7, $8, $9, $10, true)`;
  const query = { name: "add_new_jobs", text, values };
  const { rows } = await executor.query(patienceMs === undefined ? query : patiently(query, patienceMs));
  return readTogether(rows[0] ?? []);
}

function readTogether([
  ids,
  createdAt = null,
  runTimes,
  flags,
  dueCount,
  dueAt,
  dueQueueIds,
  stored,
]: Row): StoredTogether {
  const allIds = readNumbers(ids);
  const times = readNumbers(runTimes);
  const flagSets = flags == null ? [] : (JSON.parse(flags) as readonly unknown[]);
  const count = Number(dueCount);
  const whole = readStoredJobs(stored);
  return {
    // Made when it is asked for, because there may be very many.
    at(index) {
      if (whole.length > 0) return whole[index];
      const id = allIds[index];
      const flagsOf = flagSets[index];
      if (id == null) return undefined;
      const row = [id, times[index] ?? createdAt, createdAt, flagsOf == null ? null : JSON.stringify(flagsOf)];
      return { row, isNew: true };
    },
    due:
      count > 0
        ? { count, at: String(dueAt), queueIds: [...new Set(readNumbers(dueQueueIds).map(Number))] }
        : undefined,
  };
}

type Pick<T> = (job: JobToStore) => T | null;

/** A column that nobody has set is sent as null: the function fills it up. */
function textColumn(jobs: readonly JobToStore[], pick: Pick<string>): Cell {
  return jobs.every((job) => pick(job) === null) ? null : textArray(jobs.map(pick));
}

function numberColumn(jobs: readonly JobToStore[], pick: Pick<number>): Cell {
  return jobs.every((job) => pick(job) === null) ? null : numberArray(jobs.map((job) => pick(job) ?? "null"));
}
