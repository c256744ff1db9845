import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of Drizzle, over node-postgres or postgres.js; `undefined` for what is not of Drizzle. */
export function drizzleTransaction(given: unknown): CallerTransaction | undefined {
  const { execute, rollback, dialect } = given as Partial<Drizzle>;
  if (typeof execute !== "function" || typeof dialect !== "object") return undefined;
  if (typeof rollback !== "function")
    throw noTransaction("Drizzle", "The database", "the `tx` of `db.transaction((tx) => ...)`");
  return new FramedTransaction(new InDrizzle(given as Drizzle));
}

/** A transaction of Drizzle. */
export interface DrizzleTransaction {
  /** Sends an SQL expression. */
  execute(...args: never[]): unknown;
  /** Ends the transaction. */
  rollback(...args: never[]): never;
}

interface Drizzle {
  readonly dialect: unknown;
  execute(query: object): Promise<unknown>;
  rollback(): never;
}

class InDrizzle implements LibraryTransaction {
  readonly name = "Drizzle";
  readonly #transaction: Drizzle;

  constructor(transaction: Drizzle) {
    this.#transaction = transaction;
  }

  async run(sql: string, params: Cell[]): Promise<unknown> {
    const expression = { toQuery: () => ({ sql, params }), shouldInlineParams: false };
    const answer = await this.#transaction.execute({ getSQL: () => expression }).catch((error: unknown) => {
      // The message of Drizzle has the statement and all of its values in it.
      throw error instanceof Error && error.cause instanceof Error ? error.cause : error;
    });
    // Over postgres.js it is the rows themselves, in a class of their own.
    return Array.isArray(answer)
      ? [...(answer as unknown[])]
      : (answer as { readonly rows?: unknown } | undefined)?.rows;
  }
}
