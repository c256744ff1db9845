import type { Chain, Removal } from "../chain.ts";
import type { Wanted } from "./claim-plan.ts";

/**
 * Keeps what claims bring within a number of bytes. How large the payloads of a
 * task are is learnt from the answers, and the next claims ask for fewer jobs,
 * as if all of them were of the task with the largest. What an answer brings
 * beyond the bound goes back unstarted, all but one job. Only tasks are
 * remembered whose payloads are large enough to matter, and those not for ever:
 * when they have not come for long the others are claimed as before.
 *
 * A character of JSON counts as a byte: to measure each would cost every job.
 */
export class PayloadSizes {
  readonly #mostBytes: number;
  /** Bytes of a job, by the id of its task. */
  readonly #learnt = new Map<number, number>();

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** How many jobs a claim may ask for that wants `quantity`, while `heldBytes` wait already; at least one. */
  limit({ quantity, heldBytes = 0 }: WantedJobs): number {
    if (this.#learnt.size === 0) return quantity;
    const largest = Math.max(...this.#learnt.values());
    return Math.max(1, Math.min(quantity, Math.floor((this.#mostBytes - heldBytes) / largest)));
  }

  /** Takes out of chains that such a claim has brought what is beyond the bound, and learns. */
  bound(chains: readonly Chain[], wanted: WantedJobs): readonly Removal[] {
    if (chains.length === 0) return NOTHING;
    const { heldBytes = 0, further = 0 } = wanted;
    const quantity = wanted.quantity + further;
    let largestChain = 0;
    let total = 0;
    for (const chain of chains) {
      const length = chain.waitingLength;
      total += length;
      if (length > largestChain) largestChain = length;
    }
    // No payload is larger than the largest chain, so that most answers are done with here.
    if (this.#learnt.size > 0 || largestChain * quantity > this.#mostBytes) this.#learn(chains, quantity);
    return heldBytes + total > this.#mostBytes ? this.#cut(chains, heldBytes) : NOTHING;
  }

  #learn(chains: readonly Chain[], quantity: number): void {
    const found = new Map<number, { jobs: number; bytes: number }>();
    for (const chain of chains) {
      for (const { taskId, payloadLength } of chain.rest) {
        const sum = found.get(taskId) ?? { jobs: 0, bytes: 0 };
        sum.jobs += 1;
        sum.bytes += payloadLength;
        found.set(taskId, sum);
      }
    }
    if (found.size === 0) return;
    for (const [taskId, bytes] of this.#learnt) if (!found.has(taskId)) this.#learnt.set(taskId, bytes * LEFT);
    for (const [taskId, { jobs, bytes }] of found) {
      const average = bytes / jobs;
      const known = this.#learnt.get(taskId) ?? 0;
      this.#learnt.set(taskId, average > known ? average : known * KEPT + average * (1 - KEPT));
    }
    for (const [taskId, bytes] of this.#learnt) if (bytes * quantity <= this.#mostBytes) this.#learnt.delete(taskId);
  }

  /** All from the first job on that is too much. */
  #cut(chains: readonly Chain[], heldBytes: number): readonly Removal[] {
    let bytes = heldBytes;
    let kept = 0;
    let isOver = false;
    const removals: Removal[] = [];
    for (const chain of chains) {
      const jobs = chain.remove(({ payloadLength }) => {
        bytes += payloadLength;
        isOver ||= bytes > this.#mostBytes && kept > 0;
        if (!isOver) kept += 1;
        return isOver;
      });
      if (jobs.length > 0) removals.push({ jobs, endsChain: chain.waiting === 0 });
    }
    return removals;
  }
}

type WantedJobs = Pick<Wanted, "quantity" | "further" | "heldBytes">;

/** How much of what is now known of a task counts when its payloads turn out smaller. */
const KEPT = 3 / 4;
/** How much of it is left after a claim that brought none of its jobs. */
const LEFT = 0.98;

const NOTHING: readonly Removal[] = [];
