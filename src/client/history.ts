import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { FINISHED_STATES, type FinishedJob, type FinishedState, type JobAttempt } from "../job/finished-job.ts";
import { toDate, toNullableDate } from "../job/row.ts";
import type { FinishedRecord } from "../postgres/queries/finished-record.ts";
import { type HistoryPlace, listFinishedJobs } from "../postgres/queries/history.ts";
import { type AttemptRecord, listAttempts } from "../postgres/queries/list-attempts.ts";
import { custom, integer, oneOf } from "../runtime/option-kinds.ts";
import { invalidOption, type OptionPlace, readOptions } from "../runtime/options.ts";
import { storableName } from "./job-filter.ts";
import { checkJobId } from "./job-ids.ts";
import { readTime } from "./option-readers.ts";
import type { Session } from "./session.ts";

/** Reads what is kept of jobs that have ended, and of attempts that have failed. */
export interface HistoryReads {
  /**
   * One page of finished jobs of tasks that keep them, the newest first. A filter by `task`, `jobKey` or time is served
   * by indexes; with others a page looks at 80,000 jobs at most, and `next` is there even when none was found.
   */
  history(options?: HistoryOptions): Promise<HistoryList>;
  /**
   * The failed attempts of a job, whether it waits, runs, has failed or is kept: the newest `limit`, in their
   * order. Empty for a job that is gone, or never failed.
   */
  listAttempts(id: string, options?: AttemptListOptions): Promise<JobAttempt[]>;
}

/** Which jobs {@link HistoryReads.history} returns. */
export interface HistoryOptions {
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
  readonly state?: FinishedState | undefined;
  /** Not finished before this time. */
  readonly since?: Date | string | undefined;
  /** Finished before this time. */
  readonly until?: Date | string | undefined;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

/** One page of finished jobs. */
export interface HistoryList {
  readonly jobs: FinishedJob[];
  /** What to give as `after`, with the same filter, for the next page; `undefined` when this was the last. */
  readonly next: string | undefined;
}

/** How many attempts {@link HistoryReads.listAttempts} returns. */
export interface AttemptListOptions {
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

/** The reads of history on one session. */
export function createHistory(session: Session): HistoryReads {
  const target = { executor: session.reads, schema: session.schema };
  return {
    async history(options) {
      const { after, limit, ...filter } = readOptions("history", options, HISTORY_OPTIONS);
      const { records, next } = await listFinishedJobs(target, filter, { after, limit });
      return { jobs: records.map((record) => toFinishedJob(record)), next: next && writeCursor(next) };
    },

    async listAttempts(id, options) {
      const { limit } = readOptions("listAttempts", options, { limit: LIMIT });
      return (await listAttempts(target, checkJobId(id), limit)).map(toAttempt);
    },
  };
}

const LIMIT = integer({ min: 1, max: 1000, default: 100 });

const HISTORY_OPTIONS = {
  task: storableName(MAX_LENGTH.identifier),
  queueName: storableName(MAX_LENGTH.queueName),
  jobKey: storableName(MAX_LENGTH.jobKey),
  state: oneOf(FINISHED_STATES),
  since: custom(readTime),
  until: custom(readTime),
  after: custom(readCursor),
  limit: LIMIT,
};

/** A finished job as applications see it. */
export function toFinishedJob(record: FinishedRecord): FinishedJob {
  const { id, task, queueName, priority, attempts, maxAttempts, key, workerId, state, error } = record;
  const finishedAt = toDate(record.finishedAt);
  return {
    id,
    task,
    queueName,
    payload: record.payload === null ? undefined : JSON.parse(record.payload),
    priority,
    runAt: toDate(record.runAt),
    attempts,
    maxAttempts,
    lastError: error,
    createdAt: toDate(record.createdAt),
    updatedAt: finishedAt,
    jobKey: key,
    revision: 0,
    flags: [],
    timeoutMs: null,
    lockedAt: null,
    lockedBy: null,
    state,
    finishedAt,
    startedAt: toNullableDate(record.startedAt),
    workerId,
    result: record.result === null ? undefined : JSON.parse(record.result),
    error,
  };
}

function toAttempt({ at, attempt, workerId, startedAt, error, stack }: AttemptRecord): JobAttempt {
  return { attempt, startedAt: toNullableDate(startedAt), failedAt: toDate(at), workerId, error, stack };
}

function writeCursor({ finishedAt, id }: HistoryPlace): string {
  return Buffer.from(`${finishedAt} ${id}`).toString("base64url");
}

function readCursor(given: unknown, place: OptionPlace): HistoryPlace {
  const text = typeof given === "string" && given.length <= 100 ? Buffer.from(given, "base64url").toString() : "";
  const [, finishedAt, id] = /^(-?\d{1,18}) (\d{1,18})$/.exec(text) ?? [];
  if (finishedAt !== undefined && id !== undefined) return { finishedAt, id };
  throw invalidOption(place, "must be the `next` of a page", given);
}
