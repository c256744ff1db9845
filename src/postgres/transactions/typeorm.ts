import type { CallerTransaction, Cell } from "../driver.ts";
import { FramedTransaction, type LibraryTransaction, noTransaction } from "./framed-transaction.ts";

/** The transaction of TypeORM, of an entity manager or a query runner; `undefined` for what is not of TypeORM. */
export function typeOrmTransaction(given: unknown): CallerTransaction | undefined {
  const { query, connection, createQueryRunner, queryRunner } = given as Partial<TypeOrm>;
  // An entity manager names its data source, which makes query runners; that of a transaction has one of its own.
  const isOfTypeOrm = isRunner(given) || isDataSource(connection) || typeof createQueryRunner === "function";
  if (typeof query !== "function" || !isOfTypeOrm) return undefined;
  const runner = isRunner(given) ? given : queryRunner;
  if (isRunner(runner) && runner.isTransactionActive) return new FramedTransaction(new InTypeOrm(runner));
  throw noTransaction(
    "TypeORM",
    "A data source, or a manager or query runner that has begun none,",
    "the `manager` of `dataSource.transaction((manager) => ...)`",
  );
}

/** An entity manager of TypeORM in a transaction, or a query runner that has begun one. */
export interface TypeOrmTransaction {
  /** The connection of the transaction. */
  readonly queryRunner?: unknown;
  /** The data source, of a manager or a query runner. */
  readonly connection: unknown;
  /** Sends SQL. */
  query(...args: never[]): Promise<unknown>;
}

interface TypeOrm {
  readonly query: unknown;
  readonly connection: unknown;
  readonly createQueryRunner: unknown;
  readonly queryRunner: unknown;
}

interface Runner {
  readonly isTransactionActive: boolean;
  readonly isReleased: boolean;
  query(text: string, values: Cell[]): Promise<unknown>;
}

function isRunner(given: unknown): given is Runner {
  const { isTransactionActive, isReleased } = (given ?? {}) as Partial<Runner>;
  return typeof isTransactionActive === "boolean" && typeof isReleased === "boolean";
}

function isDataSource(given: unknown): boolean {
  return typeof (given as Partial<TypeOrm> | undefined)?.createQueryRunner === "function";
}

class InTypeOrm implements LibraryTransaction {
  readonly name = "TypeORM";
  readonly #runner: Runner;

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  run(text: string, values: Cell[]): Promise<unknown> {
    return this.#runner.query(text, values);
  }

  isEnd(error: unknown): boolean {
    return error instanceof Error && /AlreadyReleased/.test(error.name);
  }
}
