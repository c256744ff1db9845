import { HowdahError } from "../../errors.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction } from "./framed-transaction.ts";

/**
 * Makes a transaction for `inTransaction()` and `complete()` of a library that
 * Howdah does not know: `run` sends one statement with values for `$1`, `$2`, … (text
 * or null) in the transaction that has begun, and resolves to its rows as objects.
 * All values are text, and so is the one column of each answer, `howdah`.
 *
 * Whether it is a transaction is asked of PostgreSQL before anything is changed, and
 * an answer of another shape is rejected there, with `HOWDAH_OPTION_INVALID`.
 */
export function executor(run: RunStatement): CallerTransaction {
  if (typeof run !== "function") {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `executor() takes a function that runs a statement, found ${describeValue(run)}.`,
    );
  }
  return new FramedTransaction(new InOwnLibrary(run));
}

/** Sends a statement in a transaction of the application and resolves to its rows as objects. */
export type RunStatement = (text: string, values: Cell[]) => PromiseLike<readonly unknown[]>;

class InOwnLibrary implements LibraryTransaction {
  readonly name = "The function of executor()";
  readonly #run: RunStatement;

  constructor(run: RunStatement) {
    this.#run = run;
  }

  async run(text: string, values: Cell[]): Promise<unknown> {
    return this.#run(text, values);
  }
}
