import { HowdahError, isHowdahError } from "../../errors.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Executor, Query, QueryResult } from "../driver.ts";
import { poolerError } from "../pooler.ts";
import {
  isChangedResult,
  isConnectionLoss,
  isConnectionSuspect,
  isSessionOver,
  isStalePlan,
  sqlStateOf,
} from "../sqlstate.ts";
import type { Authorization } from "./authorization.ts";
import { type Deadline, type Waiter, withDeadline } from "./deadline.ts";
import type { PgClient } from "./pg-client.ts";
import {
  lastAnswer,
  type PgAnswer,
  renameStatement,
  sendAsText,
  toPgStatement,
  toQueryResult,
} from "./pg-statement.ts";
import type { PoolWatch } from "./pool-watch.ts";

/**
 * One connection for as long as it is held. Turns whatever `pg` reports
 * about a lost connection into one error, and remembers that the connection
 * must not be used again.
 */
export class PgSession implements Executor, Waiter {
  readonly #client: PgClient;
  readonly #options: SessionOptions;
  readonly #tellsState: boolean;
  readonly #authorization: Authorization | undefined;
  #provedAt: number;
  #brokenBy: unknown;

  /** Throws `HOWDAH_OPTION_INVALID` when the client cannot tell whether it is inside of a transaction. */
  constructor(client: PgClient, options: SessionOptions) {
    this.#client = client;
    this.#options = options;
    this.#tellsState = typeof client.getTransactionStatus === "function";
    this.#provedAt = options.doubt.count;
    if (!this.#tellsState && !options.trusted) throw untold();
    this.#authorization = options.watch?.lend(client);
    client.on("error", this.#onError);
  }

  /** Why the connection must not be used again; `undefined` while it may. */
  get brokenBy(): unknown {
    return this.#brokenBy;
  }

  /** False when the connection must not be lent: it is broken, in doubt, left inside of a transaction, or with the rights of another role. */
  get isUsable(): boolean {
    return (
      this.#brokenBy === undefined &&
      this.#provedAt === this.#options.doubt.count &&
      !this.isLeftInside &&
      !this.isForeign
    );
  }

  /** True when the session was left with the rights of another role, as far as the server reports that. */
  get isForeign(): boolean {
    return this.#authorization?.isForeign === true;
  }

  /** From here on, what changes the rights is not what the pool sets its connections up with. */
  endSetUp(): void {
    if (this.#authorization) this.#authorization.isBeingSetUp = false;
  }

  /** Whether the last answer was given outside of any transaction: it says so itself, without a question. */
  get isOutside(): boolean {
    return !this.#tellsState || this.#client.getTransactionStatus?.() === "I";
  }

  /** True when a transaction that was begun here is known to be over. */
  get hasEnded(): boolean {
    return this.#tellsState && this.isOutside;
  }

  /** True when the connection is inside of a transaction, and nothing is under way that may end it. */
  get isLeftInside(): boolean {
    return !this.isOutside && this.#client.readyForQuery === true;
  }

  /**
   * Whether the next statement begins outside of a transaction. Waits for
   * statements that an earlier holder did not wait for, and for the state that
   * comes behind an error: `pg` rejects before it is there.
   */
  async isAtRest(): Promise<boolean> {
    if (this.#tellsState && this.#client.readyForQuery !== true) {
      // Whatever it answers, its state has come with it.
      await this.query({ text: "select 1" }).catch(() => undefined);
    }
    return this.isOutside;
  }

  async query(query: Query): Promise<QueryResult> {
    return toQueryResult(await this.send(query));
  }

  /**
   * Runs a statement that is a transaction of its own. When the answer says that
   * it ran inside of one that is not ours, it does not count: that transaction is
   * rolled back, the connection is not used again, and {@link UNDONE} is
   * returned. Rejects with `HOWDAH_CONNECTION_LOST`, the outcome unknown, when
   * other code ended the transaction in that very moment.
   */
  async alone(query: Query): Promise<QueryResult | typeof UNDONE> {
    let answer: QueryResult;
    try {
      answer = toQueryResult(await this.send(query));
    } catch (error) {
      if (this.#brokenBy !== undefined || (await this.isAtRest())) throw error;
      // The transaction has failed, so it cannot be committed any more.
      this.discard(error);
      return UNDONE;
    }
    if (this.isOutside) return answer;
    await this.#undo();
    return UNDONE;
  }

  /** Rolls back a transaction that is not ours. */
  async #undo(): Promise<void> {
    try {
      // The savepoint fails when the transaction is over: then it is not known how it ended.
      await this.query({ text: "savepoint howdah; rollback" });
      this.discard(new Error("it was inside of a transaction"));
    } catch (error) {
      this.discard(error);
      if (sqlStateOf(error) !== NO_TRANSACTION_STATE) {
        // In a transaction that has failed meanwhile, nothing can be committed.
        if (sqlStateOf(error) !== undefined && !isSessionOver(error)) return;
        throw error;
      }
      throw connectionLost(new Error("other code ended the transaction that a statement of ours was inside of"));
    }
  }

  /** Like `query`, but with the answer of `pg`. */
  async send(query: Query): Promise<PgAnswer> {
    if (this.#brokenBy !== undefined) throw this.#explain(this.#brokenBy);
    const { clock, preparedStatements, doubt } = this.#options;
    const timeoutMs = query.timeoutMs ?? this.#options.timeoutMs;
    const { lost } = query;
    lost?.throwIfAborted();
    const statement = toPgStatement(query, preparedStatements);
    try {
      const answer = sendAsText(this.#client, statement);
      const last = lastAnswer(await withDeadline(answer, { clock, timeoutMs, lost, waiter: this }));
      this.#provedAt = doubt.count;
      return last;
    } catch (error) {
      throw this.#explain(error, query, statement.name);
    }
  }

  /**
   * Whether a statement may be sent as it is, without a transaction that sets
   * what it depends on: read committed, and nulls in arrays. `undefined` until it
   * was asked.
   */
  get isPlain(): boolean | undefined {
    return this.#options.prepared || plainOf.get(this.#client);
  }

  /** Asks the server what `isPlain` says from now on, once a connection. */
  async askWhetherPlain(): Promise<void> {
    const { rows } = await this.query({ text: WHETHER_PLAIN });
    plainOf.set(this.#client, rows[0]?.[0] === "read committed" && rows[0][1] === "on");
  }

  /** What begins a transaction in which our statements mean the same whatever the session's settings are. */
  get begin(): string {
    const begin = "begin isolation level read committed";
    return this.#options.prepared ? begin : `${begin}; set local array_nulls = on`;
  }

  /** Makes the connection one that must not be used again. */
  discard(reason: unknown): void {
    this.#brokenBy ??= reason;
  }

  /** Ends the watch over the client; its lender looks at `brokenBy`. */
  detach(): void {
    this.#client.removeListener("error", this.#onError);
  }

  readonly #onError = (error: unknown): void => this.discard(error);

  /** It owes an answer for too long, or for longer than another connection that was asked after it. */
  overdue({ timeoutMs, lost }: Deadline): HowdahError {
    const error =
      lost?.aborted === true
        ? connectionLost(new Error("it gave no answer, and another one did"))
        : new HowdahError("HOWDAH_QUERY_TIMEOUT", `The database did not answer within ${timeoutMs} ms.`);
    this.discard(error);
    this.#options.doubt.count += 1;
    return error;
  }

  #explain(error: unknown, query?: Query, sentName?: string): unknown {
    if (isHowdahError(error)) return error;
    const state = sqlStateOf(error);
    if (state !== undefined && query !== undefined) {
      if (isSessionOver(error)) this.discard(error);
      if (isChangedResult(error)) renameStatement(query, sentName);
      // What may be about a stale plan is tried once more on this connection, before that is suspected.
      if (query.name !== undefined && isConnectionSuspect(error) && !isStalePlan(error)) this.discard(error);
      return (query.name === undefined ? undefined : poolerError(error)) ?? error;
    }
    if (this.#brokenBy === undefined && !isConnectionLoss(error)) return error;
    this.discard(error);
    return connectionLost(this.#brokenBy);
  }
}

/** What a session needs in addition to its client. */
export interface SessionOptions {
  readonly clock: Clock;
  /** Statements with a name are prepared under it. */
  readonly preparedStatements: boolean;
  /** How long a statement without `timeoutMs` may take; 0 means for ever. */
  readonly timeoutMs: number;
  /** True when the session has been prepared for our statements; otherwise it is asked about what they depend on. */
  readonly prepared: boolean;
  /** True when a client that does not tell its transaction state is believed to be outside of one. */
  readonly trusted: boolean;
  /** Shared by all sessions of a driver whose connections are its own. */
  readonly doubt: Doubt;
  /** Over a pool of the application: knows whose rights its sessions have. */
  readonly watch?: PoolWatch | undefined;
}

/**
 * When one connection fell silent, all of its kind may have: those that have not
 * answered since are not used again. `count` says how often that happened.
 */
export interface Doubt {
  count: number;
}

/** What a statement answers that was to run as a transaction of its own and ran inside of one that is not ours: nothing of it is left. */
export const UNDONE = Symbol("undone");

/** The error of a session whose connection ended: `HOWDAH_CONNECTION_LOST`. */
export function connectionLost(cause: unknown): HowdahError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HowdahError("HOWDAH_CONNECTION_LOST", `The connection to the database ended: ${reason}`, cause);
}

/** The SQLSTATE of what may only be done inside of a transaction. */
const NO_TRANSACTION_STATE = "25P01";

/** What sessions that are not ours said when they were asked whether statements may be sent as they are. */
const plainOf = new WeakMap<PgClient, boolean>();

const WHETHER_PLAIN =
  "select pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.current_setting('array_nulls')";

function untold(): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "The clients of this pool do not tell whether they are inside of a transaction (`getTransactionStatus()`, " +
      "in `pg` since 8.20): a transaction that was left open on one would swallow jobs. " +
      "Update `pg`, or pass `trustPool: true` if nothing ever leaves one open.",
  );
}
