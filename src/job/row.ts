import type { Cell, Row } from "../postgres/driver.ts";
import { compareIntegers } from "../postgres/position.ts";
import type { Job, JobState } from "./job.ts";

/** The largest `Date`; stands for a time that PostgreSQL can hold and JavaScript cannot. */
const MAX_DATE_MS = 8_640_000_000_000_000;

/** What whoever stored a job knows about it, so that the row can come without. */
export interface KnownOfJob {
  readonly identifier: string;
  readonly queueName: string | null;
  /** JSON. */
  readonly payload: string;
}

/** Reads a row with the columns of `jobColumns` as a job. What the row leaves out is taken from `known`. */
export function toJob(row: Row, known?: KnownOfJob): Job {
  return {
    id: text(row[0]),
    task: row[1] ?? known?.identifier ?? "",
    queueName: row[2] ?? known?.queueName ?? null,
    payload: JSON.parse(row[3] ?? known?.payload ?? "null"),
    priority: Number(row[4]),
    runAt: toDate(row[5]),
    attempts: Number(row[6]),
    maxAttempts: Number(row[7]),
    lastError: row[8] ?? null,
    createdAt: toDate(row[9]),
    updatedAt: toDate(row[10]),
    jobKey: row[11] ?? null,
    revision: Number(row[12]),
    flags: toFlags(row[13]),
    lockedAt: toNullableDate(row[14]),
    lockedBy: row[15] ?? null,
    state: text(row[16]) as JobState,
    timeoutMs: row[17] == null ? null : Number(row[17]),
  };
}

/** What whoever adds a job says about it; null took the default of the database. */
export interface KnownOfNewJob extends KnownOfJob {
  readonly priority: number | null;
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
}

/** Reads the row of a job that has just been stored: its id, when it is due, when it was created, its flags. All else is known. */
export function toNewJob(row: Row, known: KnownOfNewJob): Job {
  const [id, runAt, createdAt, flags] = row;
  return {
    id: text(id),
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
    state: compareIntegers(text(runAt), text(createdAt)) <= 0 ? "ready" : "scheduled",
    timeoutMs: known.timeoutMs,
  };
}

/** Reads microseconds since 1970 as a date. What lies beyond JavaScript's dates becomes the nearest of them. */
export function toDate(microseconds: Cell | undefined): Date {
  const ms = Number(microseconds) / 1000;
  return new Date(Math.min(Math.max(ms, -MAX_DATE_MS), MAX_DATE_MS));
}

/** As {@link toDate}; null stays null. */
export function toNullableDate(microseconds: Cell | undefined): Date | null {
  return microseconds === null || microseconds === undefined ? null : toDate(microseconds);
}

/** Reads stored flags, the keys of a JSON object. */
export function toFlags(json: Cell | undefined): readonly string[] {
  return json === null || json === undefined ? [] : Object.keys(JSON.parse(json) as object);
}

function text(cell: Cell | undefined): string {
  return cell ?? "";
}
