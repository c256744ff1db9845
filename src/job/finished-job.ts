import type { Job } from "./job.ts";

/**
 * A job that has ended and is kept, as it was then. `payload` is `undefined` when it is not kept,
 * `lockedAt` and `lockedBy` are null, `updatedAt` is when it ended.
 */
export interface FinishedJob<P = unknown> extends Omit<Job<P>, "state"> {
  readonly state: FinishedState;
  readonly finishedAt: Date;
  /** When the handler of its last attempt was called; null when that is not known, or there was none. */
  readonly startedAt: Date | null;
  /** Which worker had it last. */
  readonly workerId: string | null;
  /** What its handler returned; `undefined` when that was nothing, or it is not kept. */
  readonly result: unknown;
  /** Why it failed, or was cancelled; of a completed job why its result is not kept. */
  readonly error: string | null;
}

/**
 * How a job can have ended: `completed` by its handler or by a call, `failed` for good and cleaned up,
 * `cancelled` while it waited, or `removed`.
 */
export type FinishedState = "completed" | "failed" | "cancelled" | "removed";

/** All of them. */
export const FINISHED_STATES: readonly FinishedState[] = ["completed", "failed", "cancelled", "removed"];

/** An attempt at a job that has failed. */
export interface JobAttempt {
  /** Which one it was, from 1. One that was given back is counted again. */
  readonly attempt: number;
  /** When its handler was called; null when that is not known. */
  readonly startedAt: Date | null;
  /** When it was written down that it has failed. */
  readonly failedAt: Date;
  readonly workerId: string | null;
  readonly error: string | null;
  /** The stack of the error and of its causes. */
  readonly stack: string | null;
}
