import { errorMessage, storableText } from "../runtime/error-message.ts";

/**
 * What a worker said of itself with its last heartbeat. It takes 8 kB of its row
 * at most: what does not fit is left out, of the running jobs first, and then
 * of the tasks, and counted.
 */
export interface WorkerReport {
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** When its present `run()` or `runOnce()` began. */
  readonly runsSince: Date;
  /** How many jobs it runs at once. */
  readonly slots: number;
  /** How many of these are at work. */
  readonly busy: number;
  /** Jobs that it has claimed and that wait in memory for a slot. */
  readonly cached: number;
  /** The most jobs that each of its local queues holds; null without them. */
  readonly localQueueSize: number | null;
  /** Handlers that go on although they were told to stop and their slots were given to others. */
  readonly leftBehind: number;
  /** Attempts that have ended and are not written to the database yet. */
  readonly unwritten: number;
  /** Jobs that are locked under this id: those that run, wait in memory, or are not written yet. */
  readonly locked: number;
  readonly tasks: readonly string[];
  /** How many of its tasks are left out of `tasks`. */
  readonly moreTasks: number;
  readonly forbiddenFlags: readonly string[];
  /** How many of its forbidden flags are left out of `forbiddenFlags`. */
  readonly moreForbiddenFlags: number;
  readonly running: readonly RunningJob[];
  /** How many of the jobs that it runs are left out of `running`. */
  readonly moreRunning: number;
  readonly claims: ClaimHealth;
  /** The worker goes on under another id, and holds jobs under this one until they have ended. */
  readonly isRetired: boolean;
  /** The worker is shutting down: it takes no more jobs, and ends when its handlers have. */
  readonly isStopping: boolean;
}

/** A job that a worker runs. */
export interface RunningJob {
  readonly id: string;
  readonly task: string;
  readonly queueName: string | null;
  /** When its handler was called. */
  readonly since: Date;
}

/** How the claims of a worker do. */
export interface ClaimHealth {
  /** How long ago a claim last looked at the jobs without a queue from the first one on. */
  readonly fullScanAgeMs: number;
  /** In how long the next one may, if a slot is free. */
  readonly nextFullScanMs: number;
  /** In how long the next claim may look through all queues, if a slot is free. */
  readonly nextQueueScanMs: number;
  /** Since when every claim has failed; null while they succeed. */
  readonly failingSince: Date | null;
  /** What the last one failed with, without quoted values and at most 200 characters long; null while they succeed. */
  readonly lastError: string | null;
}

/** A worker at one moment, as it is written. Times are how long ago, so that no clock but the database's counts. */
export interface ReportFacts {
  readonly version: string;
  readonly revision: string | number | undefined;
  readonly host: string;
  readonly pid: number;
  readonly runsForMs: number;
  readonly concurrency: number;
  readonly busy: number;
  readonly cached: number;
  readonly localQueueSize: number | null;
  readonly leftBehind: number;
  readonly unwritten: number;
  readonly locked: number;
  readonly claims: ClaimFacts;
  readonly isRetired: boolean;
  readonly isStopping: boolean;
  readonly tasks: readonly string[];
  /** Strings, unless a function of the application returns something else. */
  readonly forbiddenFlags: readonly unknown[];
  /** Those that have run for the longest time first. */
  readonly running: readonly RunningFacts[];
}

/** A job that runs, as it is written. `progress` is reserved. */
export interface RunningFacts {
  readonly id: string;
  readonly task: string;
  readonly queue: string | null;
  readonly ms: number;
}

/** How claims do, as it is written. */
export interface ClaimFacts {
  readonly fullScanAgeMs: number;
  readonly nextFullScanMs: number;
  readonly nextQueueScanMs: number;
  /** For how long every claim has failed, and with what. */
  readonly failure: { readonly ms: number; readonly error: string } | null;
}

/** The most bytes of a report, as JSON. */
export const MAX_REPORT_BYTES = 8_192;

