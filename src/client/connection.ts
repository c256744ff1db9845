import { HowdahError } from "../errors.ts";
import { CONNECTION_STRING, describeTarget, readConnectionString } from "../postgres/connection-string.ts";
import type { Driver } from "../postgres/driver.ts";
import { pgDriver, type PgPool } from "../postgres/drivers/pg.ts";
import { POOL } from "../postgres/drivers/pg-pool.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Duration } from "../runtime/duration.ts";
import type { Logger } from "../runtime/logger.ts";
import { boolean, duration, integer, object, string } from "../runtime/option-kinds.ts";
import type { OptionsOf } from "../runtime/options.ts";

/** An open way to the database. */
export interface Connection {
  readonly driver: Driver;
  /** True when the driver was made here, so that the caller has to close it. */
  readonly owned: boolean;
  /** Where it leads, for messages, without credentials. */
  readonly target: string;
}

/**
 * Makes a driver of read options, without connecting. Throws
 * `HOWDAH_OPTION_INVALID` when more than one way to the database is given.
 */
export function openConnection(options: ConnectionOrder, clock: Clock, applicationName?: string): Connection {
  const { connectionString, pool, driver, preparedStatements, maxConnections, listenConnectionString } = options;
  const given = Object.entries({ connectionString, pool, driver }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => `\`${name}\``).join(" and ");
    throw new HowdahError("HOWDAH_OPTION_INVALID", `Options ${names} are given together. Specify only one of them.`);
  }
  if (driver) {
    if (listenConnectionString === undefined) return { driver, owned: false, target: "the database of the driver" };
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "Option `listenConnectionString` cannot go with `driver`, which listens itself.",
    );
  }
  const url = pool ? undefined : (connectionString ?? fromEnvironment());
  const made = pgDriver({
    ...(pool ? { pool } : {}),
    ...(url ? { connectionString: url } : {}),
    ...(applicationName === undefined ? {} : { applicationName }),
    ...(listenConnectionString === undefined ? {} : { listenConnectionString }),
    connectTimeout: options.connectTimeoutMs,
    statementTimeout: options.statementTimeoutMs,
    preparedStatements,
    maxConnections,
    trustPool: options.trustPool,
    ...(options.handlerConnections === undefined ? {} : { handlerConnections: options.handlerConnections }),
    ...(options.logger ? { logger: options.logger } : {}),
    clock,
  });
  return { driver: made, owned: true, target: pool ? "the database of the pool" : describeTarget(url) };
}

/** What a connection is made of. */
export interface ConnectionOrder extends ReadConnectionOptions {
  /** Where to listen, if that is not the same. */
  readonly listenConnectionString?: string | undefined;
  /** How many connections are for handlers; 0 when there are none. Default: what the driver keeps for them. */
  readonly handlerConnections?: number | undefined;
  readonly logger?: Logger | undefined;
}

/**
 * How to reach the database. Without the first three, `DATABASE_URL` or the
 * `PG…` variables of the environment count.
 */
export interface ConnectionOptions {
  /**
   * `postgresql://user:password@host:5432/database`. Several hosts, `one:5432,two:5432`, are tried in order for one
   * that is what `target_session_attrs` says; default: one that can be written to.
   */
  readonly connectionString?: string | undefined;
  /** A `pg` pool of the application, which stays the application's to close. */
  readonly pool?: PgPool | undefined;
  /** `pool`, as graphile-worker spells it. */
  readonly pgPool?: PgPool | undefined;
  /** Another way to the database, which stays the application's to close. */
  readonly driver?: Driver | undefined;
  /** The schema of the queue. Default: `HOWDAH_SCHEMA` of the environment, or "howdah". */
  readonly schema?: string | undefined;
  /** Brings the schema up to date. Switch off for roles that may not create tables. Default true. */
  readonly migrate?: boolean | undefined;
  /** Switch off behind a transaction pooler. Default true. */
  readonly preparedStatements?: boolean | undefined;
  /** Connections at most. Default 10. */
  readonly maxConnections?: number | undefined;
  /** `maxConnections`, as graphile-worker spells it. */
  readonly maxPoolSize?: number | undefined;
  /** Takes a `pool` whose clients cannot tell whether they are inside of a transaction. Default false. */
  readonly trustPool?: boolean | undefined;
  /** How long the database may take to be reachable. Default 10s. */
  readonly connectTimeout?: Duration | undefined;
  /** How long a statement may take; 0 means for ever. Default 30s. */
  readonly statementTimeout?: Duration | undefined;
}

/** How {@link ConnectionOptions} are read. */
export const CONNECTION_OPTIONS = {
  connectionString: CONNECTION_STRING,
  pool: POOL,
  driver: object<Driver>(["query", "transaction", "listen", "close"]),
  schema: string(),
  migrate: boolean({ default: true }),
  preparedStatements: boolean({ default: true }),
  maxConnections: integer({ min: 1, default: 10 }),
  trustPool: boolean({ default: false }),
  connectTimeout: duration({ min: 1, default: "10s" }),
  statementTimeout: duration({ default: "30s" }),
};

/** Read {@link ConnectionOptions}. */
export type ReadConnectionOptions = OptionsOf<typeof CONNECTION_OPTIONS>;

/** The schema to use: the option, the environment, or the default. */
export function schemaNameOf(options: Pick<ReadConnectionOptions, "schema">): string {
  return options.schema ?? (process.env["HOWDAH_SCHEMA"] || "howdah");
}

/** What `DATABASE_URL` says; blank is as good as not set. */
function fromEnvironment(): string | undefined {
  const text = process.env["DATABASE_URL"]?.trim();
  return text ? readConnectionString(text, "The environment variable DATABASE_URL") : undefined;
}
