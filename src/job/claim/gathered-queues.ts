import type { GatheredCalls } from "../../postgres/queries/claim.ts";
import type { ClaimedJob } from "../claimed-job.ts";

/**
 * What a worker knows of jobs of queues that are done in one call: of which tasks
 * they are, and in which queues there were some. A call there wants more than the
 * next job. Of 10,000 queues at most; of those beyond them it is forgotten.
 */
export class GatheredQueues {
  #tasks: GatheredTasks | undefined;
  readonly #queueIds = new Set<number>();

  /** These tasks gather jobs, by the ids that they have now. */
  told(tasks: GatheredTasks): void {
    this.#tasks = tasks;
  }

  /** A claim has taken this job as the last one of its queue. */
  took(queueId: number, { taskId }: Pick<ClaimedJob, "taskId">): void {
    if (this.#tasks?.taskIds.includes(taskId) !== true) return;
    if (this.#queueIds.size >= MOST_QUEUES) this.#queueIds.clear();
    this.#queueIds.add(queueId);
  }

  /** Whether one of these queues has had such jobs. */
  hasAny(queueIds: readonly number[]): boolean {
    return this.#queueIds.size > 0 && queueIds.some((id) => this.#queueIds.has(id));
  }

  /** What a claim is told that may bring as many jobs more than its quantity; `undefined` when no task gathers jobs. */
  calls(further: number): GatheredCalls | undefined {
    return this.#tasks && this.#tasks.taskIds.length > 0 ? { ...this.#tasks, further } : undefined;
  }
}

/** Tasks that gather jobs, and the most jobs of a call of each. */
export type GatheredTasks = Pick<GatheredCalls, "taskIds" | "sizes">;

const MOST_QUEUES = 10_000;
