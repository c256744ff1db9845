import type { AnyTask } from "../job/task.ts";
import { createTaskRegistry, type TaskRegistry } from "../job/task-registry.ts";
import type { Driver, Executor } from "../postgres/driver.ts";
import { executorOf } from "../postgres/drivers/pg.ts";
import { migrate } from "../postgres/migrate.ts";
import { reachDatabase } from "../postgres/reach-database.ts";
import { createSchema, type Schema } from "../postgres/schema.ts";
import { readSchemaRevision } from "../postgres/schema-revision.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { consoleLogger, type Logger } from "../runtime/logger.ts";
import { list, object, required } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { createAdds } from "./adds.ts";
import { Announcer } from "./announcer.ts";
import { createCleanUp } from "./clean-up.ts";
import type { Client } from "./client.ts";
import { CONNECTION_OPTIONS, type ConnectionOptions, openConnection, schemaNameOf } from "./connection.ts";
import { createInspection } from "./inspect.ts";
import { createManagement } from "./manage.ts";
import { OpenCalls } from "./open-calls.ts";
import { createSchedules } from "./schedules.ts";
import { createSession } from "./session.ts";

/** What a client can be told. Everything is optional. */
export interface ClientOptions extends ConnectionOptions {
  /** The tasks whose jobs this client adds: adds of others reject with `HOWDAH_TASK_UNKNOWN`. Default: any may be added. */
  readonly tasks?: readonly AnyTask[];
  /** Default: `consoleLogger()`, which writes to stderr. */
  readonly logger?: Logger;
}

/**
 * Connects, migrates unless told not to, and returns a client. Rejects with
 * `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID`,
 * `HOWDAH_DATABASE_UNREACHABLE` after `connectTimeout`,
 * `HOWDAH_DATABASE_FORBIDDEN` for wrong credentials or missing rights,
 * `HOWDAH_SCHEMA_MISSING` when there is nothing to work on and `migrate` is
 * off, and `HOWDAH_SCHEMA_TOO_NEW`.
 */
export async function createClient(options: ClientOptions = {}): Promise<Client> {
  const read = readOptions("client", options, {
    ...CONNECTION_OPTIONS,
    tasks: list(required(object<AnyTask>())),
    logger: object<Logger>(["error", "warning", "info", "debug"]),
  });
  const schema = createSchema(schemaNameOf(read));
  const tasks = options.tasks === undefined ? undefined : createTaskRegistry(read.tasks);
  const logger = read.logger ?? consoleLogger();
  const clock = systemClock;
  const { driver, owned, target } = openConnection(read, clock);
  try {
    await reachDatabase({ driver, clock, timeoutMs: read.connectTimeoutMs, target });
    if (read.migrate) await migrate({ driver, schema, logger, clock });
    else await readSchemaRevision({ driver, schema });
  } catch (error) {
    if (owned) await driver.close();
    throw error;
  }
  return clientOver({ driver, schema, tasks, logger, clock, ...(owned ? { onClose: () => driver.close() } : {}) });
}

/** What {@link clientOver} stands on. */
export interface ClientGround {
  /** Stays the caller's to close. */
  readonly driver: Driver;
  readonly schema: Schema;
  readonly logger: Logger;
  /** The tasks that may be added; `undefined` for any. */
  readonly tasks?: TaskRegistry | undefined;
  /** Identifiers that clean-up always spares, beside those of `tasks`. */
  readonly keepTasks?: readonly string[];
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Called by the first `close()`. */
  readonly onClose?: () => Promise<void>;
}

/** A client over a driver that is connected to a migrated schema. */
export function clientOver(ground: ClientGround): Client {
  const { driver, schema, logger, tasks, keepTasks = [], clock = systemClock, onClose } = ground;
  const calls = new OpenCalls();
  const announcer = new Announcer({ executor: driver, schema, clock });
  const session = createSession(driver, { schema, tasks, announcer });
  const spared = [...keepTasks, ...(tasks?.identifiers ?? [])];
  let closing: Promise<void> | undefined;

  function close(): Promise<void> {
    closing ??= calls
      .close()
      .then(() => announcer.flush())
      .then(onClose);
    return closing;
  }

  return {
    ...calls.awaited({
      ...createAdds(session),
      ...createManagement(session),
      ...createInspection(session),
      ...createCleanUp(session, { clock, keepTasks: spared }),
      async migrate() {
        await migrate({ driver, schema, logger, clock });
      },
    }),
    schedules: calls.awaited(createSchedules(session, clock)),

    inTransaction(transaction) {
      calls.check();
      const inside = createSession(withoutNames(executorOf(transaction)), { schema, tasks, announcer: undefined });
      // Not waited for: such a call may last as long as the application's transaction.
      return {
        ...calls.checked({ ...createAdds(inside), ...createManagement(inside), ...createInspection(inside) }),
        schedules: calls.checked(createSchedules(inside, clock)),
      };
    },

    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Nothing is prepared on a connection of the application: it may be behind a pooler that we know nothing of. */
function withoutNames(executor: Executor): Executor {
  return { query: ({ name: _name, ...query }) => executor.query(query) };
}
