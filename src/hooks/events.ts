import type { Job } from "../job/job.ts";

/**
 * Every event with its properties. Observers are called after the fact; their
 * errors are logged and change nothing.
 */
export interface Events {
  /** The worker is built: connected, migrated, its tasks registered. */
  workerInit: { workerId: string; schema: string; concurrency: number };
  /** `run()` or `runOnce()` begins to claim. */
  workerStart: { workerId: string };
  /** The worker has released everything. */
  workerShutdown: { workerId: string; reason: ShutdownReason };
  /** `previousWorkerId` is dead, and `jobCount` of its jobs were returned; more may follow. */
  workerRecovered: { workerId: string; previousWorkerId: string; jobCount: number };
  /** This process has added this job; with a transaction of the application, perhaps before its commit. Of clients too. */
  jobAdd: { task: string; jobId: string };
  /** A claim was answered with this number of jobs, or has failed with an error. */
  claimEnd: { workerId: string; jobCount: number; durationMs: number; error?: unknown };
  /** A claim locked this job for this worker. */
  jobFetch: { workerId: string; job: Job };
  /** The handler is about to be called; `waitedMs` after the job was due, or was added when that was later. */
  jobStart: { workerId: string; job: Job; waitedMs: number };
  /** The job is done and its row is deleted. */
  jobComplete: { workerId: string; job: Job; durationMs: number };
  /** An attempt failed and there will be another. */
  jobFail: { workerId: string; job: Job; error: unknown; durationMs: number; retryAt: Date };
  /** The last attempt failed; the row stays. */
  jobPermanentlyFail: { workerId: string; job: Job; error: unknown; durationMs: number };
  /** The job was taken from a handler, or from a worker that is dead (`crashed`), and will run again. */
  jobInterrupted: { workerId: string; job: Job; reason: InterruptionReason };
  /** The jobs of a tick are decided: added by this worker, or by another one. */
  cronTick: { workerId: string; timestamp: Date; crontabs: readonly CronTarget[] };
  /** This worker has added the job of a tick; `backfilled` when the tick was due before it started. */
  cronJobScheduled: { workerId: string; crontab: CronTarget; scheduledAt: Date; jobId: string; backfilled: boolean };
  /** A local queue starts. */
  localQueueInit: { workerId: string; queue: number };
  /** A local queue changed its mode. */
  localQueueSetMode: { workerId: string; queue: number; oldMode: LocalQueueMode; newMode: LocalQueueMode };
  /** A batch arrived in a local queue. */
  localQueueGetJobsComplete: { workerId: string; queue: number; count: number };
  /** Jobs that were not started are returned to the database. */
  localQueueReturnJobs: { workerId: string; queue: number; count: number };
  /** A fetch returned few jobs, and the next one waits. */
  localQueueRefetchDelayStart: {
    workerId: string;
    queue: number;
    durationMs: number;
    threshold: number;
    abortThreshold: number;
  };
  /** Notifications of enough jobs have arrived, so the next fetch does not wait any longer. */
  localQueueRefetchDelayAbort: { workerId: string; queue: number; count: number; abortThreshold: number };
  /** The wait is over. */
  localQueueRefetchDelayExpired: { workerId: string; queue: number };
  /**
   * An attempt that had begun has ended in this way. Emitted once for each, after the event of that end. `waitedMs`
   * is what its `jobStart` said; `undefined` when its handler was not called.
   */
  jobSettle: {
    workerId: string;
    job: Job;
    outcome: AttemptOutcome;
    durationMs: number;
    waitedMs: number | undefined;
  };
  /** The outcome of a job was refused: the job no longer belongs to this worker. */
  jobReleaseRefused: { workerId: string; job: Job };
  /**
   * The outcome of a job was sent, the answer was lost, and another worker has
   * claimed the job since: the outcome may have been written or not.
   */
  jobOutcomeUnknown: { workerId: string; job: Job };
  /** Something in the background failed; the worker goes on. With `job` when it concerns only this job. */
  workerError: { workerId: string; error: unknown; activity: string; job?: Job | undefined };
}

/**
 * How an attempt ended: its outcome was written (`completed` to `interrupted`),
 * was not written because the job no longer was this worker's, or its row
 * refuses it (`lost`), or it is not known whether it was (`unknown`).
 */
export type AttemptOutcome =
  "completed" | "retried" | "failed" | "cancelled" | "snoozed" | "interrupted" | "lost" | "unknown";

/** Why a worker ended. */
export type ShutdownReason = "stopped" | "signal" | "error";

/** Why a running job was taken from its handler. */
export type InterruptionReason = "shutdown" | "lost" | "crashed";

/** The modes of a local queue; see `docs/guides/local-queue.md`. */
export type LocalQueueMode = "starting" | "polling" | "waiting" | "ttlExpired" | "released";

/** The subject of a cron event: an entry of the worker's own crontab, or a stored schedule. */
export interface CronTarget {
  readonly id: string;
  readonly source: "crontab" | "schedule";
  /** The identifier of the task. */
  readonly task: string;
}

/** The name of an event. */
export type EventName = keyof Events;

const NAMES: Readonly<Record<EventName, true>> = {
  workerInit: true,
  workerStart: true,
  workerShutdown: true,
  workerRecovered: true,
  jobAdd: true,
  claimEnd: true,
  jobFetch: true,
  jobStart: true,
  jobComplete: true,
  jobFail: true,
  jobPermanentlyFail: true,
  jobInterrupted: true,
  cronTick: true,
  cronJobScheduled: true,
  localQueueInit: true,
  localQueueSetMode: true,
  localQueueGetJobsComplete: true,
  localQueueReturnJobs: true,
  localQueueRefetchDelayStart: true,
  localQueueRefetchDelayAbort: true,
  localQueueRefetchDelayExpired: true,
  jobSettle: true,
  jobReleaseRefused: true,
  jobOutcomeUnknown: true,
  workerError: true,
};

/** The names of all events; the compiler checks that none is missing. */
export const EVENT_NAMES = Object.keys(NAMES) as readonly EventName[];
