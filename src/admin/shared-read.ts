import type { Clock } from "../runtime/clock.ts";

/**
 * A read that all who ask share. It is repeated when what it has is older than
 * `freshMs`; up to `staleMs` those who ask get what there is, and the next ones
 * what is read meanwhile. Never more than one is under way.
 */
export class SharedRead<T> {
  readonly #read: () => Promise<T>;
  readonly #clock: Pick<Clock, "now">;
  readonly #freshMs: number;
  readonly #staleMs: number;
  #fact: Fact<T> | undefined;
  #running: Promise<Fact<T>> | undefined;

  // oxlint-disable-next-line max-params -- what is read, by which clock, and how often
  constructor(read: () => Promise<T>, clock: Pick<Clock, "now">, freshMs: number, staleMs: number = freshMs) {
    this.#read = read;
    this.#clock = clock;
    this.#freshMs = freshMs;
    this.#staleMs = staleMs;
  }

  /** What was read at most `staleMs` ago. */
  async get(staleMs: number = this.#staleMs): Promise<Fact<T>> {
    const fact = this.#fact;
    const ageMs = fact === undefined ? Infinity : this.#clock.now() - fact.asOf.getTime();
    if (fact && ageMs >= 0 && ageMs < this.#freshMs) return fact;
    const reading = this.#refresh();
    if (!fact || ageMs < 0 || ageMs >= staleMs) return reading;
    // The caller that has to wait for it hears of what goes wrong.
    reading.catch(() => undefined);
    return fact;
  }

  #refresh(): Promise<Fact<T>> {
    this.#running ??= this.#readOnce().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #readOnce(): Promise<Fact<T>> {
    const asOf = new Date(this.#clock.now());
    const value = await this.#read();
    this.#fact = { value, asOf };
    return this.#fact;
  }
}

/** What was read, and when. */
export interface Fact<T> {
  readonly value: T;
  readonly asOf: Date;
}
