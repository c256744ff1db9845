import { MAX_LENGTH } from "../job/add/job-spec.ts";
import { toDate } from "../job/row.ts";
import {
  listSamples,
  listTaskSamples,
  SAMPLE_COLUMNS,
  type SampleRecord,
  type TaskSampleRecord,
} from "../postgres/queries/samples.ts";
import { integer, oneOf } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { FILTER_OPTIONS, storableName } from "./job-filter.ts";
import type { Session } from "./session.ts";

/** How the jobs did over time. */
export interface SampleReads {
  /**
   * What workers counted every ten seconds, or the averages of minutes and ten
   * minutes, in the order of time: the newest `limit` of them. Ten seconds are
   * kept for a day, minutes for two weeks, ten minutes for 400 days. None where
   * every worker has `samples: false`.
   */
  listSamples(options?: SampleListOptions): Promise<Sample[]>;
  /** What the handlers of each task did in each minute, in the order of time. Kept for a week. */
  listTaskSamples(options?: TaskSampleListOptions): Promise<TaskSample[]>;
}

/** Which samples {@link SampleReads.listSamples} returns. */
export interface SampleListOptions {
  /** Not before this time; a string in ISO 8601. Default: as far back as `limit` goes. */
  readonly since?: Date | string | undefined;
  /** Before this time. Default: up to now. */
  readonly until?: Date | string | undefined;
  /** Default 10s. */
  readonly resolution?: "10s" | "1m" | "10m" | undefined;
  /** 1 to 10000. Default 1000. */
  readonly limit?: number | undefined;
}

/** Which samples {@link SampleReads.listTaskSamples} returns. */
export interface TaskSampleListOptions {
  /** Not before this time; a string in ISO 8601. Default: as far back as `limit` goes. */
  readonly since?: Date | string | undefined;
  readonly task?: string | undefined;
  /** 1 to 10000. Default 1000. */
  readonly limit?: number | undefined;
}

/** The jobs at one time, or their averages over a longer one. Counts of more than 10,000 are estimates. */
export interface Sample {
  /** The beginning of the ten seconds, the minute or the ten minutes. */
  readonly at: Date;
  readonly ready: number;
  readonly scheduled: number;
  /** As workers say with their heartbeats: jobs that other implementations run count as `ready`. */
  readonly running: number;
  readonly failed: number;
  /** Those that were heard of within a minute. */
  readonly workers: number;
  readonly slots: number;
  /** Slots at work. */
  readonly busy: number;
  /** Dead rows of the jobs, as the statistics of PostgreSQL have it. */
  readonly deadRows: number;
  /** For how long the oldest due job had waited, the longest time of all; null without one. */
  readonly oldestDueMs: number | null;
  /** How long the oldest transaction had gone on that keeps vacuum from removing rows; null when none is seen. */
  readonly oldestSnapshotMs: number | null;
  /** How long it took the server to take the sample. */
  readonly tookMs: number;
  /**
   * How many rows of jobs were ever inserted, updated and deleted, by all
   * programs, until the end of this sample: the difference of two samples is a
   * rate. They begin anew when the statistics of the server are reset.
   */
  readonly rowsInserted: number;
  readonly rowsUpdated: number;
  readonly rowsDeleted: number;
  /** The fifty tasks whose oldest due jobs are the oldest; empty but for the resolution of 10s. */
  readonly tasks: readonly DueGroup[];
  /** The same of queues. */
  readonly queues: readonly DueGroup[];
}

/** The due jobs of a task or a queue, among the first thousands that are due. */
export interface DueGroup {
  readonly name: string;
  readonly jobCount: number;
  readonly oldestMs: number;
}

/** What the handlers of a task did in one minute, of all workers. */
export interface TaskSample {
  /** The beginning of the minute in which it was written, which is up to a minute after a handler ended. */
  readonly at: Date;
  /** `_other` for those beyond the fifty that a worker ran first in that minute. */
  readonly task: string;
  readonly completed: number;
  /** Attempts that failed. */
  readonly failed: number;
  /** How long all of these ran, together. */
  readonly runMs: number;
  /** Half of them, and 95 of 100, ran for less; a power of two, null for more than 16 s. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  /**
   * Half of the attempts, and 95 of 100, had waited for less when they started, since they were
   * due, or were added when that was later; a power of two, null for more than three days, and
   * where no worker counted it. Of many attempts an eighth stands for all.
   */
  readonly waitP50Ms: number | null;
  readonly waitP95Ms: number | null;
}

