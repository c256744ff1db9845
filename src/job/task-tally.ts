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
      .map(([task, count]) => ({ task, ...count, buckets: [...count.buckets], waits: [...count.waits] }));
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
  /** The same of how long attempts had waited since they were due. Of many, some stand for the others. */
  readonly waits: number[];
}

/** The same with the name of the task. */
export type TaskCounted = Readonly<TaskCount> & { readonly task: string };

/** Stands for the tasks that are not counted by their names. */
export const UNCOUNTED_TASKS = "_other";

/** Up to 16 s; one for all that is longer. */
export const RUN_BUCKETS = 16;

/** Up to three days; one for all that is longer. */
export const WAIT_BUCKETS = 30;

/**
 * How many waits of a minute are counted each. Reading when a job was due costs
 * more than counting it, so of those behind them one stands for several.
 */
export const FIRST_WAITS = 16;

/** How many of the others one stands for; {@link FIRST_WAITS} is a multiple of it. */
export const WAITS_APART = 8;

/** Counts how long the attempt that was counted last had waited. */
export function countWait({ completed, failed, waits }: TaskCount, ms: number): void {
  const bucket = ms < LAST_WAIT_MS ? 32 - Math.clz32(ms) : WAIT_BUCKETS - 1;
  waits[bucket] = (waits[bucket] ?? 0) + (completed + failed > FIRST_WAITS ? WAITS_APART : 1);
}

/** Where the last buckets begin. */
export const LAST_BUCKET_MS = 2 ** (RUN_BUCKETS - 2);
const LAST_WAIT_MS = 2 ** (WAIT_BUCKETS - 2);

const MOST_TASKS = 50;

function none(): TaskCount {
  const zeros = (length: number): number[] => Array.from({ length }, () => 0);
  return { completed: 0, failed: 0, runMs: 0, buckets: zeros(RUN_BUCKETS), waits: zeros(WAIT_BUCKETS) };
}
