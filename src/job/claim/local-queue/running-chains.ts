import type { Clock, Timer } from "../../../runtime/clock.ts";
import type { Chain } from "../../chain.ts";
import type { ClaimedJob } from "../../claimed-job.ts";

/** What running chains need. */
export interface RunningChainsParts {
  readonly clock: Clock;
  readonly ttlMs: number;
  /** These jobs were cut off their chain, which goes on with the job that runs. */
  giveBack(jobs: readonly ClaimedJob[]): void;
}

/**
 * The chains of several jobs that slots have taken from a local queue. Their
 * jobs that have not been started still count as held by it, and go back when
 * they have waited for too long.
 */
export class RunningChains {
  readonly #parts: RunningChainsParts;
  /** When each was fetched, the oldest first. */
  readonly #fetchedAt = new Map<Chain, number>();
  #timer: Timer | undefined;

  constructor(parts: RunningChainsParts) {
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

  /** Forgets them: whoever runs them sees to the rest. */
  stop(): void {
    this.#timer?.cancel();
    this.#fetchedAt.clear();
  }

  #startTimer(fetchedAt: number): void {
    const { clock, ttlMs } = this.#parts;
    this.#timer = clock.setTimer(fetchedAt + ttlMs - clock.monotonic(), () => this.#expire());
  }

  #expire(): void {
    const { clock, ttlMs, giveBack } = this.#parts;
    this.#timer = undefined;
    for (const [chain, fetchedAt] of this.#fetchedAt) {
      if (fetchedAt + ttlMs > clock.monotonic()) return this.#startTimer(fetchedAt);
      this.#fetchedAt.delete(chain);
      giveBack(chain.cut());
    }
  }
}
