import type { Job, JobSpec } from "../job/job.ts";

/** A job is about to run. */
export interface JobRunEvent {
  readonly workerId: string;
  readonly job: Job;
  /** As it is stored, or as an interceptor before this one has left it; the items of a batch. */
  readonly payload: unknown;
}

/**
 * What happens to a job that is about to run. Nothing at all means that it
 * runs as it is.
 */
export type JobRunDecision =
  | {
      readonly action: "continue";
      /** Given to the schema and then to the handler instead; `undefined` changes nothing. What is stored stays. A batch keeps its number of items. */
      readonly payload?: unknown;
      /** Calls the handler from inside of this function, for an `AsyncLocalStorage` or a trace. It has to call `run` once. */
      readonly within?: (<T>(run: () => T) => T) | undefined;
    }
  /** The handler is not called, and the job is completed. */
  | { readonly action: "skip" }
  /** The handler is not called, and the attempt has failed. */
  | { readonly action: "fail"; readonly message: string };

/** A handler has returned or thrown. An attempt that was told to stop is not asked about. */
export interface JobRanEvent {
  readonly workerId: string;
  readonly job: Job;
  readonly outcome: "completed" | "failed" | "snoozed" | "cancelled";
  /** What was thrown, if the attempt failed. */
  readonly error: unknown;
  readonly durationMs: number;
}

/** What becomes of an attempt whose handler has ended. Nothing at all means that its outcome stays as it is. */
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
  /** Calls `listener` once when the call has ended. What it throws is ignored. */
  whenEnded(listener: (result: ScheduleResult) => void): void;
}

/** A job is about to be added. */
export interface JobScheduleEvent {
  /** The identifier of its task. */
  readonly task: string;
  /** As it was given, or as an interceptor before this one has left it. */
  readonly payload: unknown;
  /** With the defaults of its task. */
  readonly spec: JobSpec;
  readonly call: ScheduleCall;
}

/** What becomes of a job that is about to be added. Nothing at all means that it is added as it is. */
export type JobScheduleDecision =
  | {
      readonly action: "continue";
      /** Checked and stored instead; `undefined` changes nothing. */
      readonly payload?: unknown;
      /** Checked and stored instead of the whole spec. */
      readonly spec?: JobSpec | undefined;
      /**
       * Properties that travel with the payload, past its schema: set on a
       * payload that is an object, or on every object of one that is a list.
       * Other payloads stay as they are.
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
 * What becomes of a job that was taken from its worker. Nothing at all means
 * that it runs again later and the attempt does not count.
 */
export type JobRecoveryDecision =
  | {
      readonly action: "reschedule";
      readonly runAt: Date;
      /** Default: as if the attempt had not been. */
      readonly attempts?: number | undefined;
    }
  /** The attempt has failed, with the usual delay. Default message: why the job was taken. */
  | { readonly action: "fail"; readonly message?: string | undefined }
  /** The job stays locked. */
  | { readonly action: "skip" };

/**
 * Every interceptor: what it is asked, and what it may answer. Interceptors
 * are asked in the order of registration and waited for. The first answer that
 * is not `continue` counts, and ends the asking.
 */
export interface Interceptors {
  /** Before the handler is called. */
  beforeJobRun: { readonly event: JobRunEvent; readonly decision: JobRunDecision };
  /** After the handler has returned or thrown, before that is written down. */
  afterJobRun: { readonly event: JobRanEvent; readonly decision: JobRanDecision };
  /** Before a job is stored, whoever adds it from this process. */
  beforeJobSchedule: { readonly event: JobScheduleEvent; readonly decision: JobScheduleDecision };
  /** Before a job is given back whose worker is dead, or shuts down without waiting for it. */
  jobRecovery: { readonly event: JobRecoveryEvent; readonly decision: JobRecoveryDecision };
}

/** The name of an interceptor. */
export type InterceptorName = keyof Interceptors;

const NAMES: Readonly<Record<InterceptorName, true>> = {
  beforeJobRun: true,
  afterJobRun: true,
  beforeJobSchedule: true,
  jobRecovery: true,
};

/** The names of all interceptors; the compiler sees to it that none is missing. */
export const INTERCEPTOR_NAMES = Object.keys(NAMES) as readonly InterceptorName[];
