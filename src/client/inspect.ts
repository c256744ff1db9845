import { MAX_LENGTH } from "../job/add/job-spec.ts";
import type { FinishedJob } from "../job/finished-job.ts";
import type { Job } from "../job/job.ts";
import { toJob, toNullableDate } from "../job/row.ts";
import { getFinishedJob } from "../postgres/queries/history.ts";
import { getJob } from "../postgres/queries/list-jobs.ts";
import type { CountTarget } from "../postgres/queries/count-jobs.ts";
import { COUNTED, listQueues, type QueueFilter, type QueuePageRequest } from "../postgres/queries/list-queues.ts";
import { boolean, custom, integer, oneOf } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { toPauseEnd } from "./control.ts";
import { type Count, countUpTo, type JobStats, readStats } from "./counts.ts";
import { type GroupStats, readGroupStats } from "./read-group-stats.ts";
import { type ErrorList, readErrors } from "./errors-by-line.ts";
import { toFinishedJob } from "./history.ts";
import { readCursor } from "./job-cursor.ts";
import { FILTER_OPTIONS, type JobFilter, storableName, toFilter } from "./job-filter.ts";
import { checkJobId } from "./job-ids.ts";
import { type JobList, readJobList } from "./read-job-list.ts";
import { type QueueLimits, toQueueLimits } from "./queue-limits.ts";
import type { Session } from "./session.ts";
import { explainJob, type JobExplanation } from "./why/explain-job.ts";

/**
 * Reads what is stored, without changing anything. Outside of a transaction of
 * the application lists and counts are read one at a time, and each statement
 * ends after two seconds with `HOWDAH_QUERY_TIMEOUT`.
 */
export interface JobInspection {
  /**
   * The job with this id: one that waits, runs or has failed, or one that has ended, if its
   * task keeps it; that one has a `finishedAt`. `undefined` for others.
   */
  getJob(id: string): Promise<Job | FinishedJob | undefined>;
  /**
   * Why the job with this id does not run: everything that is in its way, what
   * counts first on top, each with what mends it; or where it runs, and for how
   * long, or what became of it. One statement, which reads what its row, task,
   * queue and the registered workers say; workers say it with each heartbeat, so
   * it may be four seconds old. A job that is gone is a reason, no error.
   */
  explainJob(id: string): Promise<JobExplanation>;
  /**
   * One page of jobs, in the order of the index that serves the filter:
   *
   *   `state: "ready"` or `"scheduled"`, nothing else   by due time
   *   `queueName`       those that may still run as they will, by priority and
   *                     due time; then those that failed, by id
   *   everything else   by id
   *
   * No page costs more than that, however far into the table it is. Where no
   * index serves the filter, a page looks at 50,000 jobs at most (20,000 for a
   * payload) and says which: `next` is there even when none was found.
   */
  listJobs(options?: JobListOptions): Promise<JobList>;
  /**
   * Counts the jobs by state: exactly up to 100,000 jobs in a table of less than
   * 128 MB. Beyond that, states with at most 10,000 jobs are counted exactly and
   * others estimated by the sizes of indexes. Jobs that run are counted where
   * claims take them, never in a sample; behind thousands of due jobs that no
   * worker takes they are not found, and the count is not exact.
   */
  stats(): Promise<JobStats>;
  /**
   * Counts the jobs by state of each task, queue or error, for the hundred
   * largest. In a table of more than 128 MB on 2,000 of its pages, chosen at
   * random, and scaled up: a group with few jobs may be missing there. Errors
   * are those of {@link listErrors}.
   */
  stats(options: { readonly by: "task" | "queue" | "error" }): Promise<GroupStats>;
  /** The errors of the newest 20,000 jobs that failed for good, by their first line, the most frequent first. */
  listErrors(options?: ErrorListOptions): Promise<ErrorList>;
  /**
   * One page of the named queues by name, in the order of the database. A page
   * with a filter looks at 50,000 queues at most; `next` is there even when none
   * was found.
   */
  listQueues(options?: QueueListOptions): Promise<QueueList>;
}

/** Which jobs {@link JobInspection.listJobs} returns. */
export interface JobListOptions extends JobFilter {
  /** The last first, in the order of the list. Default false. */
  readonly backward?: boolean | undefined;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
  /** With false the database does not read the payloads, and each is null. Default true. */
  readonly withPayloads?: boolean | undefined;
}

