import type { Clock, Timer } from "../../../runtime/clock.ts";
import type { RefetchDelaySettings } from "./options.ts";

/** What a refetch delay needs, and whom it tells. */
export interface RefetchDelayParts {
  readonly settings: RefetchDelaySettings;
  /** The `size` of the local queue. */
  readonly size: number;
  readonly clock: Clock;
  /** Gives 0 to 1. */
  readonly random: () => number;
  started(delay: { readonly durationMs: number; readonly threshold: number; readonly abortThreshold: number }): void;
  aborted(abort: { readonly count: number; readonly abortThreshold: number }): void;
  expired(): void;
}

/**
 * The wait after a fetch that brought little. It is cut short when enough jobs
 * have been announced, counted from the beginning of that fetch.
 *
 *   idle      a fetch brings little, not enough announced   -> waiting
 *   waiting   the time is over, or enough announced         -> idle
 */
export class RefetchDelay {
  readonly #parts: RefetchDelayParts;
  #announced = 0;
  #abortThreshold = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(parts: RefetchDelayParts) {
    this.#parts = parts;
  }

  /** A fetch begins: counting starts anew. */
  fetching(): void {
    this.#announced = 0;
  }

  /** A fetch brought `count` of the `asked` jobs. Returns true when a wait begins. */
  fetched(count: number, asked: number): boolean {
    const { settings, clock, size, random, started, aborted } = this.#parts;
    const { threshold, durationMs, maxAbortThreshold = 5 * size } = settings;
    if (count >= asked || count > threshold) return false;
    const abortThreshold = Math.max(1, Math.floor(random() * maxAbortThreshold));
    const waitMs = Math.floor(durationMs * (0.5 + random() / 2));
    started({ durationMs: waitMs, threshold, abortThreshold });
    if (this.#announced >= abortThreshold) {
      aborted({ count: this.#announced, abortThreshold });
      return false;
    }
    this.#abortThreshold = abortThreshold;
    this.#timer = clock.setTimer(waitMs, () => this.#expire());
    return true;
  }

  /** So many jobs were announced. */
  pulse(count: number): void {
    this.#announced += count;
    if (!this.#timer || this.#announced < this.#abortThreshold) return;
    const abort = { count: this.#announced, abortThreshold: this.#abortThreshold };
    this.stop();
    this.#parts.aborted(abort);
  }

  /** Ends the wait without telling anybody. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#abortThreshold = Number.POSITIVE_INFINITY;
  }

  #expire(): void {
    this.stop();
    this.#parts.expired();
  }
}
