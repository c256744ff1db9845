import type { Duration } from "../runtime/duration.ts";
import type { Job } from "./job.ts";

/** What a retry policy of your own is told about a failed attempt. */
export interface FailedAttempt {
  /** How often the job has been started, this attempt included. */
  readonly attempts: number;
  readonly error: unknown;
  readonly job: Job;
}

/**
 * When a failed job runs again. Without a policy: after e^min(attempts, 10)
 * seconds, that is 3 s, 7 s, 20 s, 55 s, 2.5 min … 6 h.
 *
 * - `exponential`: `first` (default 1s) times `factor` (default 2) to the power
 *   of attempts - 1, at most `max` (default 1d), shortened at random by up to
 *   `jitter` (0 to 1, default 0.1). After `deadline`, counted from when the job
 *   was due first, it fails for good.
 * - `fixed`: always after `delay`.
 * - a function: the delay, or `false` for no further attempt.
 */
export type RetryPolicy =
  | {
      readonly type: "exponential";
      readonly first?: Duration;
      readonly factor?: number;
      readonly max?: Duration;
      readonly jitter?: number;
      readonly deadline?: Duration;
    }
  | { readonly type: "fixed"; readonly delay: Duration }
  | ((failed: FailedAttempt) => Duration | false);
