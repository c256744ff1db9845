import { HowdahError, isHowdahError } from "../../errors.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Executor, Query, QueryResult } from "../driver.ts";
import { isConnectionLoss, isSessionOver, sqlStateOf } from "../sqlstate.ts";
import { withDeadline } from "./deadline.ts";
import { lastAnswer, type PgAnswer, type PgStatement, toPgStatement, toQueryResult } from "./pg-statement.ts";

/** Anything of `pg` that runs statements: a client, a pool, or the client of a pool. */
export interface PgQueryable {
  /** Runs one statement, or several when it has no values. */
  query(statement: PgStatement): Promise<PgAnswer | PgAnswer[]>;
}

/** The part of a `pg` client that is needed here. */
export interface PgClient extends PgQueryable {
  /** Tells of a connection that failed while no statement was under way. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Tells of the end of the connection. */
  on(event: "end", listener: () => void): unknown;
  /** Tells of what arrives on the channels it listens to. */
  on(event: "notification", listener: (message: PgNotification) => void): unknown;
  /** Ends what `on` began. */
  removeListener(event: "error", listener: (error: Error) => void): unknown;
}

/** A notification, as `pg` reports it. */
export interface PgNotification {
  readonly channel: string;
  readonly payload?: string | undefined;
}

/** What a session needs beside its client. */
export interface SessionOptions {
  readonly clock: Clock;
  /** Statements with a name are prepared under it. */
  readonly preparedStatements: boolean;
  /** How long a statement without `timeoutMs` may take; 0 means for ever. */
  readonly timeoutMs: number;
  /** True when the session is known to be read committed by default; otherwise it is asked. */
  readonly readCommitted: boolean;
}

/** What sessions that are not ours said about their default isolation. */
const readCommittedOf = new WeakMap<PgClient, boolean>();

/** A plan no longer fits its table: the connection has to forget its prepared statements. */
const STALE_PLAN_STATE = "0A000";

/** The error of a session whose connection ended: `HOWDAH_CONNECTION_LOST`. */
export function connectionLost(cause: unknown): HowdahError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HowdahError("HOWDAH_CONNECTION_LOST", `The connection to the database ended: ${reason}`, cause);
}

/**
 * One connection for as long as somebody holds it. Turns whatever `pg` reports
 * about a lost connection into one error, and remembers that the connection
 * must not be used again.
 */
export class PgSession implements Executor {
  readonly #client: PgClient;
  readonly #options: SessionOptions;
  #brokenBy: unknown;

  constructor(client: PgClient, options: SessionOptions) {
    this.#client = client;
    this.#options = options;
    client.on("error", this.#onError);
  }

  /** Why the connection must not be used again; `undefined` while it may. */
  get brokenBy(): unknown {
    return this.#brokenBy;
  }

  async query(query: Query): Promise<QueryResult> {
    return toQueryResult(await this.send(query));
  }

  /** Like `query`, but with the answer of `pg`. */
  async send(query: Query): Promise<PgAnswer> {
    if (this.#brokenBy !== undefined) throw this.#explain(this.#brokenBy);
    const { clock, preparedStatements } = this.#options;
    const timeoutMs = query.timeoutMs ?? this.#options.timeoutMs;
    try {
      const answer = this.#client.query(toPgStatement(query, preparedStatements));
      return lastAnswer(await withDeadline(answer, { clock, timeoutMs, error: () => this.#timedOut(timeoutMs) }));
    } catch (error) {
      throw this.#explain(error, query);
    }
  }

  /** Whether a statement outside of a transaction runs as read committed. Asks once a connection. */
  async isReadCommitted(): Promise<boolean> {
    if (this.#options.readCommitted) return true;
    let known = readCommittedOf.get(this.#client);
    if (known === undefined) {
      const { rows } = await this.query({ text: "show default_transaction_isolation" });
      known = rows[0]?.[0] === "read committed";
      readCommittedOf.set(this.#client, known);
    }
    return known;
  }

  /** Makes the connection one that must not be used again. */
  discard(reason: unknown): void {
    this.#brokenBy ??= reason;
  }

  /** Ends the watch over the client; whoever lent it looks at `brokenBy`. */
  detach(): void {
    this.#client.removeListener("error", this.#onError);
  }

  readonly #onError = (error: unknown): void => this.discard(error);

  #timedOut(timeoutMs: number): HowdahError {
    const error = new HowdahError("HOWDAH_QUERY_TIMEOUT", `The database did not answer within ${timeoutMs} ms.`);
    this.discard(error);
    return error;
  }

  #explain(error: unknown, query?: Query): unknown {
    if (isHowdahError(error)) return error;
    const state = sqlStateOf(error);
    if (state !== undefined && query !== undefined) {
      if (isSessionOver(error)) this.discard(error);
      if (query.name !== undefined && state === STALE_PLAN_STATE) this.discard(error);
      return error;
    }
    if (this.#brokenBy === undefined && !isConnectionLoss(error)) return error;
    this.discard(error);
    return connectionLost(this.#brokenBy);
  }
}
