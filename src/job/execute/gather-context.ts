import type { Job } from "../job.ts";
import type { Directive } from "../directive.ts";
import type { JobContext } from "./context.ts";

/** What a handler that gathers jobs is given beside them. */
export interface GatherContext<State = unknown> extends Omit<
  JobContext<State>,
  "job" | "complete" | "progress" | "log"
> {
  /**
   * Aborted when every job of the call that has not ended must stop; each job has a signal
   * of its own. `signal.reason` is the `HowdahError` of the last one.
   */
  readonly signal: AbortSignal;
  /**
   * Ends one job before the call does, and lets its outcome be written: done, or what
   * a handler of that job alone would return or throw. Only the first word on a job counts.
   */
  settle(job: GatheredJob, outcome?: GatherOutcome): void;
  /** The same as `settle` with an error: the attempt has failed. */
  fail(job: GatheredJob, error: unknown): void;
}

/** One of the jobs of a call. */
export interface GatheredJob<Payload = unknown> {
  readonly job: Job;
  /** What the schema of the task makes of the payload, or the payload. */
  readonly payload: Payload;
  /** Aborted when this job must stop; `signal.reason` is a `HowdahError` that says why. */
  readonly signal: AbortSignal;
  /** Completes this job as part of a transaction; see {@link JobContext.complete}. */
  complete: JobContext["complete"];
  /** Says how far this job is; see {@link JobContext.progress}. */
  progress: JobContext["progress"];
  /** Logs a line about this job; see {@link JobContext.log}. */
  log: JobContext["log"];
}

/**
 * What becomes of one job: an `Error`, a promise that rejects, or an entry of
 * `Promise.allSettled` whose promise did, is a failed attempt; `snooze(…)` and
 * `cancel(…)` are as in any handler. Anything else is done.
 */
export type GatherOutcome =
  | Error
  | Directive
  | PromiseSettledResult<unknown>
  | string
  | number
  | bigint
  | boolean
  | object
  | null
  | undefined
  | void;
