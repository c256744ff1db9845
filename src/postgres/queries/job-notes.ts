import type { Cell, Executor } from "../driver.ts";
import { jsonArray, numberArray, textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/** Where notes of jobs are stored. */
export interface NotesTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/**
 * Writes what handlers of one worker have noted, with one statement, and deletes
 * the notes of jobs that are done. What this does beside others stands at
 * `_howdah_note_v1`. May be repeated after a lost answer.
 */
export async function writeNotes({ executor, schema }: NotesTarget, notes: Notes, timeoutMs: number): Promise<void> {
  const { progress, lines, full, done } = notes;
  // $1-$4 jobs, workers, claim times, progress   $5-$10 jobs, times, numbers, attempts, messages and fields of lines
  // $11-$12 jobs with too many lines, how many they keep   $13 completed jobs
  const text = `select ${schema.of("_howdah_note_v1")}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`;
  const values = [
    numberArray(progress.map(({ jobId }) => jobId)),
    textArray(progress.map(({ workerId }) => workerId)),
    numberArray(progress.map(({ claimedAt }) => claimedAt)),
    jsonArray(progress.map(({ value }) => value)),
    numberArray(lines.map(({ jobId }) => jobId)),
    numberArray(lines.map(({ at }) => at)),
    numberArray(lines.map(({ number }) => number)),
    numberArray(lines.map(({ attempt }) => attempt)),
    textArray(lines.map(({ message }) => message)),
    textArray(lines.map(({ fields }) => fields)),
    numberArray(full.map(({ jobId }) => jobId)),
    numberArray(full.map(({ kept }) => kept)),
    numberArray(done),
  ];
  await executor.query({ name: "howdah_note_1", text, values, timeoutMs });
}

/** What {@link writeNotes} writes. */
export interface Notes {
  readonly progress: readonly ProgressNote[];
  readonly lines: readonly LineNote[];
  /** Jobs that may have more lines than they keep. */
  readonly full: readonly { readonly jobId: string; readonly kept: number }[];
  /** The ids of jobs that were released as completed. */
  readonly done: readonly string[];
}

/** How far a job is. Times are microseconds since 1970. */
export interface ProgressNote {
  readonly jobId: string;
  readonly workerId: string;
  readonly claimedAt: string;
  /** As `JSON.stringify` writes it. */
  readonly value: string;
}

/** A line of the log of a job. */
export interface LineNote {
  readonly jobId: string;
  /** In microseconds since 1970. */
  readonly at: string;
  /** Tells the lines of a worker apart that have the same time. */
  readonly number: number;
  readonly attempt: number;
  readonly message: string;
  /** A JSON object. */
  readonly fields: string | null;
}

/** Returns the newest lines of the log of a job, the oldest of them first. */
export async function listJobLogs(
  { executor, schema }: NotesTarget,
  jobId: string,
  limit: number,
): Promise<LineRecord[]> {
  // $1 job id   $2 limit
  const text = `
select ${schema.of("_howdah_us")}(line.at), line.attempt, line.message, line.fields
from ${schema.of("_howdah_job_logs")} as line where line.job_id operator(pg_catalog.=) $1::pg_catalog.int8
order by line.at desc, line.seq desc limit $2::pg_catalog.int4`;
  const { rows } = await executor.query({ text, values: [jobId, String(limit)] });
  return rows.toReversed().map(([at, attempt, message, fields]) => ({
    at: at ?? "0",
    attempt: Number(attempt),
    message: message ?? "",
    fields: fields ?? null,
  }));
}

/** A stored line. */
export type LineRecord = Omit<LineNote, "jobId" | "number"> & { readonly fields: Cell };
