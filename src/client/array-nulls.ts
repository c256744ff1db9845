import type { Executor, Query, QueryResult } from "../postgres/driver.ts";

/**
 * Makes arrays with nulls mean the same in every transaction of the
 * application: with `array_nulls = off`, a setting of old applications, a null
 * would be read as the text "null". Only then the setting is changed, for the
 * one statement; it is asked once for each object that transactions run on.
 */
export function withArrayNulls(executor: Executor, transaction: object): Executor {
  async function send(query: Query): Promise<QueryResult> {
    let areOn = areOnOf.get(transaction);
    if (areOn === undefined) {
      const { rows } = await executor.query({ text: "select pg_catalog.current_setting('array_nulls')" });
      areOn = rows[0]?.[0] === "on";
      areOnOf.set(transaction, areOn);
    }
    if (areOn) return executor.query(query);
    await executor.query({ text: "select pg_catalog.set_config('array_nulls', 'on', true)" });
    const answer = await executor.query(query);
    // A statement that fails ends the transaction, and the setting with it.
    await executor.query({ text: "select pg_catalog.set_config('array_nulls', 'off', true)" });
    return answer;
  }
  // Calls that overlap: what ends the one would arrive between the two statements of the other.
  function sendInTurn(query: Query): Promise<QueryResult> {
    const sent = (lastOn.get(transaction) ?? Promise.resolve()).then(() => send(query));
    lastOn.set(
      transaction,
      sent.catch(() => undefined),
    );
    return sent;
  }
  return { query: (query) => (needsArrayNulls(query, transaction) ? sendInTurn(query) : executor.query(query)) };
}

/** Whether a statement has nulls in arrays, and other statements have to go before it. */
export function needsArrayNulls({ values }: Query, transaction: object): boolean {
  if (areOnOf.get(transaction) === true) return false;
  return values?.some((value) => value !== null && MAYBE_NULL.test(value)) === true;
}

/** Finds what may be a null in an array, and now and then what only looks like one inside of a text. */
const MAYBE_NULL = /[{,]null[,}]/;

/** What transactions of the application said, by what they run on. */
const areOnOf = new WeakMap<object, boolean>();

/** The last of the statements on it for which the setting is changed: the next one waits until it is changed back. */
const lastOn = new WeakMap<object, Promise<unknown>>();
