import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of postgres.js; `undefined` for what is not of postgres.js. */
export function postgresJsTransaction(given: unknown): CallerTransaction | undefined {
  const { unsafe, savepoint } = given as Partial<PostgresJs>;
  if (typeof given !== "function" || typeof unsafe !== "function") return undefined;
  if (typeof savepoint !== "function")
    throw noTransaction("postgres.js", "The `sql`", "the `sql` of `sql.begin((sql) => ...)`");
  return new FramedTransaction(new InPostgresJs(given as unknown as PostgresJs));
}

/** A transaction of postgres.js. */
export interface PostgresJsTransaction {
  /** Sends SQL. */
  unsafe(...args: never[]): unknown;
  /** Begins a savepoint, which only a transaction can. */
  savepoint(...args: never[]): unknown;
}

interface PostgresJs {
  unsafe(text: string, values: Cell[]): Promise<unknown> & { execute?(): unknown };
  savepoint: unknown;
}

class InPostgresJs implements LibraryTransaction {
  readonly name = "postgres.js";
  readonly #transaction: PostgresJs;

  constructor(transaction: PostgresJs) {
    this.#transaction = transaction;
  }

  async run(text: string, values: Cell[]): Promise<unknown> {
    const query = this.#transaction.unsafe(text, values);
    // It would be sent when it is awaited, in a later turn.
    query.execute?.();
    return [...((await query) as unknown[])];
  }
}
