import { backoffMs } from "../runtime/backoff.ts";

const BACKOFF = { firstMs: 1_000, maxMs: 60_000 };

interface Trouble {
  readonly reason: string;
  readonly failures: number;
  /** By the monotonic clock: left alone until then. */
  readonly untilMs: number;
}

/**
 * Recurring jobs whose last tick was refused. They are tried by themselves, so
 * that they do not hold up those that are added together.
 *
 *   entry     is                                leaves when
 *   fine      added together with others        a tick of it is refused         -> resting
 *                                               a tick of it is dropped         -> apart
 *   resting   left alone                        its time is over                -> apart
 *   apart     added by itself                   refused: for twice as long      -> resting
 *                                               dropped                         -> apart
 *                                               added                           -> fine
 *                                               the server is away: for longer  -> resting
 */
export class Troubles {
  readonly #random: () => number;
  readonly #byKey = new Map<string, Trouble>();

  /** @param random - gives 0 to 1, for the jitter. Default `Math.random`. */
  constructor(random?: () => number) {
    this.#random = random ?? Math.random;
  }

  /** Whether it is not to be added together with others. */
  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Whether it is left alone at this time. */
  rests(key: string, nowMs: number): boolean {
    return (this.#byKey.get(key)?.untilMs ?? Number.NEGATIVE_INFINITY) > nowMs;
  }

  /** A tick was refused. Returns whether the reason is news. */
  refused(key: string, reason: string, nowMs: number): boolean {
    const before = this.#byKey.get(key);
    const failures = (before?.failures ?? 0) + 1;
    this.#byKey.set(key, { reason, failures, untilMs: nowMs + backoffMs(BACKOFF, failures, this.#random) });
    return before?.reason !== reason;
  }

  /** A tick could not be tried, for whatever it is not to blame. */
  postponed(key: string, nowMs: number): void {
    const before = this.#byKey.get(key);
    if (before) this.refused(key, before.reason, nowMs);
  }

  /** A tick counts as done although its job was not stored. Returns whether the reason is news. */
  dropped(key: string, reason: string): boolean {
    const before = this.#byKey.get(key);
    this.#byKey.set(key, { reason, failures: 0, untilMs: Number.NEGATIVE_INFINITY });
    return before?.reason !== reason;
  }

  /** A tick was added. */
  added(key: string): void {
    this.#byKey.delete(key);
  }
}
