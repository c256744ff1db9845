import type { CountTarget } from "../postgres/queries/count-jobs.ts";
import { readOldestDue } from "../postgres/queries/oldest-due.ts";
import { readFreshCounts } from "../postgres/queries/samples.ts";
import type { Duration } from "../runtime/duration.ts";
import { boolean, duration } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { type JobStats, readStats, toStats } from "./counts.ts";
import { type PoolLoad, readPoolLoads } from "./pool-load.ts";
import { type JobGroup, readGroupStats } from "./read-group-stats.ts";
import type { Session } from "./session.ts";

/** What waits, for dashboards and for whatever adds workers. */
export interface Backlog {
  readonly jobs: JobStats;
  /** Whether `jobs` come from a sample that a worker has taken; their `asOf` says when. */
  readonly isSample: boolean;
  /** The jobs of each task, for the hundred with the most jobs; none when they were not asked for. */
  readonly tasks: readonly JobGroup[];
  /** For how long the oldest due job waits that no worker has claimed. Jobs of paused tasks and queues count. */
  readonly oldestDue: OldestDueMs;
  /** The pools of queues, the hundred that were made first. */
  readonly pools: readonly PoolLoad[];
}

/** Milliseconds by the database's clock since a job was due, or was added when that was later; null when none waits. */
export interface OldestDueMs {
  /** Among the jobs without a queue. */
  readonly plainMs: number | null;
  /** Among the jobs in queues, which may wait for the jobs before them. */
  readonly queuedMs: number | null;
}

/** How {@link BacklogReads.backlog} reads. */
export interface BacklogOptions {
  /**
   * Takes the counts of all jobs from the stored sample when one is not older,
   * and counts otherwise. Default 0: they are counted.
   */
  readonly maxSampleAge?: Duration | undefined;
  /** Whether to count the jobs of each task, too, which no sample has. Default true. */
  readonly tasks?: boolean | undefined;
}

/** Reads it. */
export interface BacklogReads {
  /**
   * How many jobs there are, in all and of each task, and how long the oldest
   * due ones have waited, and how full pools are: four statements whose cost does not grow with the
   * backlog, with the limits and estimates of `stats()`.
   */
  backlog(options?: BacklogOptions): Promise<Backlog>;
}

/** The method on one session. */
export function createBacklogReads({ reads, schema }: Pick<Session, "reads" | "schema">): BacklogReads {
  const target: CountTarget = { executor: reads, schema };
  return {
    async backlog(options) {
      const { maxSampleAgeMs, tasks } = readOptions("backlog", options, {
        maxSampleAge: duration({ default: 0 }),
        tasks: boolean({ default: true }),
      });
      const sampled = maxSampleAgeMs > 0 ? await readFreshCounts(target, maxSampleAgeMs) : undefined;
      const [jobs, groups, { plain, queued, asOf }, pools] = await Promise.all([
        sampled ? toStats(sampled, false) : readStats(target),
        tasks ? readGroupStats(target, "task").then((stats) => stats.groups) : [],
        readOldestDue(target),
        readPoolLoads(target),
      ]);
      const ageMs = (since: string | null): number | null =>
        since === null ? null : Math.max(0, (Number(asOf) - Number(since)) / 1_000);
      return {
        jobs,
        isSample: sampled !== undefined,
        tasks: groups,
        oldestDue: { plainMs: ageMs(plain), queuedMs: ageMs(queued) },
        pools,
      };
    },
  };
}
