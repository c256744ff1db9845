import type { Clock, Timer } from "../../../runtime/clock.ts";
import type { Chain } from "../../chain.ts";
import type { ClaimedJob } from "../../claimed-job.ts";

/**
 * The chains of several jobs that slots have taken from a local queue. Their
 * jobs that have not been started still count as held by it, and go back when
 * they have waited for too long.
 */
export class RunningChains {
  readonly #clock: Clock;
  readonly #parts: RunningChainsParts;
  /** When each was fetched, the oldest first. */
  readonly #fetchedAt = new Map<Chain, number>();
  #timer: Timer | undefined;

  constructor(clock: Clock, parts: RunningChainsParts) {
    this.#clock = clock;
    this.#parts = parts;
  }

  /** How many of their jobs have not been started. */
  get waiting(): number {
    let waiting = 0;
    for (const chain of this.#fetchedAt.keys()) {
      if (chain.waiting === 0) this.#fetchedAt.delete(chain);
      waiting += chain.waiting;
    }
    return waiting;
  }

  /** The bytes of their payloads. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const chain of this.#fetchedAt.keys()) bytes += chain.waitingLength;
    return bytes;
  }

  /** A slot has taken this chain, which was fetched then, and not before those that were added before. */
  add(chain: Chain, fetchedAt: number): void {
    this.#fetchedAt.set(chain, fetchedAt);
    if (!this.#timer) this.#startTimer(fetchedAt);
  }

  /** Forgets them: the slots that run them see to the rest. */
  stop(): void {
    this.#timer?.cancel();
    this.#fetchedAt.clear();
  }

  #startTimer(fetchedAt: number): void {
    const waitMs = fetchedAt + this.#parts.ttlMs - this.#clock.monotonic();
    this.#timer = this.#clock.setTimer(waitMs, () => this.#expire());
  }

  #expire(): void {
    const { ttlMs, owner } = this.#parts;
    this.#timer = undefined;
    for (const [chain, fetchedAt] of this.#fetchedAt) {
      if (fetchedAt + ttlMs > this.#clock.monotonic()) return this.#startTimer(fetchedAt);
      this.#fetchedAt.delete(chain);
      owner.giveBackRest(chain.cut());
    }
  }
}

/** Whom running chains work for. */
export interface RunningChainsParts {
  readonly ttlMs: number;
  readonly owner: ChainOwner;
}

/** The local queue that chains were taken from. */
export interface ChainOwner {
  /** These jobs were cut off their chain, which goes on with the job that runs. */
  giveBackRest(jobs: readonly ClaimedJob[]): void;
}
