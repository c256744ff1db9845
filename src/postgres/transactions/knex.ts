import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of Knex; `undefined` for what is not of Knex. */
export function knexTransaction(given: unknown, name = "Knex"): CallerTransaction | undefined {
  const { raw, isCompleted, isTransaction, client } = given as Partial<Knex>;
  if (typeof raw !== "function" || typeof client !== "object") return undefined;
  if (isTransaction !== true || typeof isCompleted !== "function") {
    throw noTransaction("Knex", "The instance", "the `trx` of `knex.transaction((trx) => ...)`");
  }
  return new FramedTransaction(new InKnex(given as Knex, name));
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
  raw(sql: string, bindings: Readonly<Record<string, Cell>>): Promise<unknown>;
}

class InKnex implements LibraryTransaction {
  readonly name: string;
  readonly #transaction: Knex;

  constructor(transaction: Knex, name: string) {
    this.#transaction = transaction;
    this.name = name;
  }

  async run(text: string, values: Cell[]): Promise<unknown> {
    // Knex has placeholders of its own, and takes each question mark for one.
    const sql = text
      .replaceAll("\\", "\\\\")
      .replaceAll("?", "\\?")
      .replaceAll(/\$(\d+)(?=::)/g, ":howdah_$1");
    const bindings = Object.fromEntries(values.map((value, index) => [`howdah_${index + 1}`, value]));
    const answer = await this.#transaction.raw(sql, bindings);
    // What `postProcessResponse` of an application makes of an answer is often its rows.
    return Array.isArray(answer) ? answer : (answer as { readonly rows?: unknown } | undefined)?.rows;
  }

  isEnd(error: unknown): boolean {
    return error instanceof Error && /transaction query already complete/i.test(error.message);
  }
}
