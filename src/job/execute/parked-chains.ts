import { removeJobs, type Chain, type Removal, type RunKey } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";

/**
 * Chains that were claimed although a handler of the same queue, or of the same
 * job, still runs here: what it held was unlocked meanwhile. They wait for it to
 * settle, without a slot.
 */
export class ParkedChains {
  readonly #handlers: RunningHandlers;
  readonly #chains = new Map<RunKey, Parked>();

  constructor(handlers: RunningHandlers) {
    this.#handlers = handlers;
  }

  /** Sets a chain aside. Returns the jobs of an earlier one with the same key, which is lost with that. */
  add(key: RunKey, chain: Chain): readonly ClaimedJob[] {
    const last = chain.rest.at(-1);
    if (!last) return [];
    const earlier = this.#chains.get(key)?.chain.cut() ?? [];
    this.#chains.set(key, { chain, last });
    return earlier;
  }

  /** A chain that no longer has to wait, and that the engine accepts. */
  take(engine: AcceptingEngine, now: number): Chain | undefined {
    if (this.#chains.size === 0) return undefined;
    for (const [key, { chain }] of this.#chains) {
      if (chain.waiting === 0 || this.#isHeld(key, chain) || !engine.accepts(chain, now)) continue;
      this.#chains.delete(key);
      return chain;
    }
    return undefined;
  }

  /** Takes the jobs out that match. The queue of a chain stays locked while the handler runs that it waits for. */
  remove(matches: (job: ClaimedJob) => boolean): Removal[] {
    const all: Removal[] = [];
    for (const [key, { chain }] of this.#chains) {
      const isHeld = this.#isHeld(key, chain);
      const { removals } = removeJobs([chain], matches);
      for (const { jobs, endsChain } of removals) all.push({ jobs, endsChain: endsChain && !isHeld });
      if (chain.waiting === 0 && !isHeld) this.#chains.delete(key);
    }
    return all;
  }

  /** The handler that this key waited for has ended: the last job of its chain when all of them have gone back. */
  settle(key: RunKey): ClaimedJob | undefined {
    if (this.#chains.size === 0) return undefined;
    const parked = this.#chains.get(key);
    if (!parked || parked.chain.waiting > 0 || this.#isHeld(key, parked.chain)) return undefined;
    this.#chains.delete(key);
    return parked.last;
  }

  #isHeld(key: RunKey, chain: Chain): boolean {
    return this.#handlers.holds(key, chain);
  }
}

/** Knows which handlers run. */
interface RunningHandlers {
  /** Whether the handler that such a chain waits for still runs. */
  holds(key: RunKey, chain: Chain): boolean;
}

/** Says whether a chain may start that has waited. */
interface AcceptingEngine {
  accepts(chain: Chain, now: number): boolean;
}

interface Parked {
  readonly chain: Chain;
  /** The queue is locked until this one is released. */
  readonly last: ClaimedJob;
}
