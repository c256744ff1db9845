import { HowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import type { CallerTransaction, Cell, Query, QueryResult } from "../driver.ts";
import { sqlStateOf } from "../sqlstate.ts";
import { frame, readFrame } from "./frame.ts";

/** A transaction of a client library that does not pass text through as it is; see {@link frame}. */
export class FramedTransaction implements CallerTransaction {
  readonly #library: LibraryTransaction;
  /**
   * Not even a library that refuses statements of a transaction that has ended knows for certain: after a commit that
   * has failed, or while one is under way, it still takes the transaction for open.
   */
  readonly isOpen = undefined;

  constructor(library: LibraryTransaction) {
    this.#library = library;
  }

  async query(query: Query): Promise<QueryResult> {
    const { text, values } = frame(query);
    let rows: unknown;
    try {
      rows = await this.#library.run(text, [...values]);
    } catch (error) {
      const isEnd = sqlStateOf(error) === undefined && this.#library.isEnd?.(error) === true;
      throw isEnd ? ended(this.#library.name, error) : error;
    }
    const answer = readFrame(rows);
    if (answer) return answer;
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${this.#library.name} answered ${describeValue(rows)}; it has to be the rows, each an object with the ` +
        'text of the column "howdah".',
    );
  }
}

/** How one library runs statements in a transaction. */
export interface LibraryTransaction {
  /** What messages call it. */
  readonly name: string;
  /** Sends a statement with values for `$1`, `$2`, … and resolves to its rows as objects. */
  run(text: string, values: Cell[]): Promise<unknown>;
  /** Whether an error that is not the server's says that the transaction had ended, so that nothing was sent. */
  isEnd?(error: unknown): boolean;
}

/** The error for something of a library that is no transaction. */
export function noTransaction(library: string, found: string, instead: string): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${found} of ${library} is no transaction: what is done over it would be there at once. Pass ${instead}.`,
  );
}

function ended(library: string, cause: unknown): HowdahError {
  return new HowdahError(
    "HOWDAH_TRANSACTION_ENDED",
    `The transaction of ${library} ended before the statement was sent, so nothing was done: await each call inside of it.`,
    cause,
  );
}
