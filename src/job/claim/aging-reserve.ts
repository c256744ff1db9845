import type { Aging } from "../../postgres/queries/claim.ts";

/**
 * How many places of each claim are for jobs that wait behind better priorities:
 * one in eight of all that claims ask for, one claim after another. A claim for eight
 * jobs or more has at least one; smaller ones have one in turns, when eight places
 * have been asked for since the last one. So work of better priorities never gives
 * up more than an eighth.
 */
export class AgingReserve {
  readonly #afterMs: number;
  /** Places that were asked for and count for the next ones. */
  #places = 0;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  /** What a claim of `quantity` jobs reserves; `undefined` for nothing. */
  next(quantity: number): Aging | undefined {
    this.#places += quantity;
    const places = Math.floor(this.#places / ONE_IN);
    if (places === 0) return undefined;
    this.#places %= ONE_IN;
    return { places, afterMs: this.#afterMs };
  }
}

/** One place of this number is reserved. */
const ONE_IN = 8;
