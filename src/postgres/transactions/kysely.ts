import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of Kysely, plain or controlled; `undefined` for what is not of Kysely. */
export function kyselyTransaction(given: unknown): CallerTransaction | undefined {
  const { executeQuery, isTransaction } = given as Partial<Kysely>;
  if (typeof executeQuery !== "function" || typeof isTransaction !== "boolean") return undefined;
  if (!isTransaction)
    throw noTransaction("Kysely", "The instance", "the `trx` of `db.transaction().execute((trx) => ...)`");
  return new FramedTransaction(new InKysely(given as Kysely));
}

/** A transaction of Kysely: `db.transaction()` or `db.startTransaction()`. */
export interface KyselyTransaction {
  /** True in a transaction. */
  readonly isTransaction: true;
  /** Sends a compiled query. */
  executeQuery(...args: never[]): Promise<unknown>;
}

interface Kysely {
  readonly isTransaction: boolean;
  executeQuery(query: object): Promise<{ readonly rows: unknown }>;
}

class InKysely implements LibraryTransaction {
  readonly name = "Kysely";
  readonly #transaction: Kysely;

  constructor(transaction: Kysely) {
    this.#transaction = transaction;
  }

  async run(sql: string, parameters: Cell[]): Promise<unknown> {
    const query = { kind: "RawNode", sqlFragments: [sql], parameters: [] };
    const { rows } = await this.#transaction.executeQuery({ sql, parameters, query, queryId: { queryId: "howdah" } });
    return rows;
  }

  isEnd(error: unknown): boolean {
    return error instanceof Error && /already (?:been )?(?:committed|rolled back)/i.test(error.message);
  }
}
