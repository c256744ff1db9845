import type { CountTarget } from "../postgres/queries/count-jobs.ts";
import { readOldestDue } from "../postgres/queries/oldest-due.ts";
import { type JobStats, readStats } from "./counts.ts";
import { type JobGroup, readGroupStats } from "./read-group-stats.ts";
import type { Session } from "./session.ts";

/** What waits, for dashboards and for whatever adds workers. */
export interface Backlog {
  readonly jobs: JobStats;
  /** The jobs of each task, for the hundred with the most jobs. */
  readonly tasks: readonly JobGroup[];
  /** For how long the oldest due job waits that no worker has claimed. Jobs of paused tasks and queues count. */
  readonly oldestDue: OldestDueMs;
}

/** Milliseconds by the database's clock since a job was due, or was added when that was later; null when none waits. */
export interface OldestDueMs {
  /** Among the jobs without a queue. */
  readonly plainMs: number | null;
  /** Among the jobs in queues, which may wait for the jobs before them. */
  readonly queuedMs: number | null;
}

/** Reads it. */
export interface BacklogReads {
  /**
   * How many jobs there are, in all and of each task, and how long the oldest
   * due ones have waited: three statements whose cost does not grow with the
   * backlog, with the limits and estimates of `stats()`.
   */
  backlog(): Promise<Backlog>;
}

/** The method on one session. */
export function createBacklogReads({ reads, schema }: Pick<Session, "reads" | "schema">): BacklogReads {
  const target: CountTarget = { executor: reads, schema };
  return {
    async backlog() {
      const [jobs, { groups }, { plain, queued, asOf }] = await Promise.all([
        readStats(target),
        readGroupStats(target, "task"),
        readOldestDue(target),
      ]);
      const ageMs = (since: string | null): number | null =>
        since === null ? null : Math.max(0, (Number(asOf) - Number(since)) / 1_000);
      return { jobs, tasks: groups, oldestDue: { plainMs: ageMs(plain), queuedMs: ageMs(queued) } };
    },
  };
}
