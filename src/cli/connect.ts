import type { Client } from "../client/client.ts";
import { openClient, type OpenClient } from "../client/create-client.ts";
import { HowdahError } from "../errors.ts";
import { systemClock, type Timer } from "../runtime/clock.ts";
import { consoleLogger, type Logger } from "../runtime/logger.ts";
import type { GlobalOptions } from "./command.ts";

/**
 * Runs `work` with a client on the database that the options or the environment
 * name, and closes it. The schema must exist: these commands never create it.
 * Rejects with `HOWDAH_OPTION_INVALID` when nothing names a database.
 */
export async function withClient<T>(
  globals: GlobalOptions,
  work: (client: Client, ground: CommandGround) => Promise<T>,
): Promise<T> {
  const logger = commandLogger();
  const connection = connectionOptions(globals);
  const connecting = openClient({ ...connection, ...ONE_COMMAND, migrate: false, logger });
  const opened = await sayingWhenSlow(logger, connecting);
  await using client = opened.client;
  const waiting = sayWhenSlow(logger);
  return await work(client, { ...opened, waiting }).finally(() => waiting.cancel());
}

/** What a command stands on. */
export interface CommandGround extends OpenClient {
  /** Says that the database has not answered, unless it is cancelled: by a command that begins to wait for something else. */
  readonly waiting: Timer;
}

/** The variables with which `pg` finds a database when it is given no URL. */
const PG_VARIABLES = ["PGHOST", "PGDATABASE", "PGUSER", "PGPORT"];

/** How long to wait silently before a message says what the command waits for. */
const SILENT_MS = 1_000;

/** How a command connects: prepared statements have no advantage for it, and fail behind a transaction pooler. */
export const ONE_COMMAND = { maxConnections: 1, preparedStatements: false };

/** Awaits `work`, and logs that it is waiting, in these words, when that takes long. */
export async function sayingWhenSlow<T>(logger: Logger, work: Promise<T>, words = NO_ANSWER): Promise<T> {
  const waiting = sayWhenSlow(logger, words);
  return await work.finally(() => waiting.cancel());
}

function sayWhenSlow(logger: Logger, words = NO_ANSWER): Timer {
  return systemClock.setTimer(SILENT_MS, () => logger.warn(words));
}

const NO_ANSWER = "The database has not answered yet; still trying";

/** The database and the schema. Throws `HOWDAH_OPTION_INVALID` when nothing names a database. */
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

/** Logs warnings and errors; more only with `HOWDAH_LOG`. */
export function commandLogger(): Logger {
  return process.env["HOWDAH_LOG"] ? consoleLogger() : consoleLogger({ level: "warn" });
}
