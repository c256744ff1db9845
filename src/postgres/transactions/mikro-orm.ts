import type { CallerTransaction } from "../driver.ts";
import { noTransaction } from "./framed-transaction.ts";
import { knexTransaction } from "./knex.ts";

/** The transaction of MikroORM, which is one of Knex; `undefined` for what is not of MikroORM. */
export function mikroOrmTransaction(given: unknown): CallerTransaction | undefined {
  const { getTransactionContext, isInTransaction } = given as Partial<MikroOrmTransaction>;
  if (typeof getTransactionContext !== "function" || typeof isInTransaction !== "function") return undefined;
  const transaction = (given as MikroOrmTransaction).getTransactionContext();
  if (transaction === undefined) {
    throw noTransaction(
      "MikroORM",
      "An entity manager without a transaction",
      "the `em` of `em.transactional((em) => ...)`",
    );
  }
  return knexTransaction(transaction, "MikroORM");
}

/** An entity manager of MikroORM that has begun a transaction. */
export interface MikroOrmTransaction {
  /** The transaction, if one has begun. */
  getTransactionContext(): unknown;
  /** Whether one has begun. */
  isInTransaction(): boolean;
}
