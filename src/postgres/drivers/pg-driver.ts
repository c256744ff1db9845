import { HowdahError } from "../../errors.ts";
import type { Driver, Executor, Listening, ListenHandlers, Query, QueryResult } from "../driver.ts";
import { PgLending } from "./pg-lending.ts";
import { openListenClient, takeListenClient } from "./pg-listen-client.ts";
import { PgListener, type PgListenerOptions } from "./pg-listener.ts";
import { type ConnectionSettings, createPool, type OwnPool, type PgPool } from "./pg-pool.ts";
import type { SessionOptions } from "./pg-session.ts";
import { inPgTransaction } from "./pg-transaction.ts";

/** What the driver is made of, read and checked. */
export interface PgDriverParts {
  readonly settings: ConnectionSettings;
  /** The application's pool; without one the driver has its own. */
  readonly pool: PgPool | undefined;
  readonly listenConnectionString: string | undefined;
  readonly maxConnections: number;
}

/** The server ends a statement that takes too long; one that does not even say so is given up after so much more. */
const SILENCE_MS = 5_000;

/** The driver over `pg`: lends connections of a pool, and keeps those that listen. */
export class PgDriver implements Driver {
  readonly #parts: PgDriverParts;
  readonly #ownPool: OwnPool | undefined;
  readonly #sessionOptions: SessionOptions;
  readonly #lending: PgLending;
  readonly #listeners = new Set<PgListener>();
  #closed: Promise<void> | undefined;

  constructor(parts: PgDriverParts) {
    const { settings, pool, maxConnections } = parts;
    this.#parts = parts;
    this.#ownPool = pool ? undefined : createPool(settings, maxConnections);
    this.#sessionOptions = sessionOptions(settings, pool === undefined);
    const { connectTimeoutMs } = settings;
    this.#lending = new PgLending(this.#pool, {
      ...this.#sessionOptions,
      connectTimeoutMs,
      ownPool: this.#ownPool,
    });
    this.#pool.on?.("error", ignore);
  }

  async query(query: Query): Promise<QueryResult> {
    this.#checkOpen();
    return this.#lending.hold(async (session) =>
      (await session.isReadCommitted())
        ? session.query(query)
        : inPgTransaction(session, (transaction) => transaction.query(query)),
    );
  }

  async transaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T> {
    this.#checkOpen();
    return this.#lending.hold((session) => inPgTransaction(session, work));
  }

  async listen(channels: readonly string[], handlers: ListenHandlers): Promise<Listening> {
    this.#checkOpen();
    const listener = new PgListener({ ...this.#sessionOptions, channels, handlers, connect: this.#listenConnect() });
    const close = (): Promise<void> => {
      this.#listeners.delete(listener);
      return listener.close();
    };
    this.#listeners.add(listener);
    try {
      await listener.start();
    } catch (error) {
      await close();
      throw error;
    }
    return { close };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#listeners, (listener) => listener.close()));
    await this.#lending.settled();
    if (this.#ownPool) await this.#ownPool.end();
    else this.#pool.removeListener?.("error", ignore);
  }

  get #pool(): PgPool {
    return (this.#parts.pool ?? this.#ownPool) as PgPool;
  }

  #listenConnect(): PgListenerOptions["connect"] {
    const { settings, pool, listenConnectionString: connectionString } = this.#parts;
    if (pool && connectionString === undefined) {
      checkRoom(pool);
      return (signal) => takeListenClient(this.#lending, signal);
    }
    const config = connectionString === undefined ? settings.config : { ...settings.config, connectionString };
    // Whatever is in between elsewhere, this connection is a session: LISTEN needs one.
    return (signal) => openListenClient({ ...settings, config }, signal);
  }

  #checkOpen(): void {
    if (this.#closed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The database driver was closed.");
  }
}

function sessionOptions(settings: ConnectionSettings, isOurs: boolean): SessionOptions {
  const { clock, preparedStatements, statementTimeoutMs } = settings;
  // A session of ours has been told its limits and its isolation, see `prepareSession`.
  const isPrepared = isOurs && preparedStatements;
  const graceMs = isPrepared ? SILENCE_MS : 0;
  const timeoutMs = statementTimeoutMs === 0 ? 0 : statementTimeoutMs + graceMs;
  return { clock, preparedStatements, timeoutMs, readCommitted: isPrepared };
}

function checkRoom(pool: PgPool): void {
  if (pool.options?.max !== 1) return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "A pool of one connection cannot listen: whoever listens keeps a connection. " +
      "Give the pool a `max` of at least 2, or the driver a `listenConnectionString`.",
  );
}

/** The lost connection shows up again as the error of whoever uses it next. */
function ignore(): void {}
