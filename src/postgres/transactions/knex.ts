import type { CallerTransaction, Cell } from "../driver.ts";
import { replaceValues } from "./frame.ts";
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
  raw(sql: string, bindings: readonly Cell[]): Promise<unknown>;
}

class InKnex implements LibraryTransaction {
  readonly name: string;
  readonly #transaction: Knex;

  constructor(transaction: Knex, name: string) {
    this.#transaction = transaction;
    this.name = name;
  }

  async run(text: string, values: Cell[]): Promise<unknown> {
    // Knex takes each question mark for a value, in the order in which they stand.
    const bindings: Cell[] = [];
    const sql = replaceValues(text.replaceAll("?", "\\?"), (value) => {
      bindings.push(values[Number(value.slice(1)) - 1] ?? null);
      return "?";
    });
    const answer = await this.#transaction.raw(sql, bindings);
    // What `postProcessResponse` of an application makes of an answer is often its rows.
    return Array.isArray(answer) ? answer : (answer as { readonly rows?: unknown } | undefined)?.rows;
  }

  isEnd(error: unknown): boolean {
    return error instanceof Error && /transaction query already complete/i.test(error.message);
  }
}
