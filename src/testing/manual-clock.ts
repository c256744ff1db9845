import { HowdahError } from "../errors.ts";
import { sleepOn, type Clock, type Timer } from "../runtime/clock.ts";

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** How many timers have not fired yet and were not cancelled. */
  readonly pending: number;
  /**
   * Lets `ms` pass: fires the timers that come due, in order and each at its
   * own time, and lets promises settle before, between and after them. Rejects
   * with what a timer throws.
   */
  advance(ms: number): Promise<void>;
  /** Sets `now()` forward, or back with a negative `ms`, as when a machine's clock is set. Timers and `monotonic()` do not notice. */
  jump(ms: number): void;
}

interface PendingTimer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Creates a clock for tests. `now()` begins at `startMs`, default the first of January 2026 in UTC; `monotonic()` at 0. */
export function createManualClock(startMs: number = Date.UTC(2026, 0, 1)): ManualClock {
  return new SteppedClock(startMs);
}

class SteppedClock implements ManualClock {
  #passedMs = 0;
  #offsetMs: number;
  /** In the order in which they were set, which decides between timers of the same moment. */
  readonly #timers = new Set<PendingTimer>();

  constructor(startMs: number) {
    this.#offsetMs = startMs;
  }

  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return Math.floor(this.#offsetMs + this.#passedMs);
  }

  monotonic(): number {
    return this.#passedMs;
  }

  setTimer(ms: number, callback: () => void): Timer {
    const timer = { dueMs: this.#passedMs + Math.max(ms, 0), callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  jump(ms: number): void {
    this.#offsetMs += ms;
  }

  async advance(ms: number): Promise<void> {
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) {
      throw new HowdahError("HOWDAH_OPTION_INVALID", `A clock advances by 0 ms or more, found ${ms}.`);
    }
    const targetMs = this.#passedMs + ms;
    await settle();
    for (let timer = this.#next(targetMs); timer !== undefined; timer = this.#next(targetMs)) {
      this.#timers.delete(timer);
      this.#passedMs = timer.dueMs;
      timer.callback();
      await settle();
    }
    this.#passedMs = targetMs;
  }

  #next(targetMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= targetMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}

/** Resolves when all promises and ticks of this turn, and those that follow from them, are done. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
