import { backoffMs } from "../runtime/backoff.ts";

/**
 * Recurring jobs whose last tick was refused. They are tried separately, so
 * that they do not delay those that are added together.
 *
 *   entry     is                                leaves when
 *   fine      added together with others        a tick of it is refused         -> resting
 *                                               a tick of it is dropped         -> apart
 *   resting   not tried                         its time is over                -> apart
 *   apart     added separately                  refused: for twice as long      -> resting
 *                                               dropped                         -> apart
 *                                               added                           -> fine
 *                                               the server is gone: for longer  -> resting
 */
export class Troubles {
  readonly #random: () => number;
  readonly #byKey = new Map<string, Trouble>();

  /** @param random - returns 0 to 1, for the jitter. Default `Math.random`. */
  constructor(random?: () => number) {
    this.#random = random ?? Math.random;
  }

  /** Whether it must be added separately. */
  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Whether it must not be tried at this time. */
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

  /** A tick could not be tried for a reason that is not its own. */
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

const BACKOFF = { firstMs: 1_000, maxMs: 60_000 };

interface Trouble {
  readonly reason: string;
  readonly failures: number;
  /** By the monotonic clock: not tried before. */
  readonly untilMs: number;
}
