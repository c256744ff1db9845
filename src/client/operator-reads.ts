import type { Driver, Executor, Query, QueryResult } from "../postgres/driver.ts";

/**
 * Runs what operators ask for: lists, counts and overviews. Each statement has a
 * transaction of its own, which can only read and ends after two seconds, and
 * whose settings keep to the indexes. One runs at a time, so that those who ask
 * use one connection and one processor of the server, however often they ask.
 */
export class OperatorReads implements Executor {
  readonly #driver: Pick<Driver, "transaction">;
  #last: Promise<unknown> = Promise.resolve();

  constructor(driver: Pick<Driver, "transaction">) {
    this.#driver = driver;
  }

  query(query: Query): Promise<QueryResult> {
    const run = (): Promise<QueryResult> =>
      this.#driver.transaction(async (transaction) => {
        await transaction.query({ text: SETTINGS });
        return transaction.query(query);
      });
    const answer = this.#last.then(run, run);
    this.#last = answer.catch(() => undefined);
    return answer;
  }
}

/** Several statements in one text, which makes one round trip. */
const SETTINGS = `set transaction read only;
set local statement_timeout = '2s';
set local enable_seqscan = off;
set local enable_bitmapscan = off;
set local max_parallel_workers_per_gather = 0;
set local jit = off`;
