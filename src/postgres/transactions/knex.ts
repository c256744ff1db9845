import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of Knex; `undefined` for what is not of Knex. */
export function knexTransaction(given: unknown): CallerTransaction | undefined {
  const { raw, isCompleted, isTransaction, client } = given as Partial<Knex>;
  if (typeof raw !== "function" || typeof client !== "object") return undefined;
  if (isTransaction !== true || typeof isCompleted !== "function") {
    throw noTransaction("Knex", "The instance", "the `trx` of `knex.transaction((trx) => ...)`");
  }
  return new FramedTransaction(new InKnex(given as Knex));
}

/** A transaction of Knex. */
export interface KnexTransaction {
  /** Whether it has ended. */
  isCompleted(): boolean;
  /** Sends SQL. */
  raw(...args: never[]): unknown;
}

interface Knex {
  readonly client: unknown;
  readonly isTransaction?: boolean;
  isCompleted(): boolean;
  raw(sql: string, bindings: Readonly<Record<string, Cell>>): Promise<{ readonly rows?: unknown }>;
}

class InKnex implements LibraryTransaction {
  readonly name = "Knex";
  readonly #transaction: Knex;

  constructor(transaction: Knex) {
    this.#transaction = transaction;
  }

  /** Knex refuses statements of a transaction that has ended. */
  get isOpen(): boolean {
    return !this.#transaction.isCompleted();
  }

  async run(text: string, values: Cell[]): Promise<unknown> {
    // Knex has placeholders of its own, and takes each question mark for one.
    const sql = text
      .replaceAll("\\", "\\\\")
      .replaceAll("?", "\\?")
      .replaceAll(/\$(\d+)(?=::)/g, ":howdah_$1");
    const bindings = Object.fromEntries(values.map((value, index) => [`howdah_${index + 1}`, value]));
    const { rows } = await this.#transaction.raw(sql, bindings);
    return rows;
  }

  isEnd(): boolean {
    return this.#transaction.isCompleted();
  }
}
