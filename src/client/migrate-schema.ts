import { migrate as migrateSchema, type MigrateResult } from "../postgres/migrate.ts";
import { reachDatabase } from "../postgres/reach-database.ts";
import { createSchema } from "../postgres/schema.ts";
import { systemClock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { LOGGER } from "../runtime/logger-option.ts";
import { readOptions } from "../runtime/options.ts";
import { CONNECTION_OPTIONS, openConnection, schemaNameOf, type ConnectionOptions } from "./connection.ts";

/** What {@link migrate} can be told. */
export interface MigrateOptions extends Omit<ConnectionOptions, "migrate"> {
  /** Default: `consoleLogger()`, which writes to stderr. */
  readonly logger?: Logger;
}

/**
 * Connects, brings the schema up to date, and closes what it opened: for a
 * deployment step with a role that may create tables, while workers and clients
 * run with `migrate: false`. Safe beside others that do the same. Rejects as
 * `createClient` does.
 */
export async function migrate(options: MigrateOptions = {}): Promise<MigrateResult> {
  const { migrate: _switch, ...connection } = CONNECTION_OPTIONS;
  const read = readOptions("migrate", options, {
    ...connection,
    logger: LOGGER,
  });
  const schema = createSchema(schemaNameOf(read));
  const clock = systemClock;
  const { driver, owned, target } = openConnection({ ...read, migrate: true, handlerConnections: 0 }, clock);
  try {
    await reachDatabase({ driver, clock, timeoutMs: read.connectTimeoutMs, target });
    return await migrateSchema({ driver, schema, logger: read.logger, clock });
  } finally {
    if (owned) await driver.close();
  }
}
