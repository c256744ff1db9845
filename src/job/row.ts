import type { Cell, Row } from "../postgres/driver.ts";
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
