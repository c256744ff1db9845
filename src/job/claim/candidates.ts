/**
 * Queues that are worth a look. What a claim came across and did not take may
 * be very many, one number for each queue with due jobs, so it stands apart:
 * what is announced does not wait behind it.
 */
export class Candidates {
  readonly #named = new Set<number>();
  readonly #leftover = new Set<number>();

  /** True when there is none. */
  get isEmpty(): boolean {
    return this.#named.size === 0 && this.#leftover.size === 0;
  }

  /** This queue has jobs that were announced, or has become free. */
  name(queueId: number): void {
    this.#named.add(queueId);
  }

  /** These queues had due jobs, or are said to, when a claim came across them. */
  leave(queueIds: readonly number[]): void {
    for (const queueId of queueIds) this.#leftover.add(queueId);
  }

  /** Takes up to `most` out. Half of them are left over, as far as there are such: busy queues are named again and again. */
  take(most: number): number[] {
    const taken = new Set<number>();
    move(this.#named, taken, Math.ceil(most / 2));
    move(this.#leftover, taken, most);
    move(this.#named, taken, most);
    return [...taken];
  }
}

/** Moves ids from one set to the other, until that holds so many. */
function move(from: Set<number>, to: Set<number>, most: number): void {
  for (const id of from) {
    if (to.size >= most) return;
    to.add(id);
    from.delete(id);
  }
}
