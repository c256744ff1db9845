import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of PGlite; `undefined` for what is not of PGlite. */
export function pgliteTransaction(given: unknown): CallerTransaction | undefined {
  const { query, exec, rollback, closed } = given as Partial<PGlite>;
  if (typeof query !== "function" || typeof exec !== "function" || typeof closed !== "boolean") return undefined;
  if (typeof rollback !== "function")
    throw noTransaction("PGlite", "The database", "the `tx` of `db.transaction((tx) => ...)`");
  return new FramedTransaction(new InPGlite(given as PGlite));
}

/** A transaction of PGlite. */
export interface PGliteTransaction {
  /** Whether it has ended. */
  readonly closed: boolean;
  /** Sends SQL. */
  query(...args: never[]): Promise<unknown>;
  /** Ends the transaction. */
  rollback(...args: never[]): Promise<void>;
}

interface PGlite {
  readonly closed: boolean;
  readonly exec: unknown;
  readonly rollback: unknown;
  query(text: string, values: Cell[]): Promise<{ readonly rows: unknown }>;
}

class InPGlite implements LibraryTransaction {
  readonly name = "PGlite";
  readonly #transaction: PGlite;

  constructor(transaction: PGlite) {
    this.#transaction = transaction;
  }

  async run(text: string, values: Cell[]): Promise<unknown> {
    return (await this.#transaction.query(text, values)).rows;
  }

  isEnd(error: unknown): boolean {
    return error instanceof Error && /transaction is closed/i.test(error.message);
  }
}
