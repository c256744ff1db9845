import type { Client } from "../client/client.ts";
import { openClient, type OpenClient } from "../client/create-client.ts";
import { HowdahError } from "../errors.ts";
import { systemClock } from "../runtime/clock.ts";
import { consoleLogger, type Logger } from "../runtime/logger.ts";
import type { GlobalOptions } from "./command.ts";

/** The variables with which `pg` finds a database when it is given no URL. */
const PG_VARIABLES = ["PGHOST", "PGDATABASE", "PGUSER", "PGPORT"];

/** How long a person looks at nothing before it is said what is waited for. */
const SILENT_MS = 1_000;

/**
 * Runs `work` with a client on the database that the options or the environment
 * name, and closes it. The schema has to be there: looking never creates it.
 * Rejects with `HOWDAH_OPTION_INVALID` when nothing names a database.
 */
export async function withClient<T>(
  globals: GlobalOptions,
  work: (client: Client, ground: OpenClient) => Promise<T>,
): Promise<T> {
  const logger = commandLogger();
  const connection = connectionOptions(globals);
  const connecting = openClient({ ...connection, ...ONE_COMMAND, migrate: false, logger });
  const ground = await sayingWhenSlow(logger, connecting);
  await using client = ground.client;
  return await sayingWhenSlow(logger, work(client, ground));
}

/** How a command connects: it gains nothing by prepared statements, and behind a transaction pooler it would fail by them. */
export const ONE_COMMAND = { maxConnections: 1, preparedStatements: false };

/** Passes on what `work` comes to, and says that it is waited for when that takes long. */
export async function sayingWhenSlow<T>(logger: Logger, work: Promise<T>): Promise<T> {
  const waiting = systemClock.setTimer(SILENT_MS, () => logger.warn("The database has not answered yet; still trying"));
  return await work.finally(() => waiting.cancel());
}

/** Where the database and the schema are. Throws `HOWDAH_OPTION_INVALID` when nothing names a database. */
export function connectionOptions({ databaseUrl, schema }: GlobalOptions) {
  const named = databaseUrl ?? process.env["DATABASE_URL"];
  if (!named && !PG_VARIABLES.some((name) => process.env[name])) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "No database is given: pass --database-url postgresql://user:password@host:5432/database, or set DATABASE_URL.",
    );
  }
  return {
    ...(databaseUrl === undefined ? {} : { connectionString: databaseUrl }),
    ...(schema === undefined ? {} : { schema }),
  };
}

/** Says what went wrong, and the rest only to who asks for it with `HOWDAH_LOG`. */
export function commandLogger(): Logger {
  return process.env["HOWDAH_LOG"] ? consoleLogger() : consoleLogger({ level: "warn" });
}
