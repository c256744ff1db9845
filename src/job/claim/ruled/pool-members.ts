/**
 * Queues that may wait for what is freed in their pools. When it is, some of them
 * are named, the one first that has waited for longest: which of them still has a
 * due job is not known. One that is named is forgotten until a claim takes a job
 * of it, or passes it over again.
 */
export class PoolMembers {
  /** By the id of the pool, the one that was added first at the front. */
  readonly #members = new Map<number, Set<number>>();

  /** A queue of this pool has due jobs, or may have some. */
  add(poolId: number, queueId: number): void {
    const known = this.#members.get(poolId);
    if (known && known.size < MOST_MEMBERS) known.add(queueId);
    else if (!known && this.#members.size < MOST_POOLS) this.#members.set(poolId, new Set([queueId]));
  }

  /** Takes out the queues to name when something of this pool was freed. */
  take(poolId: number): number[] {
    const known = this.#members.get(poolId);
    const queueIds: number[] = [];
    for (const queueId of known ?? []) {
      if (queueIds.length === NAMED) break;
      queueIds.push(queueId);
      known?.delete(queueId);
    }
    if (known?.size === 0) this.#members.delete(poolId);
    return queueIds;
  }
}

const MOST_POOLS = 100;
const MOST_MEMBERS = 1_000;
/** One may have no job any more, and another may have been taken by another worker. */
const NAMED = 3;
