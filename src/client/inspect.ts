import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { JOB_STATES, type Job, type JobState } from "../job/job.ts";
import { toDate, toJob, toNullableDate } from "../job/row.ts";
import { countJobs, countSampledJobs, type JobCounts } from "../postgres/queries/count-jobs.ts";
import { getJob, listJobs } from "../postgres/queries/list-jobs.ts";
import { listQueues } from "../postgres/queries/list-queues.ts";
import { custom, integer, oneOf, string } from "../runtime/option-kinds.ts";
import { optionLabel, readOptions } from "../runtime/options.ts";
import { toPauseEnd } from "./control.ts";
import { checkJobId } from "./job-ids.ts";
import type { Session } from "./session.ts";

/** Which jobs {@link JobInspection.listJobs} returns. */
export interface JobListOptions {
  readonly state?: JobState | undefined;
  readonly task?: string | undefined;
  readonly queueName?: string | undefined;
  readonly jobKey?: string | undefined;
  /** Only jobs with a larger id: the `next` of the page before. */
  readonly after?: string | undefined;
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

/** One page of jobs. */
export interface JobList {
  /** By id, the oldest first. */
  readonly jobs: Job[];
  /** What to give as `after` for the next page; `undefined` when this was the last. */
  readonly next: string | undefined;
}

/** How many jobs there are in each state. */
export interface JobStats extends JobCounts {
  /** False when there are too many to count; then the numbers are estimates. */
  readonly exact: boolean;
  /** When they were counted, by the database's clock. */
  readonly asOf: Date;
}

/** A named queue, as it was when it was read. */
export interface QueueInfo {
  readonly name: string;
  readonly jobCount: number;
  /** How many of its jobs are in the state `ready`. */
  readonly readyCount: number;
  readonly lockedAt: Date | null;
  readonly lockedBy: string | null;
  /** True while none of its jobs is claimed, because it is paused. */
  readonly isPaused: boolean;
  /** When the pause ends by itself; null when it does not, or there is none. */
  readonly pausedUntil: Date | null;
}

/** Reads what is stored, without changing anything. */
export interface JobInspection {
  /** The job with this id, or `undefined`: jobs that are done are gone. */
  getJob(id: string): Promise<Job | undefined>;
  /** One page of jobs by id. A page costs what its rows cost, however far into the table it is. */
  listJobs(options?: JobListOptions): Promise<JobList>;
  /**
   * Counts the jobs by state. Above 100,000 jobs it counts on some 2,000 pages
   * of the table, chosen at random, and scales up: good to a few percent for
   * states with many jobs, while a state with a handful may be reported as 0.
   */
  stats(): Promise<JobStats>;
  /** Every named queue, by name. Reads the whole table of jobs. */
  listQueues(): Promise<QueueInfo[]>;
}

/** The most jobs that are counted one by one. */
const MAX_COUNTED = 100_000;

/** How many pages are looked at for an estimate: 16 MB, so that it costs the same however large the table is. */
const SAMPLED_PAGES = 2_000;

/** The inspecting methods on one session. */
export function createInspection(session: Session): JobInspection {
  const { schema } = session;
  return {
    async getJob(id) {
      const found = await getJob(session, schema, checkJobId(id));
      return found && toJob(found);
    },

    async listJobs(options) {
      const { limit, ...filter } = readListOptions(options);
      // One more than asked for tells whether there is a next page.
      const found = await listJobs({ executor: session, schema }, filter, limit + 1);
      const jobs = found.slice(0, limit).map((record) => toJob(record));
      return { jobs, next: found.length > limit ? jobs.at(-1)?.id : undefined };
    },

    async stats() {
      const first = await countJobs(session, schema, MAX_COUNTED + 1);
      const { ready, scheduled, running, failed } = first.counts;
      if (ready + scheduled + running + failed <= MAX_COUNTED)
        return { ...first.counts, exact: true, asOf: toDate(first.asOf) };
      const share = Math.min(1, SAMPLED_PAGES / Math.max(first.pages, 1));
      const { counts, asOf } = await countSampledJobs(session, schema, share * 100);
      return { ...scaled(counts, 1 / share), exact: false, asOf: toDate(asOf) };
    },

    async listQueues() {
      const queues = await listQueues(session, schema);
      return queues.map(({ pausedUntil, lockedAt, ...queue }) => ({
        ...queue,
        lockedAt: toNullableDate(lockedAt),
        isPaused: pausedUntil !== null,
        pausedUntil: pausedUntil === null ? null : toPauseEnd(pausedUntil),
      }));
    },
  };
}

function readListOptions(options: unknown) {
  return readOptions("listJobs", options, {
    state: oneOf(JOB_STATES),
    task: string({ maxLength: MAX_LENGTH.identifier }),
    queueName: string({ maxLength: MAX_LENGTH.queueName }),
    jobKey: string({ maxLength: MAX_LENGTH.jobKey }),
    after: custom((given, place) => checkJobId(given, optionLabel(place))),
    limit: integer({ min: 1, max: 1000, default: 100 }),
  });
}

function scaled(counts: JobCounts, factor: number): JobCounts {
  return {
    ready: Math.round(counts.ready * factor),
    scheduled: Math.round(counts.scheduled * factor),
    running: Math.round(counts.running * factor),
    failed: Math.round(counts.failed * factor),
  };
}
