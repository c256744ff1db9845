import type { Chain } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Slot } from "./slot.ts";

/**
 * The slots of jobs that are done in the same call as the first one of their chain.
 * That one has the place of the chain; when its job has ended before theirs, one of
 * them inherits it, so that the place is taken until the last one has ended.
 */
export class Companions implements Iterable<Slot> {
  readonly #byChain = new Map<Chain, Map<ClaimedJob, Slot>>();

  /** A slot begins, in the place of another one of its chain. */
  add(job: ClaimedJob, slot: Slot): void {
    const slots = this.#byChain.get(slot.chain);
    if (slots) slots.set(job, slot);
    else this.#byChain.set(slot.chain, new Map([[job, slot]]));
  }

  /** The one that does this job of the chain. */
  find(chain: Chain, job: ClaimedJob): Slot | undefined {
    return this.#byChain.get(chain)?.get(job);
  }

  /** Those of this chain. */
  of(chain: Chain): readonly Slot[] {
    return [...(this.#byChain.get(chain)?.values() ?? [])];
  }

  /** The one that has the place of the chain from now on. */
  inherit(chain: Chain): Slot | undefined {
    const [first] = this.#byChain.get(chain) ?? [];
    if (!first) return undefined;
    const [job, heir] = first;
    this.delete(job, heir);
    return heir;
  }

  /** A slot ends, or goes on without its place. Returns whether that was the place of another one. */
  delete(job: ClaimedJob, { chain }: Slot): boolean {
    const slots = this.#byChain.get(chain);
    if (slots?.delete(job) !== true) return false;
    if (slots.size === 0) this.#byChain.delete(chain);
    return true;
  }

  *[Symbol.iterator](): Iterator<Slot> {
    for (const slots of this.#byChain.values()) yield* slots.values();
  }
}
