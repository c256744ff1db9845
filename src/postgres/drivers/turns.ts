import type { Clock } from "../../runtime/clock.ts";
import type { Waiter } from "./deadline.ts";

/** Lets a limited number in at once; the others wait in line. */
export class Turns {
  readonly #options: TurnsOptions;
  readonly #line = new Set<() => void>();
  readonly #idle = new Set<() => void>();
  #taken = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  get limit(): number {
    return this.#options.limit;
  }

  /** How many have a turn. */
  get taken(): number {
    return this.#taken;
  }

  /** How many wait for one. */
  get waiting(): number {
    return this.#line.size;
  }

  /** Takes a turn: at once (`undefined`), or when one is given back. Rejects when that takes too long. */
  take(): Promise<void> | undefined {
    if (this.#taken >= this.#options.limit) return this.#wait();
    this.#taken += 1;
    return undefined;
  }

  /** Gives a turn back, which passes to the first in line. */
  give(): void {
    for (const next of this.#line) {
      this.#line.delete(next);
      next();
      return;
    }
    this.#taken -= 1;
    if (this.#taken > 0) return;
    for (const resolve of this.#idle) resolve();
    this.#idle.clear();
  }

  /** Resolves when no turn is taken. */
  async settled(): Promise<void> {
    if (this.#taken > 0) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  #wait(): Promise<void> {
    const { clock, timeoutMs, waiter } = this.#options;
    return new Promise((resolve, reject) => {
      const next = (): void => {
        timer?.cancel();
        resolve();
      };
      const timer =
        timeoutMs === 0
          ? undefined
          : clock.setTimer(timeoutMs, () => {
              this.#line.delete(next);
              reject(waiter.overdue({ timeoutMs }));
            });
      this.#line.add(next);
    });
  }
}

/** What {@link Turns} need. */
export interface TurnsOptions {
  readonly clock: Clock;
  /** How many may have a turn at once. */
  readonly limit: number;
  /** How long to wait for one; 0 means for ever. */
  readonly timeoutMs: number;
  /** Knows the error of a wait that was too long. */
  readonly waiter: Waiter;
}
