import { sqlStateOf } from "../../postgres/sqlstate.ts";
import { halvesOf, plainOf, type Failure, type Part } from "./part.ts";

/**
 * A search for the endings at fault in a part that was not written. It says what
 * to do next, and learns what came of it; it sends nothing itself.
 *
 *   item     is                                what to do
 *   failed   a part of several endings         take its halves, the first one first -> unsent
 *            one ending with texts             send it without them: plain
 *            one ending without, or rows that  suspect it
 *            stayed as they were
 *   unsent   half of a part that failed        send it: written, or                 -> failed
 *   plain    one ending without its texts      written, or suspect the whole ending
 *
 * Once the search is over, all that is left is suspected without being sent. It is
 * over when it has taken too long or found enough, and when it cannot succeed: two
 * single endings and the part after them have failed alike, and nothing was
 * written. Then the fault lies elsewhere, and to go on would accuse none but the
 * innocent.
 */
export class Search {
  /** What is left to do, the next one last. */
  readonly #items: Item[];
  readonly #endsAt: number;
  /** Something was written: evidence that rows are to blame. */
  #hasWritten: boolean;
  #isolated = 0;
  readonly #states = new Set<string | undefined>();

  constructor(failure: Failure, { hasWritten, now }: { readonly hasWritten: boolean; readonly now: number }) {
    this.#items = [{ is: "failed", failure }];
    this.#endsAt = now + LONGEST_MS;
    this.#hasWritten = hasWritten;
  }

  /** Nothing was written, and nothing will be by going on. */
  get isVain(): boolean {
    if (this.#hasWritten) return false;
    return this.#isolated >= (this.#states.size === 1 ? 2 : MOST_IN_VAIN);
  }

  /** What to do at this time; `undefined` when nothing is left. What becomes of a part that is sent has to be told to {@link learn}. */
  next(now: number): Move | undefined {
    for (let item = this.#items.pop(); item; item = this.#items.pop()) {
      const move = item.is === "unsent" ? this.#tryHalf(item, now) : this.#takeApart(item, now);
      if (move) return move;
    }
    return undefined;
  }

  /** What became of a part that was sent: it was written when there is no `failure`. */
  learn({ whole }: Sending, failure: Failure | undefined): void {
    if (!failure) {
      this.#hasWritten = true;
    } else if (whole) {
      this.#items.push({ is: "isolated", failure: { ...failure, part: { ...whole, attempt: failure.part.attempt } } });
    } else {
      this.#states.add(sqlStateOf(failure.error));
      this.#items.push({ is: "failed", failure });
    }
  }

  #tryHalf({ part, error }: Unsent, now: number): Move {
    if (!this.#isOver(now)) return { kind: "send", part };
    this.#states.add(sqlStateOf(error));
    return { kind: "suspect", failure: { part, error }, isPlain: false };
  }

  #takeApart({ is, failure }: Failed, now: number): Move | undefined {
    if (is === "failed" && (failure.isKept || this.#isOver(now))) return { kind: "suspect", failure, isPlain: false };
    if (failure.part.endings.length > 1) {
      const [first, second] = halvesOf(failure.part);
      this.#items.push({ is: "unsent", part: second, error: failure.error });
      this.#items.push({ is: "unsent", part: first, error: failure.error });
      return undefined;
    }
    const plain = is === "failed" ? plainOf(failure) : undefined;
    if (plain) return { kind: "send", part: plain, whole: failure.part };
    this.#isolated += 1;
    return { kind: "suspect", failure, isPlain: true };
  }

  #isOver(now: number): boolean {
    return this.isVain || this.#isolated >= MOST_ISOLATED || now >= this.#endsAt;
  }
}

/** What a search does next. */
export type Move = Sending | Suspicion;

/** Send a part. */
export interface Sending {
  readonly kind: "send";
  readonly part: Part;
  /** The ending as it is, when the part is that ending without its texts. */
  readonly whole?: Part;
}

/** A part may be at fault, which the search does not follow up. */
export interface Suspicion {
  readonly kind: "suspect";
  readonly failure: Failure;
  /** It is a single ending, and its texts are not what is at fault. */
  readonly isPlain: boolean;
}

type Item = Failed | Unsent;

interface Failed {
  /** `isolated`: a single ending that was not written without its texts either. */
  readonly is: "failed" | "isolated";
  readonly failure: Failure;
}

interface Unsent {
  readonly is: "unsent";
  readonly part: Part;
  /** With what the part failed whose half it is. */
  readonly error: unknown;
}

/** A search takes no longer: what is left goes to the quarantine as it is, and holds up no others. */
const LONGEST_MS = 5_000;

/** A search isolates no more endings than this. */
const MOST_ISOLATED = 1_000;

/** This many endings in a row that fail for different reasons are as good as a fault of the system. */
const MOST_IN_VAIN = 16;
