import postgres from "postgres";
import { HowdahError } from "../../errors.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import type { Duration } from "../../runtime/duration.ts";
import type { Logger } from "../../runtime/logger.ts";
import { LOGGER } from "../../runtime/logger-option.ts";
import { boolean, duration, integer, object, string } from "../../runtime/option-kinds.ts";
import { readOptions } from "../../runtime/options.ts";
import { CONNECTION_STRING, readConnectionString } from "../connection-string.ts";
import type { Driver } from "../driver.ts";
import { hostsOf } from "../hosts.ts";
import type { ClientLibrary, ConnectionSettings } from "./connection-settings.ts";
import { PgDriver } from "./pg-driver.ts";
import { type CreatePostgresJs, PostgresJsClient } from "./postgres-js/client.ts";
import { type PostgresJsOptions, postgresJsHosts, targetOf } from "./postgres-js/hosts.ts";

/**
 * The driver over postgres.js. `sql` is an instance of the application, or a
 * connection string. Connects when it is first used. Throws
 * `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`.
 *
 * The driver opens connections of its own, with the options of `sql`: host,
 * user, password, `ssl`, `socket`, `connection`, `prepare`. Those of `sql` itself
 * stay the application's, and so does its end. Values go in and come out as text:
 * `types` and `transform` of `sql` are neither used nor changed.
 *
 * Transactions of `sql.begin` go to `client.inTransaction` and `context.complete`.
 */
export function postgresDriver(sql: PostgresSql | string, options: PostgresDriverOptions = {}): Driver {
  const read = readOptions("driver", options, {
    listenConnectionString: CONNECTION_STRING,
    maxConnections: integer({ min: 1, default: 10 }),
    handlerConnections: integer({ min: 0 }),
    logger: LOGGER,
    connectTimeout: duration({ min: 1, default: "10s" }),
    statementTimeout: duration({ default: "30s" }),
    preparedStatements: boolean(),
    applicationName: string({ default: "howdah" }),
    clock: object<Clock>(["now", "monotonic", "setTimer", "sleep"]),
  });
  const { applicationName, clock = systemClock, listenConnectionString } = read;
  const own = optionsOf(sql, applicationName);
  const settings: ConnectionSettings = {
    library: libraryOf(own, clock),
    hosts: postgresJsHosts(own),
    connectTimeoutMs: read.connectTimeoutMs,
    statementTimeoutMs: read.statementTimeoutMs,
    preparedStatements: read.preparedStatements ?? own.prepare !== false,
    clock,
  };
  return new PgDriver({
    settings,
    pool: undefined,
    listenSettings: listenConnectionString === undefined ? undefined : listening(settings, listenConnectionString),
    maxConnections: read.maxConnections,
    handlerConnections: read.handlerConnections,
    trustPool: false,
    logger: read.logger,
  });

  function listening(settings: ConnectionSettings, text: string): ConnectionSettings {
    const elsewhere = optionsOf(text, applicationName);
    return { ...settings, library: libraryOf(elsewhere, clock), hosts: postgresJsHosts(elsewhere) };
  }
}

/** What `postgres(...)` returns, as far as it is needed here. */
export interface PostgresSql {
  /** What it was made with. */
  readonly options: object;
}

/** How to reach the database through postgres.js. */
export interface PostgresDriverOptions {
  /** Where to listen, if that is not the same: a transaction pooler passes no notifications on. */
  listenConnectionString?: string | undefined;
  /** Connections at most, without the one that listens. Default 10. */
  maxConnections?: number | undefined;
  /** How many of them are for handlers (`query` and `withTransaction`). Default: two of ten. 0 when there are no handlers. */
  handlerConnections?: number | undefined;
  /** Where it is logged what is noticed. Default: `consoleLogger()`. */
  logger?: Logger | undefined;
  /** How long to wait for a connection. Default 10s. */
  connectTimeout?: Duration | undefined;
  /** How long a statement may take unless it says otherwise; 0 means for ever. Default 30s. */
  statementTimeout?: Duration | undefined;
  /** Switch off behind a transaction pooler; then nothing is set for a session either. Default: `prepare` of `sql`, which is true. */
  preparedStatements?: boolean | undefined;
  /** What `pg_stat_activity` shows, where `sql` does not say so. Default "howdah". */
  applicationName?: string | undefined;
  /** The source of time. Default: the machine's. */
  clock?: Clock | undefined;
}

function optionsOf(sql: PostgresSql | string, applicationName: string): PostgresJsOptions {
  const options = typeof sql === "string" ? readUrl(sql) : (sql as Partial<PostgresSql> | null | undefined)?.options;
  if ((typeof sql !== "string" && typeof sql !== "function") || typeof options !== "object")
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `postgresDriver() takes the \`sql\` that \`postgres(...)\` returns, or a connection string, found ${describeValue(sql)}.`,
    );
  const read = options as PostgresJsOptions;
  const { application_name: name, ...connection } = read.connection ?? {};
  // What postgres.js says by itself is nothing that the application has said.
  const shown = name === undefined || name === "postgres.js" ? applicationName : name;
  return { ...read, connection: { ...connection, application_name: shown } };
}

const OWN_URL = "The connection string of postgresDriver()";

/**
 * What postgres.js makes of a connection string. The hosts are read here: it cuts
 * addresses of IPv6 at their colons, and takes `?host=` for a setting of the
 * server. It knows all kinds of servers but "any".
 */
function readUrl(text: string): object {
  const named = hostsOf(readConnectionString(text, OWN_URL));
  if (typeof named === "string" || named.pairs.length === 0 || !isDecodable(named.bare))
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${OWN_URL} is not a URL like postgresql://user:password@host/database, or has a % that is not percent-encoded as %25.`,
    );
  const { bare, pairs } = named;
  const wanted = named.wanted ?? process.env["PGTARGETSESSIONATTRS"];
  const create = postgres as unknown as (url: string, options: object) => PostgresSql;
  const usualPort = process.env["PGPORT"] || "5432";
  const isNamed = pairs.some(({ host }) => host !== "");
  const { options } = create(bare, {
    host: isNamed ? pairs.map(({ host }) => host) : process.env["PGHOST"] || "localhost",
    port: isNamed ? pairs.map(({ port }) => Number(port || usualPort)) : pairs[0]?.port || usualPort,
    ...(wanted === "any" ? { target_session_attrs: "read-write" } : {}),
    ...(named.wanted && wanted !== "any" ? { target_session_attrs: wanted } : {}),
  });
  return wanted === "any" ? { ...options, target_session_attrs: wanted } : options;
}

/** The error of postgres.js for what is not says nothing of what to do. */
function isDecodable(url: string): boolean {
  try {
    return decodeURIComponent(url) !== "";
  } catch {
    return false;
  }
}

function libraryOf(options: PostgresJsOptions, clock: Clock): ClientLibrary {
  return {
    create: (config, timeoutMs) =>
      new PostgresJsClient(postgres as unknown as CreatePostgresJs, {
        options: { ...options, host: [config["host"]], port: [config["port"]] },
        target: targetOf(options, config),
        timeoutMs,
        clock,
      }),
  };
}
