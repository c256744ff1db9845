import { HowdahError } from "../../errors.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import type { Duration } from "../../runtime/duration.ts";
import { boolean, duration, integer, object, string } from "../../runtime/option-kinds.ts";
import type { Logger } from "../../runtime/logger.ts";
import { LOGGER } from "../../runtime/logger-option.ts";
import { readOptions } from "../../runtime/options.ts";
import { CONNECTION_STRING, readConnectionString } from "../connection-string.ts";
import type { Driver } from "../driver.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { PgDriver } from "./pg-driver.ts";
import { PG, pgHosts } from "./pg-hosts.ts";
import { type PgPool, POOL } from "./pg-pool.ts";
export { executorOf, type ExecutorOptions } from "./pg-executor.ts";
export type { PgPool, PgPoolClient } from "./pg-pool.ts";
export type { PgClient, PgNotification, PgQueryable } from "./pg-client.ts";
export type { PgAnswer, PgStatement, PgTypes } from "./pg-statement.ts";

/**
 * The driver over `pg`. Connects when it is first used. Throws
 * `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`.
 *
 * Values go in and come out as text; type parsers of the process and of the
 * pool are neither used nor changed. Statements run as read committed, whatever
 * the role's default.
 */
export function pgDriver(options: PgDriverOptions = {}): Driver {
  const read = readOptions("driver", options, {
    connectionString: CONNECTION_STRING,
    pool: POOL,
    config: object<Readonly<Record<string, unknown>>>(),
    listenConnectionString: CONNECTION_STRING,
    maxConnections: integer({ min: 1, default: 10 }),
    handlerConnections: integer({ min: 0 }),
    trustPool: boolean({ default: false }),
    logger: LOGGER,
    connectTimeout: duration({ min: 1, default: "10s" }),
    statementTimeout: duration({ default: "30s" }),
    preparedStatements: boolean({ default: true }),
    applicationName: string({ default: "howdah" }),
    clock: object<Clock>(["now", "monotonic", "setTimer", "sleep"]),
  });
  const { pool, connectionString, config, applicationName, clock = systemClock } = read;
  if (pool && (connectionString !== undefined || config)) {
    const other = config ? "config" : "connectionString";
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `Driver options \`pool\` and \`${other}\` are given together. Specify only one of them.`,
    );
  }
  const all: Readonly<Record<string, unknown>> = { fallback_application_name: applicationName, ...config };
  const inConfig = all["connectionString"];
  const settings: ConnectionSettings = {
    library: PG,
    hosts: pgHosts(
      all,
      connectionString ??
        (typeof inConfig === "string"
          ? readConnectionString(inConfig, "Driver option `config.connectionString`")
          : undefined),
    ),
    connectTimeoutMs: read.connectTimeoutMs,
    statementTimeoutMs: read.statementTimeoutMs,
    preparedStatements: read.preparedStatements,
    clock,
  };
  const { listenConnectionString, maxConnections, handlerConnections, trustPool, logger } = read;
  const listenSettings =
    listenConnectionString === undefined ? undefined : { ...settings, hosts: pgHosts(all, listenConnectionString) };
  return new PgDriver({
    settings,
    pool,
    listenSettings,
    maxConnections,
    handlerConnections,
    trustPool,
    logger,
  });
}

/** How to reach the database through `pg`. Without any of the first three, the `PG…` variables of the environment count. */
export interface PgDriverOptions {
  /**
   * `postgresql://user:password@host:5432/database`. Several hosts, `one:5432,two:5432`, are tried in order for one
   * that is what `target_session_attrs` says; default: one that can be written to.
   */
  connectionString?: string | undefined;
  /** A pool of the application, which stays the application's: it is used and left open. */
  pool?: PgPool | undefined;
  /** Anything that a `pg` client takes, for a pool of our own: `host`, `ssl`, a `password` function, … */
  config?: Readonly<Record<string, unknown>> | undefined;
  /** Where to listen, if that is not the same: a transaction pooler passes no notifications on. */
  listenConnectionString?: string | undefined;
  /** Connections at most, without the one that listens. Default 10. Of a pool of the application, its `max` counts. */
  maxConnections?: number | undefined;
  /** How many of them are for handlers (`query` and `withTransaction`). Default: two of ten. 0 when there are no handlers. */
  handlerConnections?: number | undefined;
  /** Takes a pool whose clients cannot tell whether they are inside of a transaction: a promise that nothing leaves one open. Default false. */
  trustPool?: boolean | undefined;
  /** Where it is logged that connections come back with a transaction left open. Default: `consoleLogger()`. */
  logger?: Logger | undefined;
  /** How long to wait for a connection. Default 10s. */
  connectTimeout?: Duration | undefined;
  /** How long a statement may take unless it says otherwise; 0 means for ever. Default 30s. */
  statementTimeout?: Duration | undefined;
  /** Switch off behind a transaction pooler; then nothing is set for a session either. Default true. */
  preparedStatements?: boolean | undefined;
  /** What `pg_stat_activity` shows. Default "howdah". */
  applicationName?: string | undefined;
  /** The source of time. Default: the machine's. */
  clock?: Clock | undefined;
}
