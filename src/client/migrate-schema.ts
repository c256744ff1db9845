import { HowdahError } from "../errors.ts";
import { CONNECTION_PEER_NAMES, CONNECTION_SPELLINGS } from "../job/peer-names.ts";
import { applyMigrationsWithin, type MigrateResult } from "../postgres/apply-migrations.ts";
import type { Executor } from "../postgres/driver.ts";
import type { PgQueryable } from "../postgres/drivers/pg-client.ts";
import { executorOf } from "../postgres/drivers/pg-executor.ts";
import { changeLayout, chosenChange, type LayoutChanges } from "../postgres/layout/change-layout.ts";
import { writeMigrationSql } from "../postgres/migration-sql.ts";
import { reachDatabase } from "../postgres/reach-database.ts";
import { tendHistory, type TendTarget } from "../postgres/queries/tend-history.ts";
import { createSchema } from "../postgres/schema.ts";
import { systemClock } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { LOGGER } from "../runtime/logger-option.ts";
import { boolean, integer, object } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { withHowdahErrors } from "../postgres/database-error.ts";
import { CONNECTION_OPTIONS, openConnection, schemaNameOf, type ConnectionOptions } from "./connection.ts";

/** What {@link migrate} can be told. */
export interface MigrateOptions extends Omit<ConnectionOptions, "migrate">, LayoutChanges {
  /** Default: `consoleLogger()`, which writes to stderr. */
  readonly logger?: Logger | undefined;
  /**
   * A client of `pg` that has begun a transaction, or an {@link Executor}: migrates as part of it, leaves its settings as
   * they were, and neither commits nor connects. Instead of the other ways to
   * the database.
   */
  readonly transaction?: PgQueryable | Executor | undefined;
}

/** What {@link migrationSql} can be told. */
export interface MigrationSqlOptions {
  /** The schema of the queue. Default: `HOWDAH_SCHEMA` of the environment, or "howdah". */
  readonly schema?: string | undefined;
  /** The revision that the schema has already. Default 0: none. */
  readonly from?: number | undefined;
}

/**
 * Connects, brings the schema up to date, and closes what it opened: for a
 * deployment step with a role that may create tables, while workers and clients
 * run with `migrate: false`. Safe beside others that do the same. Rejects as
 * `createClient` does.
 */
export async function migrate(options: MigrateOptions = {}): Promise<MigrateResult> {
  const { migrate: _switch, ...connection } = CONNECTION_OPTIONS;
  const read = readOptions(
    { owner: "migrate", hints: CONNECTION_PEER_NAMES, spellings: CONNECTION_SPELLINGS },
    options,
    {
      ...connection,
      logger: LOGGER,
      transaction: object<PgQueryable | Executor>(["query"]),
      ...LAYOUT_OPTIONS,
    },
  );
  const schema = createSchema(schemaNameOf(read));
  const change = chosenChange(read);
  if (read.transaction) {
    const other = change ?? (["connectionString", "pool", "driver"] as const).find((name) => read[name] !== undefined);
    if (other === undefined) {
      const transaction = executorOf(read.transaction, { preparedStatements: false });
      return applyMigrationsWithin({ transaction, schema, logger: read.logger });
    }
    throw new HowdahError("HOWDAH_OPTION_INVALID", `Specify only one of \`transaction\` and \`${other}\`.`);
  }
  const clock = systemClock;
  const { driver, owned, target } = openConnection(
    { ...read, ...(change && LAYOUT_CONNECTION), migrate: true, handlerConnections: 0 },
    clock,
  );
  try {
    return await withHowdahErrors(schema, async () => {
      await reachDatabase({ driver, clock, timeoutMs: read.connectTimeoutMs, target });
      const done = await changeLayout(read, { driver, schema, logger: read.logger, clock });
      if (!read.release) await lookAfterHistory({ executor: driver, schema }, read.logger);
      return done;
    });
  } finally {
    if (owned) await driver.close();
  }
}

/** Does what the history needs now, for those whose workers may not. What is locked is left to the next call. */
async function lookAfterHistory(target: TendTarget, logger: Logger): Promise<void> {
  try {
    let answer = await tendHistory(target, TEND);
    for (let calls = 1; answer.done !== null && calls < MOST_CALLS; calls += 1)
      answer = await tendHistory(target, TEND);
  } catch (error) {
    logger.warn("The partitions of the history could not be looked after; workers do so", {
      error: errorMessage(error),
    });
  }
}

const TEND = { atOnce: true, timeoutMs: 30_000 };
const MOST_CALLS = 1_000;

/** The options that change whose tables a schema has. */
const LAYOUT_OPTIONS = {
  adopt: boolean({ default: false }),
  own: boolean({ default: false }),
  release: boolean({ default: false }),
};

/** How to connect for a change of layout: one connection holds a lock beside the one that works, and an index takes its time. */
export const LAYOUT_CONNECTION = { maxConnections: 2, statementTimeoutMs: 3_600_000 };

/**
 * The SQL of the migrations, one statement, for operators and for other
 * migration tools: all of it happens or nothing does, it can be run inside of a
 * transaction or alone, again it does nothing, and it leaves no setting changed.
 * Needs no database. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`.
 */
export function migrationSql(options: MigrationSqlOptions = {}): string {
  const read = readOptions("migrationSql", options, {
    schema: CONNECTION_OPTIONS.schema,
    from: integer({ min: 0, default: 0 }),
  });
  return writeMigrationSql({ schema: createSchema(schemaNameOf(read)), from: read.from });
}
