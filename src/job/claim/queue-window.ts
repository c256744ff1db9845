import { lookCost } from "./look-cost.ts";

/** How a window went. */
export interface WindowResult {
  readonly windowStart: number | null;
  readonly windowAfter: number | null;
  readonly windowWrapped: boolean;
  readonly windowMs: number;
}

/** At most this share of the time goes into windows that find nothing. */
const REST_PER_COST = 9;
/** After a full circle, so many times its cost pass before the next one. */
const REST_PER_CIRCLE = 20;

/**
 * Decides when a claim may look through all queues, as the safety net for jobs
 * that nobody announced. It goes on where it stopped, starts at random so that
 * workers do not follow each other, and rests in proportion to its cost.
 */
export class QueueWindow {
  readonly #circleRestMs: number;
  #after = -1;
  #dueAt = 0;
  #circleStart: number | undefined;
  #circleCostMs = 0;
  #wrapped = false;
  /** A claim is under way that looks through the queues. */
  #isOut = false;

  /** @param circleRestMs - the shortest rest between two fruitless circles */
  constructor(circleRestMs: number) {
    this.#circleRestMs = circleRestMs;
  }

  /**
   * Where a claim that begins now shall look from, or `null` while it is too
   * early or another one looks. After a number, tell how it went.
   */
  next(nowMs: number): number | null {
    if (this.#isOut || nowMs < this.#dueAt) return null;
    this.#isOut = true;
    return this.#after;
  }

  /** How long until a window is allowed again; 0 when it is. */
  restMs(nowMs: number): number {
    return Math.max(0, this.#dueAt - nowMs);
  }

  /** Allows the next window at once: something may have happened unseen. */
  reset(): void {
    this.#isOut = false;
    this.#dueAt = 0;
    this.#endCircle();
  }

  /** The claim that was to look through the queues has failed. */
  failed(): void {
    this.#isOut = false;
  }

  /** Takes over how the last window went; `found` when the claim got all it wanted, and not without the window. */
  settle(result: WindowResult, found: boolean, nowMs: number): void {
    // Otherwise it began before a reset, after which another look is wanted.
    if (!this.#isOut) return;
    this.#isOut = false;
    if (result.windowMs === 0) return;
    this.#after = result.windowAfter ?? -1;
    if (found) {
      this.reset();
      return;
    }
    this.#circleStart ??= result.windowStart ?? 0;
    const costMs = lookCost(result.windowMs);
    this.#circleCostMs += costMs;
    // There may be no queue left as far up as the circle began: then it ends where the queues do, the second time.
    const isOver = this.#wrapped && result.windowWrapped;
    this.#wrapped ||= result.windowWrapped;
    if (isOver || (this.#wrapped && this.#after >= this.#circleStart)) {
      this.#dueAt = nowMs + Math.max(this.#circleRestMs, REST_PER_CIRCLE * this.#circleCostMs);
      this.#endCircle();
    } else {
      this.#dueAt = nowMs + REST_PER_COST * costMs;
    }
  }

  #endCircle(): void {
    this.#circleStart = undefined;
    this.#circleCostMs = 0;
    this.#wrapped = false;
  }
}
