import type { Job } from "../job/job.ts";

/** Why a worker ended. */
export type ShutdownReason = "stopped" | "signal" | "error";

/** Why a running job was taken from its handler. */
export type InterruptionReason = "shutdown" | "lost";

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
  /** The job was given back although its handler had started; the attempt is refunded. */
  jobInterrupted: { workerId: string; job: Job; reason: InterruptionReason };
  /** The outcome of a job was refused: the job no longer belongs to this worker. */
  jobReleaseRefused: { workerId: string; job: Job };
  /** Something in the background failed; the worker goes on. */
  workerError: { workerId: string; error: unknown; activity: string };
}

/** The name of an event. */
export type EventName = keyof Events;

const NAMES: Readonly<Record<EventName, true>> = {
  workerInit: true,
  workerStart: true,
  workerShutdown: true,
  jobFetch: true,
  jobStart: true,
  jobComplete: true,
  jobFail: true,
  jobPermanentlyFail: true,
  jobInterrupted: true,
  jobReleaseRefused: true,
  workerError: true,
};

/** The names of all events; the compiler sees to it that none is missing. */
export const EVENT_NAMES = Object.keys(NAMES) as readonly EventName[];
