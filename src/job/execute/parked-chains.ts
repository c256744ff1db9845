import { removeJobs, type Acceptance, type Chain, type Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";

/** A queue, or a job that has none: of two chains with the same key only one runs at a time. */
export type RunKey = number | string;

/** The key of a chain that has jobs. */
export function keyOf(chain: Chain): RunKey {
  return chain.queueId ?? chain.first?.id ?? "";
}

interface Parked {
  readonly chain: Chain;
  /** The queue is locked until this one is released. */
  readonly last: ClaimedJob;
}

/**
 * Chains that were claimed although a handler of the same queue, or of the same
 * job, still runs here: somebody has unlocked what it held. They wait for it to
 * end, without a slot.
 */
export class ParkedChains {
  readonly #isHeld: (key: RunKey) => boolean;
  readonly #chains = new Map<RunKey, Parked>();

  /** @param isHeld - whether the handler that a chain waits for still runs */
  constructor(isHeld: (key: RunKey) => boolean) {
    this.#isHeld = isHeld;
  }

  /** Sets a chain aside. Returns the jobs of an earlier one with the same key, which is lost with that. */
  add(key: RunKey, chain: Chain): readonly ClaimedJob[] {
    const last = chain.rest.at(-1);
    if (!last) return [];
    const earlier = this.#chains.get(key)?.chain.cut() ?? [];
    this.#chains.set(key, { chain, last });
    return earlier;
  }

  /** A chain that no longer has to wait, and that `accepts` does not refuse. */
  take(accepts: Acceptance, now: number): Chain | undefined {
    if (this.#chains.size === 0) return undefined;
    for (const [key, { chain }] of this.#chains) {
      if (chain.waiting === 0 || this.#isHeld(key) || !accepts(chain, now)) continue;
      this.#chains.delete(key);
      return chain;
    }
    return undefined;
  }

  /** Takes the jobs out that match. The queue of a chain stays locked while the handler runs that it waits for. */
  remove(matches: (job: ClaimedJob) => boolean): Removal[] {
    const all: Removal[] = [];
    for (const [key, { chain }] of this.#chains) {
      const isHeld = this.#isHeld(key);
      const { removals } = removeJobs([chain], matches);
      for (const { jobs, endsChain } of removals) all.push({ jobs, endsChain: endsChain && !isHeld });
      if (chain.waiting === 0 && !isHeld) this.#chains.delete(key);
    }
    return all;
  }

  /** The handler that this key waited for has ended: the last job of its chain when all of them have gone back. */
  settle(key: RunKey): ClaimedJob | undefined {
    if (this.#chains.size === 0 || this.#isHeld(key)) return undefined;
    const parked = this.#chains.get(key);
    if (!parked || parked.chain.waiting > 0) return undefined;
    this.#chains.delete(key);
    return parked.last;
  }
}
