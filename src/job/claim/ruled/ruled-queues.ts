import type { ClaimAnswer } from "../../../postgres/queries/claim-answer.ts";
import type { ClaimedJob } from "../../claimed-job.ts";
import { PoolMembers } from "./pool-members.ts";
import { QueueWaits } from "./queue-waits.ts";
import { QueueTurns } from "./queue-turns.ts";

/** What a worker remembers of queues with rules: whose turn it is, which have to wait until when, and which for their pool. */
export class RuledQueues {
  readonly #turns = new QueueTurns();
  readonly #waits: QueueWaits;
  readonly #members = new PoolMembers();

  constructor(random: () => number) {
    this.#waits = new QueueWaits(random);
  }

  /** Those that were served, in the order in which they come; all others come before them. */
  get served(): readonly number[] {
    return this.#turns.order;
  }

  /** How long until a queue is to be named. */
  restMs(now: number): number {
    return this.#waits.restMs(now);
  }

  /** The queues whose time has come. */
  due(now: number): readonly number[] {
    return this.#waits.take(now);
  }

  /** Whether a queue that was announced is not named now. */
  postpones(queueId: number, now: number): boolean {
    return this.#waits.postpones(queueId, now);
  }

  /** A claim has taken this job, or a chain that ends with it. */
  took(queueId: number, { share, pool }: ClaimedJob): void {
    this.#turns.took(queueId, share);
    // It may have another job.
    if (pool) this.#members.add(pool.id, queueId);
  }

  /** Lanes of these queues were freed, and, of owners below 0, of pools; a claim in the same statement may have looked at the queues. */
  lanesFreed(ownerIds: readonly number[], hasClaimed: boolean): FreedLanes {
    const freed = ownerIds.flatMap((id) => (id < 0 ? this.#members.take(-id) : id));
    return { freed, toName: hasClaimed ? freed.filter((id) => !ownerIds.includes(id)) : freed };
  }

  /** A claim is answered `now`. */
  learn({ waits, crowded, claimedAt }: RuledAnswer, now: number): void {
    for (const { poolId, queueId } of crowded) this.#members.add(poolId, queueId);
    for (const { queueId, at } of waits) this.#waits.add(queueId, now + (Number(at) - Number(claimedAt)) / 1_000, now);
  }
}

type RuledAnswer = Pick<ClaimAnswer, "waits" | "crowded" | "claimedAt">;

/** Queues that may run another job because lanes were freed. */
export interface FreedLanes {
  readonly freed: readonly number[];
  /** Those that no claim has looked at since. */
  readonly toName: readonly number[];
}
