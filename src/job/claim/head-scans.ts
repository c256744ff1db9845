import { lookCost } from "./look-cost.ts";

/** A scan of the head costs at most one part in so many of the time. */
const SHARE = 20;

/**
 * When to scan the jobs without a queue from the very first one, past all
 * floors: once per interval, and at most a twentieth of the time.
 */
export class HeadScans {
  readonly #intervalMs: number;
  #dueAt = 0;
  /** When the cost of the last one is made up for. */
  #allowedAt = 0;
  #costMs = 0;
  #lastAt: number;

  /** @param intervalMs - the shortest time between two, unless one is asked for */
  constructor(intervalMs: number, nowMs: number) {
    this.#intervalMs = intervalMs;
    this.#lastAt = nowMs;
  }

  /** When the last one began. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Whether a claim that begins now shall scan the head. */
  isDue(nowMs: number): boolean {
    return nowMs >= this.#dueAt;
  }

  /** There may be jobs behind the floors: the next one comes as soon as its share of the time allows. */
  bringForward(): void {
    this.#dueAt = Math.min(this.#dueAt, this.#allowedAt);
  }

  /** Nothing that was seen counts: the next claim scans the head. */
  askFor(): void {
    this.#dueAt = 0;
  }

  /**
   * A claim that began then has scanned the head. The interval goes from its
   * begin: a process that stood still before it read the answer looks again.
   */
  done({ startedAt, tookMs }: ClaimTimes): void {
    this.#lastAt = startedAt;
    this.#costMs = 0;
    this.wentOn({ startedAt, tookMs });
    this.#dueAt = Math.max(startedAt + this.#intervalMs, this.#allowedAt);
  }

  /** A later claim came to a priority that the scan had not reached. */
  wentOn({ startedAt, tookMs }: ClaimTimes): void {
    const costMs = lookCost(tookMs);
    this.#costMs += costMs;
    this.#allowedAt = startedAt + costMs + SHARE * this.#costMs;
    this.#dueAt = Math.max(this.#dueAt, this.#allowedAt);
  }
}

/** When a claim began, and what it cost the server. */
export interface ClaimTimes {
  readonly startedAt: number;
  readonly tookMs: number;
}
