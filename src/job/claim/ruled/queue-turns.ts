/**
 * In which order a worker has served queues with rules, so that each has its turn:
 * the queue that waits for longest comes first, however old the jobs of the others
 * are. Nothing of it is stored: a worker that starts knows no queue, and each
 * comes first once.
 *
 *   a queue is    because                                  it comes
 *   unknown       this worker has not served it, or 1,000  before all that are served
 *                 others since
 *   in its turn   fewer jobs of it were taken than its     where it came before
 *                 share
 *   served        its turn is over                         behind those that were served
 *                                                          before it
 */
export class QueueTurns {
  /** The one that was served first at the front. */
  readonly #served = new Set<number>();
  /** How many jobs are left of turns that are not over. */
  readonly #left = new Map<number, number>();
  #order: readonly number[] | undefined;

  /** Those whose turn is over, the one that was served first at the front. */
  get order(): readonly number[] {
    return (this.#order ??= [...this.#served]);
  }

  /** A job of this queue was taken, which may have `share` of them in its turn. */
  took(queueId: number, share: number): void {
    const left = Math.min(this.#left.get(queueId) ?? share, share) - 1;
    this.#left.delete(queueId);
    if (left > 0) {
      if (this.#left.size >= MOST_QUEUES) deleteFirst(this.#left);
      this.#left.set(queueId, left);
      return;
    }
    this.#served.delete(queueId);
    if (this.#served.size >= MOST_QUEUES) deleteFirst(this.#served);
    this.#served.add(queueId);
    this.#order = undefined;
  }
}

/** Each claim that looks for jobs of queues with rules is sent with as many ids at most. */
const MOST_QUEUES = 1_000;

function deleteFirst(ids: Set<number> | Map<number, unknown>): void {
  for (const id of ids.keys()) {
    ids.delete(id);
    return;
  }
}
