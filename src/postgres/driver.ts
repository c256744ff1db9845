/**
 * The way to one PostgreSQL database: text in, text out, so that every client
 * library can sit behind it. Every driver passes the suite in
 * `test/contract/driver`; docs/internals/drivers.md says how to write one.
 */
export interface Driver extends Executor {
  /** What this driver can do. Without it: it listens, and has connections enough. */
  readonly capabilities?: DriverCapabilities | undefined;
  /**
   * Runs `work` inside of a transaction (read committed), on one connection.
   * Commits when it resolves, rolls back when it rejects, and passes both on.
   * Rejects, too, with the error of a statement that failed and that `work`
   * swallowed: PostgreSQL then rolls back. Statements that come after the end
   * reject with `HOWDAH_TRANSACTION_ENDED`.
   */
  transaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T>;
  /**
   * The transaction behind what the library of this driver gives an application
   * that has begun one; `undefined` for what is not of its kind. Throws
   * `HOWDAH_OPTION_INVALID` for what is of its kind and no transaction, a pool
   * for instance. Without it, `inTransaction` and `complete` take clients of
   * `pg` and executors.
   */
  within?(transaction: unknown): CallerTransaction | undefined;
  /**
   * The connections that are kept for handlers, and for statements that may wait
   * for a transaction of the application. `query` and `transaction` of the
   * driver itself use neither. Those of handlers forget between two uses what
   * was done to their session, and a statement that leaves a transaction open
   * rejects with `HOWDAH_TRANSACTION_LEFT_OPEN`. A driver without shares is used
   * for everything as it is.
   */
  share?(name: ShareName): DriverShare;
  /**
   * Listens to `channels` on a session of its own. Resolves when it listens for
   * the first time or when `close` is called; a first failure to connect rejects.
   * A driver that cannot listen rejects; workers do not ask it.
   */
  listen(channels: readonly string[], handlers: ListenHandlers): Promise<Listening>;
  /**
   * Waits for statements under way, then closes what this driver opened itself.
   * Everything afterwards rejects with `HOWDAH_CLIENT_CLOSED`. Closing twice is fine.
   */
  close(): Promise<void>;
}

/** What a driver can do, as far as drivers differ. */
export interface DriverCapabilities {
  /**
   * Whether `listen` holds a session that receives notifications and runs
   * statements. Without it a worker polls, and others watch its heartbeats only.
   */
  readonly listen: boolean;
  /**
   * How many statements or transactions can be under way at once; more of them
   * wait. A driver with one connection may listen on that connection, too:
   * statements of the session then wait for their turn as all others do.
   */
  readonly connections: number;
  /**
   * The database runs inside of this process, for it alone: its connection is not
   * lost, and a statement that has begun is waited for, however long it takes.
   * Default false.
   */
  readonly inProcess?: boolean | undefined;
}

/** Anything that can run a statement: a driver, or the inside of a transaction. */
export interface Executor {
  /**
   * Runs one statement; without `name` and `values` the text may hold several,
   * and the answer is the last one's. Rejects with the error of the underlying library; its
   * SQLSTATE is read with `sqlStateOf`.
   */
  query(query: Query): Promise<QueryResult>;
}

/**
 * A transaction that the application has begun and will end. Howdah runs
 * statements in it, without a name: nothing is prepared on a connection of the
 * application.
 */
export interface CallerTransaction extends Executor {
  /**
   * Whether a statement that is sent now is certainly part of the transaction.
   * `true`: it is, and is sent as it is. `false`: it has not begun, or has ended,
   * or is about to do so; `undefined`: that cannot be known on this side. Then
   * PostgreSQL is asked for the id of the transaction, and each statement does
   * nothing in another one. Where the library knows that the transaction has
   * ended, `query` rejects with `HOWDAH_TRANSACTION_ENDED` and sends nothing.
   */
  readonly isOpen: boolean | undefined;
}

/** One SQL statement with its values. */
export interface Query {
  /** With a name the statement is prepared once per connection, where the driver allows that. One name, one text. */
  readonly name?: string | undefined;
  readonly text: string;
  /** Values for `$1`, `$2`, …, as PostgreSQL reads them: text. Arrays are written with `arrayLiteral`. */
  readonly values?: readonly Cell[] | undefined;
  /** Gives up after this many milliseconds with `HOWDAH_QUERY_TIMEOUT`; the connection is not used again. */
  readonly timeoutMs?: number | undefined;
  /**
   * Aborted by a caller that knows that the connection is dead, because another
   * one was answered before it: rejects as when the connection ends, and neither
   * it nor others that lie idle are used again. What was not sent yet is not sent.
   */
  readonly lost?: AbortSignal | undefined;
}

/** What a statement answered. */
export interface QueryResult {
  readonly rows: readonly Row[];
  /** Rows returned, or touched when the statement returns none. */
  readonly count: number;
}

/** One row of an answer: the cells in the order of the columns. The code that needs a cell decodes it. */
export type Row = readonly Cell[];

/** A value as PostgreSQL writes it: text, or `null` for SQL null. */
export type Cell = string | null;

/** What a driver calls for a listener. None of these may throw. */
export interface ListenHandlers {
  /** A notification arrived. */
  notified(channel: string, payload: string): void;
  /**
   * The session listens, for the first time or again after it was lost. It may
   * be used for statements that belong to this very session, one at a time.
   */
  up(session: Executor): void;
  /** The session was lost; the driver connects again until it is closed. */
  down(error: unknown): void;
}

/** An open LISTEN. */
export interface Listening {
  /**
   * With `true`, sends nothing on the session by itself until it is called with
   * `false`: that the other end has vanished is left to the keepalives of TCP.
   * A driver that sends nothing anyway need not have it.
   */
  quiet?(isQuiet: boolean): void;
  /** Ends the session. Nothing is called afterwards. */
  close(): Promise<void>;
}

/** A part of the connections of a driver: what uses them up leaves those of others alone. */
export interface DriverShare extends Pick<Driver, "query" | "transaction"> {
  /** How many statements or transactions can be under way at once; more of them wait. */
  readonly connections: number;
}

/** What some of the connections of a driver are kept for, apart from those that everything else uses. */
export type ShareName = "handlers" | "waiting";
