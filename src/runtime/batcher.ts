import type { Clock, Timer } from "./clock.ts";

/**
 * Collects items and writes them together. Natural batching: if no write is under
 * way, write now; what arrives meanwhile goes with the next one. Alone an item
 * waits for nothing, and under load the batches grow.
 *
 *   batch     holds                     leaves when
 *   empty     nothing                   an item is added     -> waiting
 *   waiting   items before their time   the delay is over,
 *                                       it is full, flushed  -> ripe
 *   ripe      items to be written       no write is under
 *                                       way: all are taken   -> empty
 */
export class Batcher<T> {
  readonly #clock: Clock;
  readonly #writer: BatchWriter<T>;
  readonly #maxItems: number;
  readonly #delays: ItemDelays<T> | undefined;
  #waiting: T[] = [];
  #ripe = false;
  /** When the waiting items are to be written, by the monotonic clock. */
  #ripeAt = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #running = false;
  #write: Promise<void> = Promise.resolve();
  #added = 0;
  #settled = 0;

  constructor(clock: Clock, writer: BatchWriter<T>, limits: BatchLimits<T> = {}) {
    this.#clock = clock;
    this.#writer = writer;
    this.#maxItems = limits.maxItems ?? Number.POSITIVE_INFINITY;
    this.#delays = limits.delays;
  }

  /** How many items were added and are not written yet, those being written included. */
  get size(): number {
    return this.#added - this.#settled;
  }

  /** Hands over an item to be written. */
  add(item: T): void {
    this.#added += 1;
    const count = this.#waiting.push(item);
    if (this.#ripe) return;
    if (count >= this.#maxItems) this.#becomeRipe();
    else if (count === 1 || this.#delays) this.#startWaiting(item);
  }

  /** Writes without delay, and resolves when everything added before has been written or has failed. Never rejects. */
  async flush(): Promise<void> {
    const target = this.#added;
    while (this.#settled < target) {
      this.#becomeRipe();
      await this.#write;
    }
  }

  #startWaiting(item: T): void {
    const delayMs = this.#delays?.delayMsOf(item) ?? 0;
    const ripeAt = delayMs > 0 ? this.#clock.monotonic() + delayMs : 0;
    if (ripeAt >= this.#ripeAt) return;
    this.#ripeAt = ripeAt;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (delayMs > 0) this.#timer = this.#clock.setTimer(delayMs, this.#becomeRipe);
    // The next tick comes when all promises of this turn have settled, so whatever they add goes along.
    else process.nextTick(this.#becomeRipe);
  }

  /** One function for all turns, so that adding makes no closure. */
  readonly #becomeRipe = (): void => {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#ripeAt = Number.POSITIVE_INFINITY;
    // A tick of a batch that was flushed meanwhile may find nothing, or the next batch: writing that one is not too early.
    if (this.#waiting.length === 0) return;
    this.#ripe = true;
    if (!this.#running) void this.#writeAll();
  };

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
      await this.#writer.write(batch);
    } catch (error) {
      this.#report(error, batch);
    }
    this.#settled += batch.length;
  }

  #report(error: unknown, batch: readonly T[]): void {
    try {
      this.#writer.failed(error, batch);
    } catch {
      // A reporter that fails has no one left to tell, and must not stop the writing.
    }
  }
}

/** Writes what a batcher has collected. */
export interface BatchWriter<T> {
  /** Writes at least one item, in the order added. There is never a second write under way. */
  write(items: readonly T[]): Promise<void>;
  /** A write failed. Its items are not written again: trying again is up to `write`. */
  failed(error: unknown, items: readonly T[]): void;
}

/** How much a batcher collects. */
export interface BatchLimits<T> {
  /** The most items of one write; that many do not wait any longer. Default: no limit. */
  readonly maxItems?: number | undefined;
  /** Without it items wait until the end of the turn. */
  readonly delays?: ItemDelays<T> | undefined;
}

/** How long items wait for more. */
export interface ItemDelays<T> {
  /** The shortest delay of its items counts for a batch. */
  delayMsOf(item: T): number;
}
