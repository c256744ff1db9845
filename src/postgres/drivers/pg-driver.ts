import { HowdahError } from "../../errors.ts";
import type { Logger } from "../../runtime/logger.ts";
import type {
  Driver,
  DriverCapabilities,
  DriverShare,
  Executor,
  Listening,
  ListenHandlers,
  Query,
  QueryResult,
  ShareName,
} from "../driver.ts";
import { OwnListenWay, type PgListenWay, PoolListenWay } from "./pg-listen-way.ts";
import { PgListener } from "./pg-listener.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import type { PgPool } from "./pg-pool.ts";
import type { SessionOptions } from "./pg-session.ts";
import type { Closable } from "./pg-share.ts";
import { PgShares } from "./pg-shares.ts";
import { PoolWarnings } from "./pool-warnings.ts";
import { type PoolWatch, watchOf } from "./pool-watch.ts";
import { splitConnections } from "./split-connections.ts";

/** The driver over `pg`: lends connections of a pool, and keeps those that listen. */
export class PgDriver implements Driver, Closable {
  readonly capabilities: DriverCapabilities;
  readonly #parts: PgDriverParts;
  readonly #sessionOptions: SessionOptions;
  readonly #shares: PgShares;
  readonly #listeners = new Set<PgListener>();
  readonly #watch: PoolWatch | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: PgDriverParts) {
    const { settings, pool, logger } = parts;
    this.#parts = parts;
    this.#sessionOptions = sessionOptions(parts);
    this.#shares = new PgShares({
      settings,
      pool,
      split: splitConnections(totalOf(parts), parts.handlerConnections),
      sessionOptions: this.#sessionOptions,
      driver: this,
      warnings: new PoolWarnings(logger),
    });
    this.capabilities = { listen: hasRoomToListen(parts), connections: this.#shares.engine.connections };
    this.#watch = this.#sessionOptions.watch;
    this.#watch?.begin();
  }

  query(query: Query): Promise<QueryResult> {
    return this.#shares.engine.query(query);
  }

  transaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T> {
    return this.#shares.engine.transaction(work);
  }

  share(name: ShareName): DriverShare {
    return this.#shares[name];
  }

  async listen(channels: readonly string[], handlers: ListenHandlers): Promise<Listening> {
    this.checkOpen();
    const listener = new PgListener({ ...this.#sessionOptions, channels, handlers, way: this.#listenWay() });
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
    return { close, quiet: (isQuiet) => listener.quiet(isQuiet) };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#listeners, (listener) => listener.close()));
    await this.#shares.close();
    this.#watch?.end();
  }

  #listenWay(): PgListenWay {
    const { settings, pool, listenSettings } = this.#parts;
    if (!pool || listenSettings) return new OwnListenWay(listenSettings ?? settings);
    checkRoom(this.#parts);
    return new PoolListenWay(this.#shares.engine);
  }

  /** Throws `HOWDAH_CLIENT_CLOSED` once it is closed. */
  checkOpen(): void {
    if (this.#closed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The database driver was closed.");
  }
}

/** What the driver is made of, read and checked. */
export interface PgDriverParts {
  readonly settings: ConnectionSettings;
  /** The application's pool; without one the driver has its own. */
  readonly pool: PgPool | undefined;
  /** How to connect to listen, if that is another way. */
  readonly listenSettings: ConnectionSettings | undefined;
  readonly maxConnections: number;
  /** How many of them are for handlers; 0 when there are none, `undefined` for the default. */
  readonly handlerConnections: number | undefined;
  /** Believes clients that do not tell their transaction state to be outside of one. */
  readonly trustPool: boolean;
  readonly logger: Logger;
}

/** The server ends a statement that takes too long; one that does not even say so is given up this much later. */
const SILENCE_MS = 5_000;

/** How many connections a pool of the application has when it does not say so. */
const DEFAULT_POOL_MAX = 10;

function sessionOptions({ settings, pool, trustPool }: PgDriverParts): SessionOptions {
  const { clock, preparedStatements, statementTimeoutMs } = settings;
  // A session of ours knows its limits and its isolation, see `prepareSession`.
  const isPrepared = pool === undefined && preparedStatements;
  const graceMs = isPrepared ? SILENCE_MS : 0;
  const timeoutMs = statementTimeoutMs === 0 ? 0 : statementTimeoutMs + graceMs;
  return {
    clock,
    preparedStatements,
    timeoutMs,
    prepared: isPrepared,
    trusted: trustPool,
    doubt: { count: 0 },
    watch: pool && watchOf(pool),
  };
}

/** How many connections there are to share out; one of the application's pool is for listening. */
function totalOf({ pool, maxConnections, handlerConnections, listenSettings }: PgDriverParts): number {
  if (!pool) return maxConnections;
  const max = pool.options?.max ?? DEFAULT_POOL_MAX;
  const listens = handlerConnections !== 0 && !listenSettings;
  return listens ? Math.max(1, max - 1) : max;
}

/** Listening keeps a connection, and the only one of a pool is not to be kept. */
function hasRoomToListen({ pool, listenSettings }: PgDriverParts): boolean {
  return listenSettings !== undefined || pool?.options?.max !== 1;
}

function checkRoom(parts: PgDriverParts): void {
  if (hasRoomToListen(parts)) return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "A pool of one connection cannot listen: listening keeps a connection. " +
      "Give the pool a `max` of at least 2, or the driver a `listenConnectionString`.",
  );
}
