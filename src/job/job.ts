import type { Duration } from "../runtime/duration.ts";
import type { DebounceOptions, UniqueOptions } from "./unique-options.ts";

/** A stored job, as it was when it was read. */
export interface Job<P = unknown> {
  /** A bigint, as a string. */
  readonly id: string;
  readonly task: string;
  readonly queueName: string | null;
  readonly payload: P;
  readonly priority: number;
  readonly runAt: Date;
  /** How often it was started. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly jobKey: string | null;
  /** How often an add with the same key changed this row. */
  readonly revision: number;
  readonly flags: readonly string[];
  /** How long one attempt may take, in milliseconds; null leaves that to the task. */
  readonly timeoutMs: number | null;
  readonly lockedAt: Date | null;
  readonly lockedBy: string | null;
  readonly state: JobState;
  /** What its handler has said last of how far it is. Only of jobs that `getJob` returns, and only once a handler has. */
  readonly progress?: JobProgress | undefined;
}

/** How far a job is. */
export interface JobProgress {
  /** What the handler gave to `context.progress`. */
  readonly value: unknown;
  /** When it was written, by the database's clock. */
  readonly at: Date;
}

/** A line of the log of a job. */
export interface JobLogLine {
  /** When the handler logged it, by the database's clock as the worker reckons it. */
  readonly at: Date;
  /** The attempt that logged it. */
  readonly attempt: number;
  readonly message: string;
  /** As JSON holds them; null for none. */
  readonly fields: Readonly<Record<string, unknown>> | null;
}

/** Stands for the result of a job in its type. No job has this property. */
declare const RESULT: unique symbol;

/** A job that ends with a result of this type. */
export interface Results<Result = unknown> {
  readonly id: string;
  readonly [RESULT]?: { readonly of: Result } | undefined;
}

/** A job as an add returns it. */
export interface AddedJob<P = unknown, Result = unknown> extends Job<P>, Results<Result> {
  /** What the add did, of calls that add a job with `unique` or `debounce`. */
  readonly outcome?: AddOutcome | undefined;
  /**
   * True when the add was not accepted because of `unique.for`, and the job for which
   * that was is gone. Then `id`, `task`, `jobKey` and `createdAt` are those of that job, and the rest is
   * what this add has given.
   */
  readonly hasEnded?: boolean | undefined;
}

/**
 * What an add did: it `added` a job; it `replaced` one that waited under the same
 * key; or one with the same key was `kept`, and nothing was added.
 */
export type AddOutcome = "added" | "kept" | "replaced";

/**
 * Where a job stands: `ready` to run, `scheduled` for later, `running` on a
 * worker, or `failed` for good, its attempts used up.
 */
export type JobState = "ready" | "scheduled" | "running" | "failed";

/** All of them, in the order of a job's life. */
export const JOB_STATES: readonly JobState[] = ["ready", "scheduled", "running", "failed"];

/** How and when a job runs. Everything is optional. */
export interface JobSpec {
  /** Jobs of one queue run one after another, never two at once. At most 128 characters. */
  readonly queueName?: string | undefined;
  /** Not before this time; a string in ISO 8601. Default: now, by the database's clock. */
  readonly runAt?: Date | string | undefined;
  /**
   * Not before this time has passed since the job was added, by the database's
   * clock: since the transaction that adds it began. Not together with `runAt`.
   */
  readonly runIn?: Duration | undefined;
  /** How often the job is started at most, 1 to 32767. Default 25. */
  readonly maxAttempts?: number | undefined;
  /** At most one waiting job has this key. 1 to 512 characters. */
  readonly jobKey?: string | undefined;
  /** What a second add with the same key does. Default `"replace"`. */
  readonly jobKeyMode?: JobKeyMode | undefined;
  /**
   * Whether there may be another job like it, and what becomes of this add then.
   * With a `jobKey`, which takes the place of `by`, or without. `false` switches the default of the task off.
   */
  readonly unique?: UniqueOptions | false | undefined;
  /**
   * Is due when no other job like it was added for a while; until then it is
   * replaced. Neither with `unique` nor with `runAt` or `runIn`. `false` switches
   * the default of the task off.
   */
  readonly debounce?: DebounceOptions | false | undefined;
  /** Lower numbers run first, -32768 to 32767. Default 0. */
  readonly priority?: number | undefined;
  /** Workers that forbid one of these flags leave the job alone. */
  readonly flags?: readonly string[] | undefined;
  /**
   * Aborts the handler's signal and fails the attempt after this time, 1 ms to
   * 24 days. Default: that of the task.
   */
  readonly timeout?: Duration | undefined;
  /**
   * Keeps the result of the job for a day, unless its task keeps it longer, so
   * that `result` of a client finds it. Default false.
   */
  readonly awaited?: boolean | undefined;
}

/** What happens when a job with the same key is already stored. */
export type JobKeyMode = "replace" | "preserve_run_at" | "unsafe_dedupe";
