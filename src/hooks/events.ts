import type { Job } from "../job/job.ts";

/** Why a worker ended. */
export type ShutdownReason = "stopped" | "signal" | "error";

/** Why a running job was taken from its handler. */
export type InterruptionReason = "shutdown" | "lost" | "crashed";

/** What a local queue is doing; see `docs/guides/local-queue.md`. */
export type LocalQueueMode = "starting" | "polling" | "waiting" | "ttlExpired" | "released";

/** What a cron event is about: an entry of the worker's own crontab, or a schedule that is stored. */
export interface CronTarget {
  readonly id: string;
  readonly source: "crontab" | "schedule";
  /** The identifier of the task. */
  readonly task: string;
}

/**
 * Every event and what its handlers are given. Observers are told after the
 * fact; what they throw is logged and changes nothing.
 */
export interface Events {
  /** The worker is built: connected, migrated, its tasks registered. */
  workerInit: { workerId: string; schema: string; concurrency: number };
  /** `run()` or `runOnce()` begins to claim. */
  workerStart: { workerId: string };
  /** The worker has released everything. */
  workerShutdown: { workerId: string; reason: ShutdownReason };
  /** `previousWorkerId` is dead. So many of its jobs were given back at once; more may follow. */
  workerRecovered: { workerId: string; previousWorkerId: string; jobCount: number };
  /** A claim locked this job for this worker. */
  jobFetch: { workerId: string; job: Job };
  /** The handler is about to be called. */
  jobStart: { workerId: string; job: Job };
  /** The job is done and its row is gone. */
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
  /** A local queue begins to work. */
  localQueueInit: { workerId: string; queue: number };
  /** A local queue changed its mode. */
  localQueueSetMode: { workerId: string; queue: number; oldMode: LocalQueueMode; newMode: LocalQueueMode };
  /** A batch arrived in a local queue. */
  localQueueGetJobsComplete: { workerId: string; queue: number; count: number };
  /** Jobs that nobody started go back to the database. */
  localQueueReturnJobs: { workerId: string; queue: number; count: number };
  /** A fetch brought little, and the next one waits. */
  localQueueRefetchDelayStart: {
    workerId: string;
    queue: number;
    durationMs: number;
    threshold: number;
    abortThreshold: number;
  };
  /** So many jobs were announced that the next fetch does not wait any longer. */
  localQueueRefetchDelayAbort: { workerId: string; queue: number; count: number; abortThreshold: number };
  /** The wait is over. */
  localQueueRefetchDelayExpired: { workerId: string; queue: number };
  /** The outcome of a job was refused: the job no longer belongs to this worker. */
  jobReleaseRefused: { workerId: string; job: Job };
  /** The outcome of a job was sent and its answer lost, and others have had the job since: it counted, or it did not. */
  jobOutcomeUnknown: { workerId: string; job: Job };
  /** Something in the background failed; the worker goes on. With `job` when it is about this job alone. */
  workerError: { workerId: string; error: unknown; activity: string; job?: Job | undefined };
}

/** The name of an event. */
export type EventName = keyof Events;

const NAMES: Readonly<Record<EventName, true>> = {
  workerInit: true,
  workerStart: true,
  workerShutdown: true,
  workerRecovered: true,
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
  jobReleaseRefused: true,
  jobOutcomeUnknown: true,
  workerError: true,
};

/** The names of all events; the compiler sees to it that none is missing. */
export const EVENT_NAMES = Object.keys(NAMES) as readonly EventName[];
