import { HowdahError } from "../errors.ts";
import { callerTransaction } from "../postgres/caller-transaction.ts";
import type { CallerTransaction, Driver, Executor, Query, QueryResult } from "../postgres/driver.ts";
import {
  checkWithin,
  findTransactionId,
  NO_TRANSACTION_STATE,
  readTransactionId,
  within,
} from "../postgres/queries/within-transaction.ts";
import type { Schema } from "../postgres/schema.ts";
import { sqlStateOf } from "../postgres/sqlstate.ts";
import { needsArrayNulls, withArrayNulls } from "./array-nulls.ts";

/**
 * Sees to it that what is sent over a transaction of the application is a part
 * of it: that one has begun, and that it has not ended when the statement comes.
 *
 *   the transaction                     a statement is
 *   tells that it has begun             sent at once, in the turn of the call: what the
 *                                       caller sends after that comes after it
 *   tells that, but the statement is    sent with the id that the transaction had in the
 *     sent in a later turn                turn of the call: see `pin`
 *   tells that none has begun, or       sent with the id that a statement before it has
 *     tells nothing                       read: two statements have the same one only
 *                                         inside of a transaction. What tells nothing is
 *                                         asked again before each further change
 *
 * A statement whose id is another one does nothing.
 */
export class TransactionGuard {
  readonly #transaction: CallerTransaction;
  /** What the application gave: what is known of one transaction on it is known of the next one. */
  readonly #given: object;
  readonly #executor: Executor;
  readonly #schema: Schema;
  /** The id of what tells nothing, once it has been asked for. */
  #id: Promise<string> | undefined;
  /** Whether this was a transaction at some time. */
  #hasBegun = false;

  /** Throws `HOWDAH_OPTION_INVALID` for what cannot run statements. */
  constructor(given: object, { driver, schema }: GuardGround) {
    this.#transaction = callerTransaction(given, "inTransaction()", driver);
    this.#given = given;
    this.#executor = withArrayNulls(withoutNames(this.#transaction), given);
    this.#schema = schema;
  }

  /** Runs what only reads. */
  readonly reading: Executor = {
    query: async (query) => {
      if (!this.#isOpen && !this.#hasBegun) {
        const id = await this.#askId();
        await checkWithin(this.#executor, this.#schema, id).catch((error: unknown) => this.#explain(error));
        this.#hasBegun = true;
      }
      return this.#executor.query(query);
    },
  };

  /** Runs what changes something. Each statement has to be one that {@link within} can do with. */
  readonly changing: Executor = {
    query: (query) =>
      this.#isOpen && !needsArrayNulls(query, this.#given)
        ? this.#executor.query(query)
        : this.#sendWithin(this.#askId(), query),
  };

  /** Runs, in later turns, changes of a call that is made in this one. */
  later(): Executor {
    const id = this.#isOpen ? readTransactionId(this.#executor) : this.#askId();
    // The call may be refused before it sends anything.
    id.catch(() => undefined);
    return { query: (query) => this.#sendWithin(id, query) };
  }

  #askId(): Promise<string> {
    // What tells may go on to another transaction, which is then the one that is meant.
    if (this.#transaction.isOpen !== undefined) return readTransactionId(this.#executor);
    if (this.#id) return this.#id;
    const id = readTransactionId(this.#executor);
    this.#id = id;
    // A savepoint may have failed, and the transaction goes on.
    id.catch(() => (this.#id = undefined));
    return id;
  }

  async #sendWithin(id: Promise<string>, query: Query): Promise<QueryResult> {
    const expected = await id;
    await this.#checkAgain(expected);
    try {
      const answer = await this.#executor.query(within(query, this.#schema, expected));
      this.#hasBegun = true;
      return answer;
    } catch (error) {
      return this.#explain(error);
    }
  }

  /**
   * Of what tells nothing and has been used before: a statement that is refused would make the transaction fail that
   * its connection is in by now.
   */
  async #checkAgain(id: string): Promise<void> {
    if (this.#transaction.isOpen !== undefined || !this.#hasBegun) return;
    if ((await findTransactionId(this.#executor)) !== id) throw ended();
  }

  get #isOpen(): boolean {
    const isOpen = this.#transaction.isOpen === true;
    this.#hasBegun ||= isOpen;
    return isOpen;
  }

  #explain(error: unknown): never {
    if (sqlStateOf(error) !== NO_TRANSACTION_STATE) throw error;
    if (this.#hasBegun) throw ended(error);
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "inTransaction() takes a client on which a transaction has begun; over a pool, or a client without BEGIN, " +
        "what is done would be there at once, whatever becomes of the transaction. Nothing was done.",
      error,
    );
  }
}

function ended(cause?: unknown): HowdahError {
  return new HowdahError(
    "HOWDAH_TRANSACTION_ENDED",
    "The transaction ended before the statement was sent, so nothing was done: await each call inside of it.",
    cause,
  );
}

/** What a guard stands on. */
export interface GuardGround {
  /** Knows what a transaction of its kind is. */
  readonly driver: Driver;
  readonly schema: Schema;
}

/** Nothing is prepared on a connection of the application: it may be behind a pooler that we know nothing of. */
function withoutNames(executor: Executor): Executor {
  return { query: ({ name: _name, ...query }) => executor.query(query) };
}
