import type { Cell, Row } from "../driver.ts";
import { compareIntegers } from "../position.ts";
import { type JobRecord, WHOLE_JOB_COLUMNS, toJobRecord } from "./job-columns.ts";

/** What one statement has stored, in the order in which the jobs were given. */
export interface StoredJobs {
  /** The job that was given at this place, made when it is asked for: there may be thousands. `undefined` when a trigger dropped it. */
  at(index: number): StoredJob | undefined;
  /** What the workers are notified of, unless the statement has done that; `undefined` when nothing is due. */
  readonly due: DueJobs | undefined;
}

/** A job as it was stored. */
export interface StoredJob {
  readonly id: string;
  /** Microseconds since 1970, as all times here. */
  readonly runAt: string;
  readonly createdAt: string;
  /** A JSON object whose keys they are; null for none. */
  readonly flags: string | null;
  /** All of it, where it may differ from what was given: the key had a job, or a trigger has changed it. */
  readonly whole?: JobRecord;
  /** What the add did, where its job has a rule. One that was rejected is another one, or none: then it has no id. */
  readonly outcome?: "added" | "replaced" | "kept" | "rejected";
}

/** The jobs of a statement that are due, or are within two seconds: what is due later is found by polling. */
export interface DueJobs {
  readonly count: number;
  /** The earliest `run_at` in microseconds. */
  readonly at: string;
  readonly queueIds: readonly number[];
}

/** No job. */
export const NOTHING_STORED: StoredJobs = { at: () => undefined, due: undefined };

/** One job that was stored as it was given; without an id it was dropped. */
export function newJob({ id, runAt, createdAt, flags = null, queueId, isDue }: NewJobCells): StoredJobs {
  if (id == null || runAt == null || createdAt == null) return NOTHING_STORED;
  const job: StoredJob = { id, runAt, createdAt, flags };
  const due = isDue ? { count: 1, at: runAt, queueIds: queueId == null ? [] : [Number(queueId)] } : undefined;
  return { at: (index) => (index === 0 ? job : undefined), due };
}

/** What an answer tells of a single new job. */
export interface NewJobCells {
  readonly id: Cell | undefined;
  readonly runAt: Cell | undefined;
  readonly createdAt: Cell | undefined;
  readonly flags?: Cell | undefined;
  readonly queueId: Cell | undefined;
  readonly isDue: boolean;
}

/** Reads the answer of `_howdah_stored_jobs_v1`; `undefined` when there is none. */
export function readWholeJobs(json: Cell | undefined): StoredJobs | undefined {
  if (json == null) return undefined;
  const rows = JSON.parse(json) as readonly Row[];
  return {
    at(index) {
      const row = rows[index];
      return row && toStoredJob(toJobRecord(row));
    },
    get due() {
      return dueAmong(rows);
    },
  };
}

function toStoredJob(whole: JobRecord): StoredJob {
  const { id, runAt, createdAt, flags } = whole;
  return { id, runAt, createdAt, flags, whole };
}

function dueAmong(rows: readonly Row[]): DueJobs | undefined {
  const due = rows.filter((row) => row[IS_DUE] === "t");
  const [at, ...others] = due.map((row) => toJobRecord(row).runAt);
  if (at === undefined) return undefined;
  const queueIds = new Set(due.flatMap((row) => (row[QUEUE_ID] == null ? [] : Number(row[QUEUE_ID]))));
  const earliest = others.reduce((first, other) => (compareIntegers(other, first) < 0 ? other : first), at);
  return { count: due.length, at: earliest, queueIds: [...queueIds] };
}

/** What follows the columns of a whole job. */
const QUEUE_ID = WHOLE_JOB_COLUMNS;
const IS_DUE = WHOLE_JOB_COLUMNS + 1;
