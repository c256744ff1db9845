import type { PgAnswer, PgStatement } from "./pg-statement.ts";

/** The part of a `pg` client that is needed here. */
export interface PgClient extends PgQueryable {
  /** Reports a connection that failed while no statement was under way. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Reports the end of the connection. */
  on(event: "end", listener: () => void): unknown;
  /** Reports what arrives on the channels it listens to. */
  on(event: "notification", listener: (message: PgNotification) => void): unknown;
  /** Ends what `on` began. */
  removeListener(event: "error", listener: (error: Error) => void): unknown;
  /** The state that the last answer came with: `I` outside of a transaction, `T` inside, `E` inside of one that failed. `pg` has it since 8.20. */
  getTransactionStatus?(): unknown;
  /** False while statements are under way. */
  readonly readyForQuery?: boolean | undefined;
}

/** Anything of `pg` that runs statements: a client, a pool, or the client of a pool. */
export interface PgQueryable {
  /** Runs one statement, or several when it has no values. */
  query(statement: PgStatement): Promise<PgAnswer | PgAnswer[]>;
}

/** A notification, as `pg` reports it. */
export interface PgNotification {
  readonly channel: string;
  readonly payload?: string | undefined;
}
