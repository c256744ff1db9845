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
  /** When each was taken, the oldest first. */
  readonly #takenAt = new Map<Chain, number>();
  #timer: Timer | undefined;

  constructor(parts: RunningChainsParts) {
    this.#parts = parts;
  }

  /** How many of their jobs have not been started. */
  get waiting(): number {
    let waiting = 0;
    for (const chain of this.#takenAt.keys()) {
      if (chain.waiting === 0) this.#takenAt.delete(chain);
      waiting += chain.waiting;
    }
    return waiting;
  }

  /** A slot has taken this chain. */
  add(chain: Chain): void {
    this.#takenAt.set(chain, this.#parts.clock.monotonic());
    if (!this.#timer) this.#startTimer(this.#parts.ttlMs);
  }

  /** Ends all of them with the job that runs. */
  cut(): void {
    this.#cutUntil(Number.POSITIVE_INFINITY);
  }

  /** Forgets them: whoever runs them sees to the rest. */
  stop(): void {
    this.#timer?.cancel();
    this.#takenAt.clear();
  }

  #startTimer(ms: number): void {
    this.#timer = this.#parts.clock.setTimer(ms, () => this.#expire());
  }

  #expire(): void {
    const { clock, ttlMs } = this.#parts;
    this.#timer = undefined;
    this.#cutUntil(clock.monotonic() - ttlMs);
    const [oldest] = this.#takenAt.values();
    if (oldest !== undefined) this.#startTimer(oldest + ttlMs - clock.monotonic());
  }

  #cutUntil(takenAtMost: number): void {
    for (const [chain, takenAt] of this.#takenAt) {
      if (takenAt > takenAtMost) break;
      this.#takenAt.delete(chain);
      this.#parts.giveBack(chain.cut());
    }
  }
}
