import type { Duration } from "../runtime/duration.ts";
import type { JobSpec } from "./job.ts";
import type { KeepOptions } from "./keep-options.ts";
import type { RetryPolicy } from "./retry.ts";
import type { PayloadSchema } from "./schema.ts";
import type { TaskLimit } from "./task-limit.ts";
import type { DebounceOptions, UniqueOptions } from "./unique-options.ts";

/** A task without its handler: all that an add needs. `Input` is what is added, `Output` what the handler gets. */
export interface TaskDeclaration<Input = unknown, Output = Input> extends TaskOptions<Input> {
  readonly kind: "single";
  readonly payload?: PayloadSchema<Input, Output> | undefined;
}

/** What every kind of task can say about its jobs. */
export interface TaskOptions<Payload> {
  /** The name under which jobs are stored. 1 to 128 characters. */
  readonly identifier: string;
  /** Used for what an add leaves out. */
  readonly defaults?: (JobSpec | ((payload: Payload) => JobSpec)) | undefined;
  /** How many of its jobs run at once and start in a time, on all workers together. Default: no limit. */
  readonly limit?: TaskLimit<Payload> | undefined;
  /**
   * Whether there may be several jobs of the task that are alike. Used for adds that say
   * nothing of it and give no `jobKey`.
   */
  readonly unique?: UniqueOptions<Payload> | undefined;
  /** Lets its jobs wait until no other one like them was added for a while. Used as `unique`, and not with it. */
  readonly debounce?: DebounceOptions<Payload> | undefined;
  /** When a failed job runs again. */
  readonly retry?: RetryPolicy | undefined;
  /** Aborts the handler's signal and fails the attempt after this time. Default: none. */
  readonly timeout?: Duration | undefined;
  /**
   * For how long its jobs are kept when they have ended: a time such as `"7d"`, which also keeps
   * results, or an object. Default: not at all. The worker that was created last counts.
   */
  readonly keep?: Duration | KeepOptions | undefined;
  /**
   * The task, or its identifier, that gets a job whenever one of this task has failed for
   * good, with a {@link DeadLetter} as its payload: in the same transaction, so neither is
   * there without the other. None for a job that was cancelled. That job has no queue and 25
   * attempts, whatever the defaults of its task say. Default: none.
   */
  readonly deadLetter?: AnyTaskDeclaration | string | undefined;
  /** What becomes of a stored job whose payload does not fit the schema. Default: what the worker says. */
  readonly invalidPayload?: InvalidPayloadPolicy | undefined;
  /** Keeps what handlers log with `context.log`, for `listJobLogs`. Default: it goes to the log of the worker alone. */
  readonly logs?: boolean | JobLogOptions | undefined;
}

/** How much of the log of a job is kept. */
export interface JobLogOptions {
  /** The newest lines of a job, of all its attempts, 1 to 10000. Default 100. */
  readonly lines?: number | undefined;
}

/** What a job says of another one, which has failed for good: the payload of the task that `deadLetter` names. */
export interface DeadLetter<Payload = unknown> {
  readonly job: {
    readonly id: string;
    readonly task: string;
    readonly queueName: string | null;
    readonly key: string | null;
    /** As many as it could have: one that failed before they were used up counts as that, too. */
    readonly attempts: number;
    /** In ISO 8601. */
    readonly createdAt: string;
  };
  /** As it is stored: of a batch what is left of it. */
  readonly payload: Payload;
  /** Its last error; null for a job without one. */
  readonly error: string | null;
}

/**
 * What becomes of a job whose stored payload does not fit the schema of its
 * task: `fail` ends it for good, because another attempt would find the same
 * payload; `retry` lets it run again like any failed job.
 */
export type InvalidPayloadPolicy = "fail" | "retry";

/** How jobs of a task are gathered for one call. */
export interface GatherOptions {
  /** The most jobs of one call, 1 to 1000. */
  readonly size: number;
  /**
   * How long a call waits for more jobs while slots are free. Default 0: it takes
   * what is at hand. Jobs of a queue are not waited for.
   */
  readonly within?: Duration | undefined;
}

/** A batch task without its handler. `Input` and `Output` are those of an item. */
export interface BatchTaskDeclaration<Input = unknown, Output = Input> extends TaskOptions<readonly Input[]> {
  readonly kind: "batch";
  readonly item?: PayloadSchema<Input, Output> | undefined;
}

/** A batch task of any items, without its handler. */
// oxlint-disable-next-line typescript/no-explicit-any -- as below
export type AnyBatchTaskDeclaration = BatchTaskDeclaration<any, any>;

/** A task of either kind and any payload, without its handler. */
// oxlint-disable-next-line typescript/no-explicit-any -- a list of tasks holds tasks of any payload
export type AnyTaskDeclaration = TaskDeclaration<any, any> | AnyBatchTaskDeclaration;
