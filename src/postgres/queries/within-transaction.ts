import type { Executor, Query } from "../driver.ts";
import type { Schema } from "../schema.ts";
import { wrapFirstValue } from "./patience.ts";

/** SQLSTATE: a statement is not part of the transaction that it was meant for. */
export const NO_TRANSACTION_STATE = "25P01";

/** The id of the executor's transaction. Two statements see the same one only inside of a transaction. */
export async function readTransactionId(executor: Executor): Promise<string> {
  const { rows } = await executor.query({ text: "select pg_catalog.pg_current_xact_id()" });
  return String(rows[0]?.[0]);
}

/** The same, without giving it one: `undefined` when it has none, as outside of a transaction. */
export async function findTransactionId(executor: Executor): Promise<string | undefined> {
  const { rows } = await executor.query({ text: "select pg_catalog.pg_current_xact_id_if_assigned()" });
  return rows[0]?.[0] ?? undefined;
}

/**
 * The same statement, which does nothing unless it is part of this transaction:
 * 25P01. Its text has to write its first value with its type, as an argument of
 * the function that it calls, or compared with what is changed.
 */
export function within(query: Query, schema: Schema, transactionId: string): Query {
  const { text, values = [] } = query;
  const guard = `${schema.of("_howdah_within_v1")}($${values.length + 1}::pg_catalog.xid8)`;
  return {
    ...query,
    text: wrapFirstValue(text, (argument) => `case when ${guard} then ${argument} end`),
    values: [...values, transactionId],
  };
}

/** Rejects with 25P01 unless the executor is in this transaction. */
export async function checkWithin(executor: Executor, schema: Schema, transactionId: string): Promise<void> {
  await executor.query({
    text: `select ${schema.of("_howdah_within_v1")}($1::pg_catalog.xid8)`,
    values: [transactionId],
  });
}
