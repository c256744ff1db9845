import type { WorkerContext } from "../job/worker-context.ts";

/**
 * The tasks that may have kept the event loop from turning. That it
 * stood still is found out afterwards, when the job that was to blame may have
 * ended: so those are remembered that ran for long.
 */
export class BusyTasks {
  readonly #context: BusyTasksContext;
  /** Tasks of which a job ran for long since they were last asked for. */
  readonly #longTasks = new Set<string>();

  constructor(context: BusyTasksContext) {
    this.#context = context;
  }

  /** A job of this task has ended that ran for {@link LONG_RUN_MS} or more. */
  ranLong(task: string): void {
    this.#longTasks.add(task);
  }

  /** The tasks that run, and those of which a job has ended since the last call that ran for long; these first. */
  busyTasks(): readonly string[] {
    const tasks = new Set([...this.#longTasks, ...this.#context.held.jobs("running").map(({ task }) => task)]);
    this.#longTasks.clear();
    return [...tasks];
  }
}

type BusyTasksContext = Pick<WorkerContext, "held">;

/** A handler that keeps the event loop from turning for so long is worth a name. */
export const LONG_RUN_MS = 1_000;
