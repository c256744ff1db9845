import { HowdahError } from "../../errors.ts";
import type { CallerTransaction, Executor, Query, QueryResult } from "../driver.ts";
import type { PgSession } from "./pg-session.ts";

/**
 * Runs `work` in a transaction of this session. A failed statement whose error
 * `work` swallowed makes it reject too, because PostgreSQL then rolls back
 * where it was told to commit.
 */
export async function inPgTransaction<T>(session: PgSession, work: (transaction: Executor) => Promise<T>): Promise<T> {
  await session.query({ text: session.begin });
  const transaction = new Transaction(session);
  let result: T;
  try {
    result = await work(transaction);
  } catch (error) {
    transaction.end();
    await rollback(session);
    throw error;
  }
  transaction.end();
  // A statement of `work` has ended it already.
  if (session.hasEnded) return result;
  const { command } = await session.send({ text: "commit" });
  if (command === "ROLLBACK") throw transaction.lastError;
  return result;
}

/** Leaves no transaction open: a connection that cannot roll back is not used again. */
async function rollback(session: PgSession): Promise<void> {
  try {
    await session.query({ text: "rollback" });
  } catch (error) {
    session.discard(error);
  }
}

class Transaction implements CallerTransaction {
  readonly #session: PgSession;
  #ended = false;
  #lastError: unknown;

  constructor(session: PgSession) {
    this.#session = session;
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  async query(query: Query): Promise<QueryResult> {
    // The connection may serve another caller by now, or a statement has ended the transaction.
    if (!this.isOpen)
      throw new HowdahError(
        "HOWDAH_TRANSACTION_ENDED",
        "The transaction has ended: await its statements inside of it.",
      );
    try {
      return await this.#session.query(query);
    } catch (error) {
      this.#lastError = error;
      throw error;
    }
  }

  /** False once it has ended, by its end here or by a statement. */
  get isOpen(): boolean {
    return !this.#ended && !this.#session.hasEnded;
  }

  end(): void {
    this.#ended = true;
  }
}