/** The methods about samples on one session. */
export function createSampleReads({ schema, reads: executor }: Session): SampleReads {
  return {
    async listSamples(options) {
      const { resolution, since, until, limit } = readOptions("listSamples", options, {
        resolution: oneOf(["10s", "1m", "10m"]),
        since: FILTER_OPTIONS.since,
        until: FILTER_OPTIONS.until,
        limit: LIMIT,
      });
      const range = { since: since ?? "-infinity", until: until ?? "infinity", limit };
      const seconds = SECONDS[resolution ?? "10s"];
      return (await listSamples({ executor, schema }, { ...range, resolution: seconds })).map(toSample);
    },

    async listTaskSamples(options) {
      const { since, task, limit } = readOptions("listTaskSamples", options, {
        since: FILTER_OPTIONS.since,
        task: storableName(MAX_LENGTH.identifier),
        limit: LIMIT,
      });
      return (await listTaskSamples({ executor, schema }, { since: since ?? "-infinity", task, limit })).map(
        toTaskSample,
      );
    },
  };
}

const LIMIT = integer({ min: 1, max: 10_000, default: 1_000 });

const SECONDS = { "10s": 10, "1m": 60, "10m": 600 } as const;

function toSample({ at, numbers, top }: SampleRecord): Sample {
  const cells = Object.fromEntries(SAMPLE_COLUMNS.map((column, index) => [column, numbers[index] ?? null]));
  const number = (column: (typeof SAMPLE_COLUMNS)[number]): number => cells[column] ?? 0;
  const { tasks = [], queues = [] } = (JSON.parse(top ?? "null") ?? {}) as { tasks?: TopRow[]; queues?: TopRow[] };
  return {
    at: toDate(at),
    ready: number("ready"),
    scheduled: number("scheduled"),
    running: number("running"),
    failed: number("failed"),
    workers: number("workers"),
    slots: number("slots"),
    busy: number("busy"),
    deadRows: number("dead_rows"),
    oldestDueMs: cells["oldest_due_ms"] ?? null,
    oldestSnapshotMs: cells["oldest_snapshot_ms"] ?? null,
    tookMs: number("took_ms"),
    rowsInserted: number("inserted"),
    rowsUpdated: number("updated"),
    rowsDeleted: number("deleted"),
    tasks: tasks.map(toDueGroup),
    queues: queues.map(toDueGroup),
  };
}

type TopRow = readonly [name: string, jobs: number, oldestMs: number];

function toDueGroup([name, jobCount, oldestMs]: TopRow): DueGroup {
  return { name, jobCount, oldestMs };
}

function toTaskSample({ at, ...counts }: TaskSampleRecord): TaskSample {
  const { buckets: _buckets, waits: _waits, ...sample } = counts;
  return { at: toDate(at), ...sample, ...quantilesOf(counts) };
}

/** How long half, and 95 of 100, ran and waited. */
export function quantilesOf({
  buckets,
  waits,
}: Pick<TaskSampleRecord, "buckets" | "waits">): Pick<TaskSample, "p50Ms" | "p95Ms" | "waitP50Ms" | "waitP95Ms"> {
  return {
    p50Ms: quantile(buckets, 0.5),
    p95Ms: quantile(buckets, 0.95),
    waitP50Ms: quantile(waits, 0.5),
    waitP95Ms: quantile(waits, 0.95),
  };
}

/** The upper end of the bucket in which this share of the runs is reached. */
export function quantile(buckets: readonly number[], share: number): number | null {
  const all = buckets.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [index, count] of buckets.entries()) {
    seen += count;
    if (all > 0 && seen >= share * all) return index === buckets.length - 1 ? null : 2 ** index;
  }
  return null;
}
