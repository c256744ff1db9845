/**
 * What became of the jobs of each task of a worker since it was last asked. The
 * reporter counts, in place, so that it costs no call for each job. Tasks beyond
 * the first fifty are counted together.
 */
export class TaskTally {
  /** By task; those that have none of their own are counted as {@link UNCOUNTED_TASKS}. */
  readonly counts: ReadonlyMap<string, TaskCount>;

  constructor(tasks: readonly string[]) {
    const names = tasks.length > MOST_TASKS ? [...tasks.slice(0, MOST_TASKS), UNCOUNTED_TASKS] : tasks;
    this.counts = new Map(names.map((name) => [name, none()]));
  }

  /** What was counted since the last call, of the tasks that had jobs. */
  take(): TaskCounted[] {
    const counted = [...this.counts]
      .filter(([, { completed, failed }]) => completed + failed > 0)
      .map(([task, count]) => ({ task, ...count, buckets: [...count.buckets] }));
    for (const { task } of counted) Object.assign(this.counts.get(task) ?? {}, none());
    return counted;
  }
}

/** What became of the jobs of one task. */
export interface TaskCount {
  completed: number;
  failed: number;
  /** How long all of them ran. */
  runMs: number;
  /** How many ran for less than 1, 2, 4, 8 ... milliseconds, and not less than the one before; the last has all others. */
  readonly buckets: number[];
}

/** The same with the name of the task. */
export type TaskCounted = Readonly<TaskCount> & { readonly task: string };

/** Stands for the tasks that are not counted by their names. */
export const UNCOUNTED_TASKS = "_other";

/** Up to 16 s; one for all that is longer. */
export const RUN_BUCKETS = 16;

/** Where the last one begins. */
export const LAST_BUCKET_MS = 2 ** (RUN_BUCKETS - 2);

const MOST_TASKS = 50;

function none(): TaskCount {
  return { completed: 0, failed: 0, runMs: 0, buckets: Array.from({ length: RUN_BUCKETS }, () => 0) };
}
