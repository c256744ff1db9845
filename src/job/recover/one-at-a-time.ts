import type { Executor, Query, QueryResult } from "../../postgres/driver.ts";

/**
 * A session runs one statement at a time, and several parts use this one. A
 * caller that declares it lost is right if nothing has been answered since the
 * statement was asked, even if another statement has kept that waiting.
 */
export class OneAtATime implements Executor {
  readonly #session: Executor;
  readonly #lost = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  #answers = 0;

  constructor(session: Executor) {
    this.#session = session;
  }

  query(query: Query): Promise<QueryResult> {
    const before = this.#answers;
    const given = (): void => (before === this.#answers ? this.#lost.abort() : undefined);
    query.lost?.addEventListener("abort", given, { once: true });
    const result = this.#last.then(() => {
      query.lost?.throwIfAborted();
      return this.#session.query({ ...query, lost: this.#lost.signal });
    });
    const answered = (): void => {
      this.#answers += 1;
      query.lost?.removeEventListener("abort", given);
    };
    this.#last = result.then(answered, answered);
    return result;
  }
}
