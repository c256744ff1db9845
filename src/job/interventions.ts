import { compareIntegers } from "../postgres/position.ts";
import type { ControlAnswer } from "../postgres/queries/control.ts";
import type { ClaimedJob } from "./claimed-job.ts";

/**
 * What was decided from outside about jobs that a worker holds: which of them
 * were cancelled, and which belong to a queue or task that is paused.
 *
 * Claims obey pauses themselves. So a pause that was read counts only for jobs
 * that were claimed before it was read, and one that is over by now stops
 * nothing that was claimed since.
 */
export class Interventions {
  #pausedQueues: ReadonlySet<number> = new Set();
  #pausedTasks: ReadonlySet<string> = new Set();
  /** In microseconds, by the database's clock. */
  #pausedAt = "0";
  #updatedAtMs = 0;
  /** By job id. */
  readonly #cancelled = new Map<string, Cancellation>();

  /** True when nothing is paused or cancelled, as nearly always. */
  get isEmpty(): boolean {
    return this.#cancelled.size === 0 && this.#pausedQueues.size === 0 && this.#pausedTasks.size === 0;
  }

  /** Takes over what the database says at monotonic time `nowMs`. */
  update({ queues, tasks, cancelled, readAt }: Decided, nowMs: number): void {
    this.forget(nowMs);
    this.#pausedQueues = new Set(queues.map(({ id }) => id));
    this.#pausedTasks = new Set(tasks.map(({ name }) => name));
    this.#pausedAt = readAt;
    this.#updatedAtMs = nowMs;
    for (const { id, workerId, lockedAt, reason } of cancelled) {
      this.#cancelled.set(id, { workerId, lockedAt, reason, readAtMs: nowMs });
    }
  }

  /** Drops what was read so long ago that it is about no job any more, so that claimed jobs need not be compared with it. */
  forget(nowMs: number): void {
    for (const [id, { readAtMs }] of this.#cancelled) {
      if (nowMs - readAtMs > REMEMBERED_MS) this.#cancelled.delete(id);
    }
    if (nowMs - this.#updatedAtMs <= REMEMBERED_MS) return;
    this.#pausedQueues = new Set();
    this.#pausedTasks = new Set();
  }

  /** Why a job must not run, if it was cancelled under this very claim. */
  cancelReason({ id, lockedBy, claimedAt }: ClaimedJob): string | undefined {
    const found = this.#cancelled.get(id);
    if (found?.workerId !== lockedBy) return undefined;
    // The lock may be newer than the claim, because old locks are refreshed; never older.
    return compareIntegers(found.lockedAt, claimedAt) >= 0 ? found.reason : undefined;
  }

  /** True for a job that must not be started: it was cancelled, or its queue or task is paused. */
  stops(job: ClaimedJob): boolean {
    return this.#isPaused(job) || this.cancelReason(job) !== undefined;
  }

  #isPaused({ queueId, task, claimedAt }: ClaimedJob): boolean {
    const isOfPaused = (queueId !== null && this.#pausedQueues.has(queueId)) || this.#pausedTasks.has(task);
    return isOfPaused && compareIntegers(claimedAt, this.#pausedAt) <= 0;
  }
}

/** What the database says about it. */
export type Decided = Omit<ControlAnswer, "locks">;

interface Cancellation {
  /** The lock that it was cancelled under: a later claim of the same job is another matter. */
  readonly workerId: string;
  readonly lockedAt: string;
  readonly reason: string;
  readonly readAtMs: number;
}

/** A claim whose answer is still on its way is answered by then, or never. */
const REMEMBERED_MS = 120_000;
