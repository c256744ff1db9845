import type { Clock } from "../../runtime/clock.ts";

/** The first few may be over at once: a claim beside us commits. */
const FREE = 3;
const REST_MS = 10;

/**
 * Claims in a row that were told that there is more, got nothing of it and saw
 * nothing new. It is held by somebody then: asking again at once, and again,
 * would not make it free.
 */
export class VainClaims {
  readonly #clock: Clock;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A claim has ended. Resolves when the next one makes sense. */
  async rest(wasVain: boolean): Promise<void> {
    this.#count = wasVain ? this.#count + 1 : 0;
    if (this.#count > FREE) await this.#clock.sleep(REST_MS);
  }
}
