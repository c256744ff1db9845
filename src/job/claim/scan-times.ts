import type { ClaimAnswer } from "../../postgres/queries/claim-answer.ts";

/**
 * When a claim was sent, and what it cost the server. Scans that pass over what
 * is known, from the first job of all priorities or of a queue, or through all
 * queues, take a twentieth of the time at most: each is followed by a rest of
 * twenty times its cost. How old a scan is counts from when its claim was sent:
 * a process that stood still reads its answers late.
 */
export interface ScanTimes {
  readonly sentAt: number;
  readonly tookMs: number;
}

/** A scan from the first job takes one part in this many of the time at most. */
const SHARE = 20;
/** Pages that find nothing take one part in ten of the time at most. */
const REST_PER_PAGE = 9;
/** Far more than a scan takes that waits for nothing. */
const MOST_MS = 3_000;

/**
 * What a scan cost, as far as it counts. One that took longer than three seconds
 * has waited: for a lock on the table, or for a machine without time to give. To
 * rest in proportion to that would keep jobs unseen for minutes after the cause
 * is over.
 */
function costOf(tookMs: number): number {
  return Math.min(tookMs, MOST_MS);
}

/** From when on a scan like this one may be repeated; `costMs` is what those before it have cost that belong to it. */
export function repeatableAt({ sentAt, tookMs }: ScanTimes, costMs = 0): number {
  const lastMs = costOf(tookMs);
  return sentAt + lastMs + SHARE * (costMs + lastMs);
}

/**
 * When to scan the jobs without a queue from the very first one, past all
 * floors: once per interval, and a twentieth of the time at most.
 */
export class HeadScans {
  readonly #intervalMs: number;
  #dueAt = 0;
  /** When the cost of the last one is made up for. */
  #allowedAt = 0;
  #costMs = 0;
  #lastAt: number;

  /** @param intervalMs - the shortest time between two, unless one is asked for */
  constructor(intervalMs: number, now: number) {
    this.#intervalMs = intervalMs;
    this.#lastAt = now;
  }

  /** When the last one began. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Whether a claim that begins now has to scan the head. */
  isDue(now: number): boolean {
    return now >= this.#dueAt;
  }

  /** In how long a claim has to scan the head; 0 when it has to. */
  inMs(now: number): number {
    return Math.max(0, this.#dueAt - now);
  }

  /** There may be jobs behind the floors: the next one comes as soon as its share of the time allows. */
  bringForward(): void {
    this.#dueAt = Math.min(this.#dueAt, this.#allowedAt);
  }

  /** Nothing that was seen counts: the next claim scans the head. */
  askFor(): void {
    this.#dueAt = 0;
  }

  /** A claim has scanned the head. */
  done(times: ScanTimes): void {
    this.#lastAt = times.sentAt;
    this.#costMs = 0;
    this.wentOn(times);
    this.#dueAt = Math.max(times.sentAt + this.#intervalMs, this.#allowedAt);
  }

  /** A later claim came to a priority that the scan had not reached. */
  wentOn(times: ScanTimes): void {
    this.#allowedAt = repeatableAt(times, this.#costMs);
    this.#costMs += costOf(times.tookMs);
    this.#dueAt = Math.max(this.#dueAt, this.#allowedAt);
  }
}

/**
 * When a claim may scan through all queues, as the safety net for jobs that were
 * not announced. It goes on where it stopped, starts at random so that workers
 * do not follow each other, and rests in proportion to its cost.
 */
export class QueueWindow {
  readonly #circleRestMs: number;
  #after = -1;
  #dueAt = 0;
  #circleStart: number | undefined;
  #circleCostMs = 0;
  #wrapped = false;
  /** A claim is under way that scans the queues. */
  #isOut = false;

  /** @param circleRestMs - the shortest rest between two fruitless circles */
  constructor(circleRestMs: number) {
    this.#circleRestMs = circleRestMs;
  }

  /** A circle has begun and is not over. */
  get isInCircle(): boolean {
    return this.#circleStart !== undefined;
  }

  /**
   * Where a claim that begins now scans from, or `null` while it is too early or
   * another claim scans. A number has to be answered by `settle` or `failed`.
   */
  next(now: number): number | null {
    if (this.#isOut || now < this.#dueAt) return null;
    this.#isOut = true;
    return this.#after;
  }

  /** How long until a window is allowed again; 0 when it is. */
  restMs(now: number): number {
    return Math.max(0, this.#dueAt - now);
  }

  /** Allows the next window at once: something may have happened unseen. */
  reset(): void {
    this.#isOut = false;
    this.#dueAt = 0;
    this.#endCircle();
  }

  /** The claim that was to scan the queues has failed. */
  failed(): void {
    this.#isOut = false;
  }

  /** Takes over how the last window went; `found` when the claim got all it wanted, and not without the window. */
  settle(result: WindowResult, found: boolean, now: number): void {
    // Otherwise it began before a reset, after which another one is wanted.
    if (!this.#isOut) return;
    this.#isOut = false;
    if (result.windowMs === 0) return;
    this.#after = result.windowAfter ?? -1;
    if (found) {
      this.reset();
      return;
    }
    this.#circleStart ??= result.windowStart ?? 0;
    const costMs = costOf(result.windowMs);
    this.#circleCostMs += costMs;
    // There may be no queue left as far up as the circle began: then it ends where the queues do, the second time.
    const isOver = this.#wrapped && result.windowWrapped;
    this.#wrapped ||= result.windowWrapped;
    if (isOver || (this.#wrapped && this.#after >= this.#circleStart)) {
      this.#dueAt = now + Math.max(this.#circleRestMs, SHARE * this.#circleCostMs);
      this.#endCircle();
    } else {
      this.#dueAt = now + REST_PER_PAGE * costMs;
    }
  }

  #endCircle(): void {
    this.#circleStart = undefined;
    this.#circleCostMs = 0;
    this.#wrapped = false;
  }
}

/** How a window went. */
export type WindowResult = Pick<ClaimAnswer, "windowStart" | "windowAfter" | "windowWrapped" | "windowMs">;
