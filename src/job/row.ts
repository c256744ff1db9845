import type { Cell } from "../postgres/driver.ts";
import { compareIntegers } from "../postgres/position.ts";
import type { JobRecord } from "../postgres/queries/job-columns.ts";
import type { StoredJob } from "../postgres/queries/stored-jobs.ts";
import type { Job, JobProgress } from "./job.ts";

/** A stored job as applications see it. What its record leaves out is taken from `known`. */
export function toJob(record: JobRecord, known?: KnownOfJob): Job {
  return {
    id: record.id,
    task: record.task ?? known?.identifier ?? "",
    queueName: record.queueName ?? known?.queueName ?? null,
    payload: JSON.parse(record.payload ?? known?.payload ?? "null"),
    priority: record.priority,
    runAt: toDate(record.runAt),
    attempts: record.attempts,
    maxAttempts: record.maxAttempts,
    lastError: record.lastError,
    createdAt: toDate(record.createdAt),
    updatedAt: toDate(record.updatedAt),
    jobKey: record.key,
    revision: record.revision,
    flags: toFlags(record.flags),
    lockedAt: toNullableDate(record.lockedAt),
    lockedBy: record.lockedBy,
    state: record.state,
    timeoutMs: record.timeoutMs,
    ...(record.progress && { progress: toProgress(record.progress) }),
  };
}

function toProgress({ value, at }: NonNullable<JobRecord["progress"]>): JobProgress {
  return { value: JSON.parse(value), at: toDate(at) };
}

/** What a caller that stored a job knows about it, so that its record can come without. */
export interface KnownOfJob {
  readonly identifier: string;
  readonly queueName: string | null;
  /** JSON. */
  readonly payload: string;
}

/** A job that has just been stored as it was given. */
export function toNewJob({ id, runAt, createdAt, flags }: StoredJob, known: KnownOfNewJob): Job {
  return {
    id,
    task: known.identifier,
    queueName: known.queueName,
    payload: JSON.parse(known.payload),
    priority: known.priority ?? 0,
    runAt: toDate(runAt),
    attempts: 0,
    maxAttempts: known.maxAttempts ?? 25,
    lastError: null,
    createdAt: toDate(createdAt),
    updatedAt: toDate(createdAt),
    jobKey: null,
    revision: 0,
    flags: toFlags(flags),
    lockedAt: null,
    lockedBy: null,
    state: compareIntegers(runAt, createdAt) <= 0 ? "ready" : "scheduled",
    timeoutMs: known.timeoutMs,
  };
}

/** What a caller that adds a job says about it; null took the default of the database. */
export interface KnownOfNewJob extends KnownOfJob {
  readonly priority: number | null;
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
}

/** The largest `Date`; stands for a time that PostgreSQL can hold and JavaScript cannot. */
const MAX_DATE_MS = 8_640_000_000_000_000;

/** Reads microseconds since 1970 as a date. What lies beyond JavaScript's dates becomes the nearest of them. */
export function toDate(microseconds: Cell | undefined): Date {
  const ms = Number(microseconds) / 1000;
  return new Date(Math.min(Math.max(ms, -MAX_DATE_MS), MAX_DATE_MS));
}

/** Reads microseconds as a number. `Number()` takes twice as long for sixteen digits, and metrics read a time for each job. */
export function toMicroseconds(text: string): number {
  // Up to here every sum is exact.
  if (text.length > 16) return Number(text);
  let value = 0;
  for (let index = 0; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return Number(text);
    value = value * 10 + digit;
  }
  return value;
}

/** As {@link toDate}; null stays null. */
export function toNullableDate(microseconds: Cell | undefined): Date | null {
  return microseconds === null || microseconds === undefined ? null : toDate(microseconds);
}

/** Reads stored flags, the keys of a JSON object. */
export function toFlags(json: Cell | undefined): readonly string[] {
  return json === null || json === undefined ? [] : Object.keys(JSON.parse(json) as object);
}
