import { HowdahError } from "../../../errors.ts";
import type { CallerTransaction, Executor, Query, QueryResult } from "../../driver.ts";
import type { PGliteExecutor, PGliteSession } from "./session.ts";

/**
 * Runs `work` in a transaction of PGlite: `begun` tells when it has begun, or
 * why not, and `done` what it came to. A failed statement whose error `work`
 * swallowed makes it reject, too, because PostgreSQL then rolls back. Nothing is
 * done in a transaction that begins when `wait` is over.
 */
export function inPGliteTransaction<T>(
  session: PGliteSession,
  work: (transaction: Executor) => Promise<T>,
  wait: { readonly isOver: boolean },
): { readonly begun: Promise<void>; readonly done: Promise<T> } {
  let tellBegun = (): void => undefined;
  const begins = new Promise<void>((resolve) => {
    tellBegun = resolve;
  });
  const run = async (on: PGliteExecutor): Promise<T> => {
    if (wait.isOver) throw new Error("No caller waits for this transaction any more.");
    tellBegun();
    const transaction = new Transaction(session, on);
    try {
      const result = await work(transaction);
      await transaction.checkCommit();
      return result;
    } finally {
      transaction.end();
    }
  };
  const done = session.prepare().then(() => session.transaction(run));
  // Heard where it is awaited, or by none when the wait was over before.
  done.catch(() => undefined);
  return { begun: Promise.race([begins, done.then(() => undefined)]), done };
}

class Transaction implements CallerTransaction {
  readonly #session: PGliteSession;
  readonly #on: PGliteExecutor;
  #ended = false;
  #hasFailed = false;
  #lastError: unknown;

  constructor(session: PGliteSession, on: PGliteExecutor) {
    this.#session = session;
    this.#on = on;
  }

  get isOpen(): boolean {
    return !this.#ended;
  }

  async query(query: Query): Promise<QueryResult> {
    if (this.#ended)
      throw new HowdahError(
        "HOWDAH_TRANSACTION_ENDED",
        "The transaction has ended: await its statements inside of it.",
      );
    try {
      return await this.#session.query(query, this.#on);
    } catch (error) {
      this.#hasFailed = true;
      this.#lastError = error;
      throw error;
    }
  }

  /** Rejects when a commit would roll back. A savepoint may have undone what failed. */
  async checkCommit(): Promise<void> {
    if (!this.#hasFailed) return;
    await this.#session.query({ text: "select 1" }, this.#on).catch(() => Promise.reject(this.#lastError as Error));
  }

  end(): void {
    this.#ended = true;
  }
}
