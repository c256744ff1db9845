import type { Job, JobSpec } from "../job/job.ts";

/**
 * Every interceptor with its event and its decisions. Interceptors are called
 * in the order of registration and awaited. The first answer that is not
 * `continue` counts, and no further interceptor is called.
 */
export interface Interceptors {
  /** Before the handler is called. */
  beforeJobRun: { readonly event: JobRunEvent; readonly decision: JobRunDecision };
  /** After the handler has returned or thrown, before its outcome is written. */
  afterJobRun: { readonly event: JobRanEvent; readonly decision: JobRanDecision };
  /** Before a job is stored that this process adds. */
  beforeJobSchedule: { readonly event: JobScheduleEvent; readonly decision: JobScheduleDecision };
  /** Before a job is returned whose worker is dead, or shuts down without waiting for it. */
  jobRecovery: { readonly event: JobRecoveryEvent; readonly decision: JobRecoveryDecision };
}

/** A job is about to run. */
export interface JobRunEvent {
  readonly workerId: string;
  readonly job: Job;
  /** As it is stored, or as an earlier interceptor has changed it; the items of a batch. */
  readonly payload: unknown;
}

/**
 * The decision about a job that is about to run. Without one it runs unchanged.
 */
export type JobRunDecision =
  | {
      readonly action: "continue";
      /**
       * Replaces the payload for the schema and the handler; `undefined`
       * changes nothing. The stored payload does not change. A batch keeps its
       * number of items.
       */
      readonly payload?: unknown;
      /** Calls the handler inside of this function, for an `AsyncLocalStorage` or a trace. It must call `run` once. */
      readonly within?: (<T>(run: () => T) => T) | undefined;
    }
  /** The handler is not called, and the job is completed. */
  | { readonly action: "skip" }
  /** The handler is not called, and the attempt has failed. */
  | { readonly action: "fail"; readonly message: string };

/** A handler has returned or thrown. Not emitted for an aborted attempt. */
export interface JobRanEvent {
  readonly workerId: string;
  readonly job: Job;
  readonly outcome: "completed" | "failed" | "snoozed" | "cancelled";
  /** The error, if the attempt failed. */
  readonly error: unknown;
  readonly durationMs: number;
}

/** The decision about an attempt whose handler has ended. Without one its outcome does not change. */
export type JobRanDecision =
  /** The job is completed, whatever the handler did. */
  | { readonly action: "skip" }
  /** The attempt has failed, whatever the handler did. */
  | { readonly action: "fail"; readonly message: string };

/** How an add went: the ids of its jobs, none for a tick that another worker has added, or why it failed. */
export type ScheduleResult =
  | { readonly jobIds: readonly string[]; readonly error?: undefined }
  | { readonly jobIds?: undefined; readonly error: unknown };

/** One call that adds jobs. The same object in the events of all jobs that it adds. */
export interface ScheduleCall {
  /** `tick` for a crontab or a stored schedule, `trigger` for `schedules.trigger()`. */
  readonly method: "addJob" | "addJobs" | "addBatchJob" | "tick" | "trigger";
  /** How many jobs it adds. */
  readonly size: number;
  /** Calls `listener` once when the call has ended. Its errors are ignored. */
  whenEnded(listener: (result: ScheduleResult) => void): void;
}

/** A job is about to be added. */
export interface JobScheduleEvent {
  /** The identifier of its task. */
  readonly task: string;
  /** As it was given, or as an earlier interceptor has changed it. */
  readonly payload: unknown;
  /** With the defaults of its task. */
  readonly spec: JobSpec;
  readonly call: ScheduleCall;
}

/** The decision about a job that is about to be added. Without one it is added unchanged. */
export type JobScheduleDecision =
  | {
      readonly action: "continue";
      /** Checked and stored instead; `undefined` changes nothing. */
      readonly payload?: unknown;
      /** Checked and stored instead of the whole spec. */
      readonly spec?: JobSpec | undefined;
      /**
       * Properties that are stored with the payload and not checked by its
       * schema: set on a payload that is an object, or on every object of a
       * list. Other payloads do not change.
       */
      readonly attach?: Readonly<Record<string, unknown>> | undefined;
    }
  /** The add rejects with `HOWDAH_JOB_SKIPPED`; a tick is recorded without a job. */
  | { readonly action: "skip" }
  /** The add rejects with `HOWDAH_JOB_REFUSED`; a tick is tried again later. */
  | { readonly action: "fail"; readonly message: string };

/** A job was taken from a worker that no longer runs it. */
export interface JobRecoveryEvent {
  /** The worker that recovers it. */
  readonly workerId: string;
  /** The worker that held it; the same one when it shuts down. */
  readonly previousWorkerId: string;
  readonly job: Job;
  readonly reason: "crashed" | "shutdown";
}

/**
 * The decision about a job that was taken from its worker. Without one it runs
 * again later and the attempt does not count.
 */
export type JobRecoveryDecision =
  | {
      readonly action: "reschedule";
      readonly runAt: Date;
      /** Default: the attempt is refunded. */
      readonly attempts?: number | undefined;
    }
  /** The attempt has failed, with the usual delay. Default message: why the job was taken. */
  | { readonly action: "fail"; readonly message?: string | undefined }
  /** The job stays locked. */
  | { readonly action: "skip" };

/** The name of an interceptor. */
export type InterceptorName = keyof Interceptors;

const NAMES: Readonly<Record<InterceptorName, true>> = {
  beforeJobRun: true,
  afterJobRun: true,
  beforeJobSchedule: true,
  jobRecovery: true,
};

/** The names of all interceptors; the compiler checks that none is missing. */
export const INTERCEPTOR_NAMES = Object.keys(NAMES) as readonly InterceptorName[];
