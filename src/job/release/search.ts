import { sqlStateOf } from "../../postgres/sqlstate.ts";
import type { Clock } from "../../runtime/clock.ts";

/** A search takes no longer: what is left goes to the quarantine as it is, and holds up no others. */
const LONGEST_MS = 5_000;

/** A search isolates no more endings than this. */
const MOST_ISOLATED = 1_000;

/** So many endings in a row that fail for different reasons are as good as a fault of the system. */
const MOST_IN_VAIN = 16;

/**
 * What a search for the endings at fault has found out so far. It goes on as
 * long as there is evidence that rows are to blame: something was written. When
 * two single endings and the part after them have failed alike and nothing was
 * written, the fault lies elsewhere, and taking the rest apart would find
 * nothing but innocents.
 */
export class Search {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #endsAt: number;
  #hasWritten: boolean;
  #isolated = 0;
  readonly #states = new Set<string | undefined>();

  constructor(clock: Pick<Clock, "monotonic">, hasWritten: boolean) {
    this.#clock = clock;
    this.#endsAt = clock.monotonic() + LONGEST_MS;
    this.#hasWritten = hasWritten;
  }

  /** Nothing was written, and nothing will be by going on. */
  get isVain(): boolean {
    if (this.#hasWritten) return false;
    return this.#isolated >= (this.#states.size === 1 ? 2 : MOST_IN_VAIN);
  }

  /** Enough was looked for. */
  get isOver(): boolean {
    return this.isVain || this.#isolated >= MOST_ISOLATED || this.#clock.monotonic() >= this.#endsAt;
  }

  /** A part was written. */
  wrote(): void {
    this.#hasWritten = true;
  }

  /** A part was not written. */
  failed(error: unknown): void {
    this.#states.add(sqlStateOf(error));
  }

  /** An ending was not written by itself either. */
  isolated(): void {
    this.#isolated += 1;
  }
}
