import type { Clock, Timer } from "./clock.ts";

/** Collects items and writes them together. */
export interface Batcher<T> {
  /** How many items were added and are not written yet, those being written included. */
  readonly size: number;
  /** Hands over an item to be written. */
  add(item: T): void;
  /** Writes without delay, and resolves when everything added before has been written or has failed. Never rejects. */
  flush(): Promise<void>;
}

/** How items are written. */
export interface BatcherOptions<T> {
  /** Writes at least one item, in the order added. There is never a second write under way. */
  write(items: readonly T[]): Promise<void>;
  /** Told of a write that failed. Its items are not written again: trying again is up to `write`. */
  onError(error: unknown, items: readonly T[]): void;
  readonly clock: Clock;
  /**
   * How long an item waits for more; the shortest wait of its items counts for
   * the batch. Default 0: until the end of the turn.
   */
  readonly delayMs?: number | ((item: T) => number);
  /** The most items of one write; so many do not wait any longer. Default: no limit. */
  readonly maxItems?: number;
}

/**
 * Natural batching: if no write is under way, write now; what arrives
 * meanwhile goes with the next one. Alone an item waits for nobody, and under
 * load the batches grow by themselves.
 *
 *   batch     holds                     leaves when
 *   empty     nothing                   an item is added     -> waiting
 *   waiting   items before their time   the delay is over,
 *                                       it is full, flushed  -> ripe
 *   ripe      items to be written       no write is under
 *                                       way: all are taken   -> empty
 */
export function createBatcher<T>(options: BatcherOptions<T>): Batcher<T> {
  return new NaturalBatcher(options);
}

class NaturalBatcher<T> implements Batcher<T> {
  readonly #options: BatcherOptions<T>;
  readonly #delayMs: number | ((item: T) => number);
  readonly #maxItems: number;
  /** One function for all turns, so that adding makes no closure. */
  readonly #ripen = (): void => this.#becomeRipe();
  #waiting: T[] = [];
  #ripe = false;
  /** When the waiting items are to be written, by the monotonic clock. */
  #ripeAt = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #running = false;
  #write: Promise<void> = Promise.resolve();
  #added = 0;
  #settled = 0;

  constructor(options: BatcherOptions<T>) {
    this.#options = options;
    this.#delayMs = options.delayMs ?? 0;
    this.#maxItems = options.maxItems ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#added - this.#settled;
  }

  add(item: T): void {
    this.#added += 1;
    const count = this.#waiting.push(item);
    if (this.#ripe) return;
    if (count >= this.#maxItems) this.#becomeRipe();
    else if (count === 1 || typeof this.#delayMs === "function") this.#startWaiting(item);
  }

  async flush(): Promise<void> {
    const target = this.#added;
    while (this.#settled < target) {
      this.#becomeRipe();
      await this.#write;
    }
  }

  #startWaiting(item: T): void {
    const delayMs = typeof this.#delayMs === "function" ? this.#delayMs(item) : this.#delayMs;
    const ripeAt = delayMs > 0 ? this.#options.clock.monotonic() + delayMs : 0;
    if (ripeAt >= this.#ripeAt) return;
    this.#ripeAt = ripeAt;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (delayMs > 0) this.#timer = this.#options.clock.setTimer(delayMs, this.#ripen);
    // The next tick comes when all promises of this turn have settled, so whatever they add goes along.
    else process.nextTick(this.#ripen);
  }

  #becomeRipe(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#ripeAt = Number.POSITIVE_INFINITY;
    // A tick of a batch that was flushed meanwhile may find nothing, or the next batch: writing that one is not too early.
    if (this.#waiting.length === 0) return;
    this.#ripe = true;
    if (!this.#running) void this.#writeAll();
  }

  /** Never rejects. */
  async #writeAll(): Promise<void> {
    this.#running = true;
    while (this.#ripe) {
      this.#write = this.#writeBatch(this.#take());
      await this.#write;
    }
    this.#running = false;
  }

  #take(): T[] {
    const all = this.#waiting;
    const batch = all.length <= this.#maxItems ? all : all.slice(0, this.#maxItems);
    this.#waiting = batch === all ? [] : all.slice(this.#maxItems);
    this.#ripe = this.#waiting.length > 0;
    return batch;
  }

  async #writeBatch(batch: readonly T[]): Promise<void> {
    try {
      await this.#options.write(batch);
    } catch (error) {
      this.#report(error, batch);
    }
    this.#settled += batch.length;
  }

  #report(error: unknown, batch: readonly T[]): void {
    try {
      this.#options.onError(error, batch);
    } catch {
      // A reporter that fails has nobody left to tell, and must not stop the writing.
    }
  }
}
