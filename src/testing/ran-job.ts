import type { Job } from "../job/job.ts";

/** One attempt at a job, and what a worker makes of it. */
export interface RanJob {
  /** The identifier of its task. */
  readonly task: string;
  /** As it is stored; the items of a batch. */
  readonly payload: unknown;
  /** The job as it was when it was started: `job.attempts` counts this attempt. */
  readonly job: Job;
  readonly outcome: RunOutcome;
  /** What becomes of the job: it is `done` and gone, it runs `again`, or it has `failed` for good and stays. `unknown` when it was lost. */
  readonly next: "done" | "again" | "failed" | "unknown";
  /** When it runs again; `undefined` when it does not. */
  readonly retryAt: Date | undefined;
  /** What the handler threw, or why the attempt failed without it: a timeout, a payload that does not fit its schema. */
  readonly error: unknown;
  /** What is stored as `lastError`: the message of the error, or the reason of `cancel()`. */
  readonly message: string | undefined;
  readonly durationMs: number;
}

/**
 * How an attempt ended. `interrupted`: the handler was told to stop because the
 * worker shuts down. `lost`: the job belonged to another worker in the end, or
 * what became of its outcome is not known.
 */
export type RunOutcome = "completed" | "failed" | "snoozed" | "cancelled" | "interrupted" | "lost";

/** A copy of a job that keeps its values, all of them properties of its own. */
export function copyOfJob(job: Job): Job {
  const { id, task, queueName, payload, priority, runAt, attempts, maxAttempts, lastError, createdAt, updatedAt } = job;
  const { jobKey, revision, flags, timeoutMs, lockedAt, lockedBy, state } = job;
  const what = { id, task, queueName, payload, priority, runAt, attempts, maxAttempts, lastError };
  return { ...what, createdAt, updatedAt, jobKey, revision, flags, timeoutMs, lockedAt, lockedBy, state };
}