/** Writes a report as JSON that PostgreSQL can store. */
export function writeReport({ tasks, forbiddenFlags, running, ...rest }: ReportFacts): string {
  const host = storableText(rest.host, 255);
  const counts = { tasks: tasks.length, forbiddenFlags: forbiddenFlags.length, running: running.length };
  const bare = { ...rest, host, tasks: [], forbiddenFlags: [], running: [], more: counts };
  let left = MAX_REPORT_BYTES - bytesOf(bare);
  const fitting = <T>(items: readonly T[]): T[] => {
    const fit: T[] = [];
    for (const item of items) {
      // With the comma behind it.
      left -= bytesOf(item) + 1;
      if (left < 0) break;
      fit.push(item);
    }
    return fit;
  };
  // What comes last is cut first. No heartbeat may fail for a flag.
  const flagsThatFit = fitting(
    forbiddenFlags.map((flag) => storableText(typeof flag === "string" ? flag : typeof flag)),
  );
  const tasksThatFit = fitting(tasks);
  const runningThatFit = fitting(running);
  const more = {
    tasks: tasks.length - tasksThatFit.length,
    forbiddenFlags: forbiddenFlags.length - flagsThatFit.length,
    running: running.length - runningThatFit.length,
  };
  return JSON.stringify({
    ...bare,
    tasks: tasksThatFit,
    forbiddenFlags: flagsThatFit,
    running: runningThatFit,
    more,
  });
}

/** An error as a report has it: what is quoted may be a value of the application, and others may read the row. */
export function reportedError(error: unknown): string {
  const message = errorMessage(error).replaceAll(QUOTED, '"..."');
  // A database may be unable to store anything but ASCII.
  return storableText(message.replaceAll(/[^\u0020-\u007e]/g, "?"), MAX_ERROR_LENGTH);
}

/**
 * Reads the report of a worker whose last heartbeat was at this time; `null` for
 * what is none, such as that of another implementation or of a release that
 * wrote none. Never throws: others may store anything there.
 */
export function readReport(metadata: Readonly<Record<string, unknown>> | null, beatAt: Date): WorkerReport | null {
  if (metadata === null || !Array.isArray(metadata["running"])) return null;
  const more = record(metadata["more"]);
  const ago = (ms: unknown): Date => new Date(beatAt.getTime() - number(ms));
  const localQueueSize = metadata["localQueueSize"];
  return {
    version: text(metadata["version"]),
    host: text(metadata["host"]),
    pid: number(metadata["pid"]),
    runsSince: ago(metadata["runsForMs"]),
    slots: number(metadata["concurrency"]),
    busy: number(metadata["busy"]),
    cached: number(metadata["cached"]),
    localQueueSize: typeof localQueueSize === "number" ? localQueueSize : null,
    leftBehind: number(metadata["leftBehind"]),
    unwritten: number(metadata["unwritten"]),
    locked: number(metadata["locked"]),
    tasks: texts(metadata["tasks"]),
    moreTasks: number(more["tasks"]),
    forbiddenFlags: texts(metadata["forbiddenFlags"]),
    moreForbiddenFlags: number(more["forbiddenFlags"]),
    running: metadata["running"].map(record).map(({ id, task, queue, ms }) => ({
      id: text(id),
      task: text(task),
      queueName: typeof queue === "string" ? queue : null,
      since: ago(ms),
    })),
    moreRunning: number(more["running"]),
    claims: readClaims(record(metadata["claims"]), ago),
    isRetired: metadata["isRetired"] === true,
    isStopping: metadata["isStopping"] === true,
  };
}

const MAX_ERROR_LENGTH = 200;

/** As servers quote in some of their languages. */
const QUOTED =
  /"[^"]*"|'[^']*'|[\u201c\u201e][^\u201c\u201d]*[\u201c\u201d]|\u00ab[^\u00bb]*\u00bb|\u00bb[^\u00ab]*\u00ab/g;

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function readClaims(claims: Readonly<Record<string, unknown>>, ago: (ms: unknown) => Date): ClaimHealth {
  const failure = claims["failure"] === null ? undefined : claims["failure"];
  const failed = failure === undefined ? undefined : record(failure);
  return {
    fullScanAgeMs: number(claims["fullScanAgeMs"]),
    nextFullScanMs: number(claims["nextFullScanMs"]),
    nextQueueScanMs: number(claims["nextQueueScanMs"]),
    failingSince: failed ? ago(failed["ms"]) : null,
    lastError: failed ? text(failed["error"]) : null,
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** No number that is stored can make a time that there is not. */
function number(value: unknown): number {
  return typeof value === "number" && Math.abs(value) < 1e15 ? value : 0;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
