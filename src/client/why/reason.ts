import type { JobFacts } from "./facts.ts";

/** One thing that keeps a job from running, or what has become of it. */
export interface JobReason {
  readonly code: JobReasonCode;
  /** One sentence or two. */
  readonly message: string;
  /** What mends it, or that nothing has to be done. */
  readonly remedy: string;
  /** The worker that it is about. */
  readonly workerId?: string | undefined;
  /** The other job that it is about. */
  readonly jobId?: string | undefined;
  /** When it is over, if that is known. */
  readonly until?: Date | undefined;
  /** How many jobs come first; not exact at 1,000. */
  readonly jobsBefore?: number | undefined;
}

/** What a {@link JobReason} is, in the order in which they are told. */
export type JobReasonCode = (typeof JOB_REASONS)[number];

/** All of them, in the order in which they are told. */
export const JOB_REASONS = [
  "gone",
  "running",
  "in_memory",
  "holder_dead",
  "cancelled",
  "failed",
  "scheduled",
  "task_paused",
  "queue_paused",
  "no_worker",
  "task_unknown",
  "flag_forbidden",
  "queue_locked",
  "parked",
  "limit",
  "rate",
  "pool",
  "not_first",
  "slots_busy",
  "claims_fail",
  "unannounced",
  "soon",
] as const;

/** Says whether one reason holds. */
export type ReasonRule = (facts: JobFacts) => JobReason | undefined;
