/**
 * The tasks that have a label of their own, in all metrics of one process: the
 * first ones that are named, so that a process which names ever new tasks does
 * not fill the memory of those who store its metrics.
 */
export class TaskLabels {
  readonly #limit: number;
  readonly #known = new Set<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The label of a task: its identifier, or {@link OTHER_TASKS}. */
  of(task: string): string {
    if (this.#known.has(task)) return task;
    if (task === "" || this.#known.size >= this.#limit) return OTHER_TASKS;
    this.#known.add(task);
    return task;
  }
}

/** The label of all further tasks together. */
export const OTHER_TASKS = "_other";
