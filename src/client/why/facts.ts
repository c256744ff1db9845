import type { WorkerReport } from "../../job/worker-report.ts";
import type { JobFactsOfRow, WorkerFactsRecord } from "../../postgres/queries/job-facts.ts";

/** What decides when a job runs, as it was at one moment. */
export interface JobFacts {
  readonly id: string;
  /** By the database's clock. */
  readonly now: Date;
  /** `undefined` when there is none. */
  readonly job: WaitingJob | undefined;
  /** Those that hold it or its queue first, then those that know its task. */
  readonly workers: readonly WorkerFacts[];
  /** How many listen and are not registered: what they run is not known. */
  readonly idleWorkers: number;
}

/** A job, and what its task and queue add. */
export interface WaitingJob extends Omit<JobFactsOfRow, "runAt" | "taskPausedUntil" | "queuePausedUntil"> {
  readonly runAt: Date;
  /** Null while it is not paused. */
  readonly taskPausedUntil: Date | null;
  readonly queuePausedUntil: Date | null;
}

/** A registered worker. */
export interface WorkerFacts extends Pick<WorkerFactsRecord, "id" | "silentMs" | "lock" | "isDeclaredDead"> {
  /** Null when it says nothing with its heartbeats. */
  readonly report: WorkerReport | null;
  /** What it said that it runs; null when it never said. */
  readonly tasks: readonly string[] | null;
}

/**
 * Whether a worker lives, as far as one look at it tells: sweepers watch for
 * longer before they decide. One that has just started, or has just lost its
 * session, has no lock for a moment, or ten seconds behind a pooler, and beats.
 */
export function isAlive({ isDeclaredDead, lock, silentMs }: WorkerFacts): boolean {
  return !isDeclaredDead && (lock === "held" || silentMs < (lock === "lost" ? LOST_MS : SILENT_MS));
}

/** Whether it runs jobs of this task; also when it may, because it does not say all of its tasks. */
export function mayKnow({ tasks, report }: WorkerFacts, task: string): boolean {
  return tasks === null || tasks.includes(task) || (report?.moreTasks ?? 0) > 0;
}

/** The flag of these because of which it leaves a job alone. */
export function forbiddenFlag({ report }: WorkerFacts, flags: readonly string[]): string | undefined {
  return flags.find((flag) => report?.forbiddenFlags.includes(flag));
}

/** As `lockLossTimeout`, by default. */
const LOST_MS = 8_000;

/** Several times as long as a worker keeps silent between two heartbeats. */
const SILENT_MS = 30_000;
