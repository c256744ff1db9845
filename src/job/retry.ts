import { parseDuration, type Duration } from "../runtime/duration.ts";
import { duration, number, oneOf, required } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, readObject, type OptionPlace } from "../runtime/options.ts";
import type { Job } from "./job.ts";

/**
 * When a failed job runs again. Without a policy: after e^min(attempts, 10)
 * seconds, that is 3 s, 7 s, 20 s, 55 s, 2.5 min … 6 h.
 *
 * - `exponential`: `first` (default 1s) times `factor` (default 2) to the power
 *   of attempts - 1, at most `max` (default 1d), shortened at random by up to
 *   `jitter` (0 to 1, default 0.1). No attempt begins later than `deadline`
 *   after the job was due first: then it fails for good. A job remembers only
 *   when it is due now, so that moment is taken to be the rests so far before
 *   it, but not before the job was created; time spent waiting for a worker and
 *   running, between attempts, does not count.
 * - `fixed`: always after `delay`.
 * - a function: the delay, or `false` for no further attempt. When it throws or
 *   returns something else, that is logged and the job runs again as it would
 *   without a policy.
 */
export type RetryPolicy =
  | {
      readonly type: "exponential";
      readonly first?: Duration | undefined;
      readonly factor?: number | undefined;
      readonly max?: Duration | undefined;
      readonly jitter?: number | undefined;
      readonly deadline?: Duration | undefined;
    }
  | { readonly type: "fixed"; readonly delay: Duration }
  | ((failed: FailedAttempt) => Duration | false);

/** What a retry policy of your own is told about a failed attempt. */
export interface FailedAttempt {
  /** How often the job has been started, this attempt included. */
  readonly attempts: number;
  readonly error: unknown;
  readonly job: Job;
}

/** A policy ready for use: milliseconds until the next attempt, or `false` for none. Never throws. */
export type CompiledRetry = (failed: FailedAttempt) => number | false;

/** What a policy needs from where it is used. */
export interface RetrySettings {
  /** Names the policy in messages. Default: "retry". */
  readonly place?: OptionPlace;
  /** Gives 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
  /** Told when a policy of the application's own threw or returned nonsense. Must not throw. */
  readonly onFault?: (error: unknown, failed: FailedAttempt) => void;
}

/**
 * Checks a policy and makes it ready for use. Throws `HOWDAH_OPTION_UNKNOWN`
 * or `HOWDAH_OPTION_INVALID` for a policy that cannot be.
 */
export function compileRetry(policy?: RetryPolicy, settings: RetrySettings = {}): CompiledRetry {
  const { place = { owner: "retry", path: "" } } = settings;
  if (policy === undefined) return defaultRetry;
  if (typeof policy === "function") return ownRetry(policy, settings);
  const type = isOptionsObject(policy) ? policy.type : undefined;
  switch (type) {
    case "exponential":
      return exponentialRetry(readObject(place, policy, EXPONENTIAL), settings.random ?? Math.random);
    case "fixed": {
      const { delayMs } = readObject(place, policy, FIXED);
      return () => delayMs;
    }
    default:
      throw invalidOption(place, 'must be a function or an object of type "exponential" or "fixed"', type ?? policy);
  }
}

const FIXED = { type: oneOf(["fixed"]), delay: required(duration()) };

const EXPONENTIAL = {
  type: oneOf(["exponential"]),
  first: duration({ default: "1s" }),
  factor: number({ min: 1, default: 2 }),
  max: duration({ default: "1d" }),
  jitter: number({ min: 0, max: 1, default: 0.1 }),
  deadline: duration(),
};

interface Exponential {
  readonly firstMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: number;
  readonly deadlineMs: number | undefined;
}

function defaultRetry({ attempts }: FailedAttempt): number {
  return Math.round(Math.exp(Math.min(attempts, 10)) * 1000);
}

function exponentialRetry(policy: Exponential, random: () => number): CompiledRetry {
  return ({ attempts, job }) => {
    const delayMs = Math.round(fullDelayMs(policy, attempts) * (1 - policy.jitter * random()));
    if (policy.deadlineMs === undefined) return delayMs;
    // The database's times of the job, not the worker's clock, which may be wrong: a wrong one would end jobs early.
    const startedAt = Math.max((job.lockedAt ?? job.runAt).getTime(), job.runAt.getTime());
    return startedAt + delayMs > firstDueAt(policy, attempts, job) + policy.deadlineMs ? false : delayMs;
  };
}

/** Every attempt so far moved the job by at least its shortest rest. */
function firstDueAt(policy: Exponential, attempts: number, job: Job): number {
  let restedMs = 0;
  for (let attempt = 1; attempt < attempts; attempt++) restedMs += fullDelayMs(policy, attempt) * (1 - policy.jitter);
  return Math.max(job.createdAt.getTime(), job.runAt.getTime() - restedMs);
}

function fullDelayMs({ firstMs, factor, maxMs }: Exponential, attempt: number): number {
  return Math.min(maxMs, firstMs * factor ** (attempt - 1));
}

function ownRetry(policy: (failed: FailedAttempt) => unknown, { onFault }: RetrySettings): CompiledRetry {
  return (failed) => {
    try {
      const answer = policy(failed);
      // An answer that comes later comes too late, and must not end the process when it is a rejection.
      if (answer instanceof Promise) answer.catch(() => undefined);
      return answer === false ? false : parseDuration(answer, "the delay that a retry policy returns");
    } catch (error) {
      onFault?.(error, failed);
      return defaultRetry(failed);
    }
  };
}