/** Which errors {@link JobInspection.listErrors} returns. */
export interface ErrorListOptions {
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

/** Which queues {@link JobInspection.listQueues} returns. */
export interface QueueListOptions {
  /** A part of the name. */
  readonly search?: string | undefined;
  readonly isPaused?: boolean | undefined;
  /** Whether a worker holds it, or, when it has rules, one of its lanes. Without a limit it has none. */
  readonly isLocked?: boolean | undefined;
  /** Whether it has jobs that may still run. */
  readonly hasJobs?: boolean | undefined;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

/** One page of queues. */
export interface QueueList {
  readonly queues: QueueInfo[];
  /** What to give as `after` for the next page; `undefined` when this was the last. */
  readonly next: string | undefined;
}

/** A named queue, as it was when it was read. */
export interface QueueInfo {
  readonly name: string;
  /** Its jobs that run or wait, without those that failed for good. Not exact above 1,000: then there are more. */
  readonly jobCount: Count;
  /** How many of these are in the state `ready`. Not exact where `jobCount` is not. */
  readonly readyCount: Count;
  readonly lockedAt: Date | null;
  readonly lockedBy: string | null;
  /** True while none of its jobs is claimed, because it is paused. */
  readonly isPaused: boolean;
  /** When the pause ends by itself; null when it does not, or there is none. */
  readonly pausedUntil: Date | null;
  /** What its rules leave to its jobs; null for a queue without rules, which runs one job at a time. */
  readonly limits: QueueLimits | null;
}

/** The inspecting methods on one session. */
export function createInspection(session: Session): JobInspection {
  const { schema } = session;
  const target = { executor: session.reads, schema };
  return {
    async getJob(id) {
      const found = await getJob(session, schema, checkJobId(id));
      if (found) return toJob(found);
      // In this order: a job that ends in between is in history already.
      const finished = await getFinishedJob({ executor: session, schema }, id);
      return finished && toFinishedJob(finished);
    },

    async explainJob(id) {
      // Not from a replica: that has no sessions of workers, which stand for their lives.
      return explainJob({ executor: session.primaryReads, schema }, checkJobId(id));
    },

    async listJobs(options) {
      const { backward, after, limit, withPayloads, ...filter } = readOptions("listJobs", options, LIST_OPTIONS);
      return readJobList(target, toFilter(filter), { isBackward: backward, after, limit, withPayloads });
    },

    stats: (async (options?: unknown) => {
      const { by } = readOptions("stats", options, { by: oneOf(["task", "queue", "error"]) });
      return by === undefined ? readStats(target) : readGroupStats(target, by);
    }) as JobInspection["stats"],

    async listErrors(options) {
      const { limit, ...filter } = readOptions("listErrors", options, {
        task: FILTER_OPTIONS.task,
        queueName: FILTER_OPTIONS.queueName,
        limit: LIMIT,
      });
      return readErrors(target, filter, limit);
    },

    async listQueues(options) {
      const { limit, after, ...filter } = readOptions("listQueues", options, {
        search: storableName(MAX_LENGTH.queueName),
        isPaused: boolean(),
        isLocked: boolean(),
        hasJobs: boolean(),
        after: storableName(MAX_LENGTH.queueName),
        limit: LIMIT,
      });
      return readQueueList(target, filter, { after, limit });
    },
  };
}

const LIMIT = integer({ min: 1, max: 1000, default: 100 });

const LIST_OPTIONS = {
  ...FILTER_OPTIONS,
  backward: boolean({ default: false }),
  after: custom(readCursor),
  limit: LIMIT,
  withPayloads: boolean({ default: true }),
};

/** Reads one page of queues. */
export async function readQueueList(
  target: CountTarget,
  filter: QueueFilter,
  request: QueuePageRequest,
): Promise<QueueList> {
  const { queues: records, hasMore, searchedTo, asOf } = await listQueues(target, filter, request);
  const queues = records.map(({ jobs, ready, running, lockedAt, pausedUntil, limits, ...queue }) => ({
    ...queue,
    jobCount: countUpTo(COUNTED, { looked: jobs, found: jobs, asOf }),
    readyCount: countUpTo(COUNTED, { looked: jobs, found: ready, asOf }),
    lockedAt: toNullableDate(lockedAt),
    isPaused: pausedUntil !== null,
    pausedUntil: pausedUntil === null ? null : toPauseEnd(pausedUntil),
    limits: limits && toQueueLimits(limits, running),
  }));
  return { queues, next: hasMore ? queues.at(-1)?.name : searchedTo };
}
