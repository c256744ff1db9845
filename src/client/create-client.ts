import type { HookEmitter, Interceptor } from "../hooks/emitter.ts";
import { createHooks } from "../hooks/hooks.ts";
import { type Plugin, registerHooks } from "../hooks/plugin.ts";
import { CONNECTION_PEER_NAMES, CONNECTION_SPELLINGS } from "../job/peer-names.ts";
import type { AnyTask } from "../job/task.ts";
import { JoinedAdds } from "../job/add/joined-adds.ts";
import { type AddWaits, JoinableStore } from "../job/add/store-and-notify.ts";
import { createTaskRegistry, type TaskRegistry } from "../job/task-registry.ts";
import type { Driver } from "../postgres/driver.ts";
import { warnOfSkew } from "../postgres/clock-skew.ts";
import { applyMigrations } from "../postgres/apply-migrations.ts";
import { reachDatabase } from "../postgres/reach-database.ts";
import { createSchema, type Schema } from "../postgres/schema.ts";
import { sqlStateOf } from "../postgres/sqlstate.ts";
import { readSchemaRevision } from "../postgres/schema-revision.ts";
import { Lanes } from "../runtime/lanes.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import type { Duration } from "../runtime/duration.ts";
import type { Logger } from "../runtime/logger.ts";
import { LOGGER } from "../runtime/logger-option.ts";
import { duration, func, list, nested, object, required } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { createAdds } from "./adds.ts";
import { createBacklogReads } from "./backlog.ts";
import { Announcer } from "./announcer.ts";
import { AwaitedJobs } from "./awaited-jobs.ts";
import { createBulkChanges } from "./bulk.ts";
import { BulkRunner } from "./bulk-runner.ts";
import { type CleanUp, type CleanUpGround, createCleanUp } from "./clean-up.ts";
import type { Client, TransactionClient } from "./client.ts";
import {
  CONNECTION_OPTIONS,
  type ConnectionOptions,
  openConnection,
  type ReadConnectionOptions,
  schemaNameOf,
} from "./connection.ts";
import { CONNECTION_STRING } from "../postgres/connection-string.ts";
import { createControl } from "./control.ts";
import { createHistory } from "./history.ts";
import { createInspection } from "./inspect.ts";
import { createJobLogs } from "./job-logs.ts";
import { createManagement } from "./manage.ts";
import { createErasing, type Erasing } from "./erasing.ts";
import { createDoctor } from "./doctor/diagnose.ts";
import { toHowdahError, withHowdahErrors } from "../postgres/database-error.ts";
import { OpenCalls } from "./open-calls.ts";
import { OperatorReads } from "./operator-reads.ts";
import { createOperatorAccess } from "./create-operator-access.ts";
import { giveOperatorAccess } from "./operator-access.ts";
import { createOperations } from "./operations.ts";
import { createQueueRules } from "./queue-rules.ts";
import { createSchedules } from "./schedules.ts";
import { Session } from "./session.ts";
import { TransactionGuard } from "./transaction-guard.ts";
import { createResults } from "./results.ts";
import { createSampleReads } from "./samples.ts";
import { createWorkerRegister } from "./workers.ts";

/**
 * Connects, migrates unless told not to, and returns a client. Rejects with
 * `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID`,
 * `HOWDAH_DATABASE_UNREACHABLE` after `connectTimeout`,
 * `HOWDAH_DATABASE_FORBIDDEN` for wrong credentials or missing rights,
 * `HOWDAH_SCHEMA_MISSING` when there is nothing to work on and `migrate` is
 * off, `HOWDAH_SCHEMA_TOO_NEW`, `HOWDAH_SCHEMA_FOREIGN`,
 * `HOWDAH_SCHEMA_DAMAGED`,
 * `HOWDAH_DATABASE_UNSUPPORTED`, and `HOWDAH_PLUGIN_FAILED`.
 */
export async function createClient(options: ClientOptions = {}): Promise<Client> {
  return (await openClient(options)).client;
}

/** What a client can be told. Everything is optional. */
export interface ClientOptions extends ConnectionOptions {
  /** The tasks whose jobs this client adds: adds of others reject with `HOWDAH_TASK_UNKNOWN`. Default: any may be added. */
  readonly tasks?: readonly AnyTask[] | undefined;
  /** Default: `consoleLogger()`, which writes to stderr. */
  readonly logger?: Logger | undefined;
  /** Has a say in what this client adds; the other hooks are those of workers. */
  readonly hooks?: { readonly beforeJobSchedule?: Interceptor<"beforeJobSchedule"> | undefined } | undefined;
  /** Registered in this order, after `hooks`. */
  readonly plugins?: readonly Plugin[] | undefined;
  /** How long an interceptor may take to answer. Default 5s. */
  readonly interceptorTimeout?: Duration | undefined;
  /**
   * A replica of the same database, from which `listJobs`, `listQueues`,
   * `listErrors` and `stats` read outside of a transaction. What was changed a
   * moment ago may not be there yet. Default: they read from the database itself.
   */
  readonly readConnectionString?: string | undefined;
}

/** Does what {@link createClient} does, and returns what the client stands on, too. */
export async function openClient(options: ClientOptions): Promise<OpenClient> {
  const read = readOptions(
    { owner: "client", hints: CONNECTION_PEER_NAMES, spellings: CONNECTION_SPELLINGS },
    options,
    {
      ...CONNECTION_OPTIONS,
      tasks: list(required(object<AnyTask>())),
      logger: LOGGER,
      hooks: nested({ beforeJobSchedule: func<Interceptor<"beforeJobSchedule">>() }),
      plugins: list(required(object<Plugin>(["register"]))),
      interceptorTimeout: duration({ min: 1, default: "5s" }),
      readConnectionString: CONNECTION_STRING,
    },
  );
  const schema = createSchema(schemaNameOf(read));
  const tasks = options.tasks === undefined ? undefined : createTaskRegistry(read.tasks);
  const logger = read.logger;
  const clock = systemClock;
  const hooks = createHooks({ logger, clock, interceptorTimeoutMs: read.interceptorTimeoutMs });
  await registerHooks(hooks, read);
  const { driver, owned, target } = openConnection({ ...read, handlerConnections: 0 }, clock);
  try {
    const reading = await reachDatabase({ driver, clock, timeoutMs: read.connectTimeoutMs, target }, async () => {
      if (read.migrate) await applyMigrations({ driver, schema, logger, clock });
      else await readSchemaRevision({ driver, schema });
    });
    warnOfSkew(logger, reading);
  } catch (error) {
    if (owned) await driver.close();
    throw toHowdahError(error, schema);
  }
  const client = clientOver({
    driver,
    schema,
    tasks,
    hooks,
    logger,
    clock,
    statementTimeoutMs: read.statementTimeoutMs,
    ownsDriver: owned,
    readDriver: openReadDriver(read, clock),
  });
  hooks.attach(client);
  return { client, driver, schema, target };
}

/** A client with what it stands on, for statements that it has no method for. Closing the client closes both. */
export interface OpenClient {
  readonly client: Client;
  readonly driver: Driver;
  readonly schema: Schema;
  /** Where the database is, without credentials. */
  readonly target: string;
}

/** One connection to the replica, made when it is first needed; `undefined` without one. */
function openReadDriver(
  read: ReadConnectionOptions & { readonly readConnectionString: string | undefined },
  clock: Clock,
) {
  const { readConnectionString: connectionString } = read;
  if (connectionString === undefined) return undefined;
  const order = { ...read, connectionString, pool: undefined, driver: undefined };
  return openConnection({ ...order, maxConnections: 1, handlerConnections: 0 }, clock).driver;
}

/** A client over a driver that is connected to a migrated schema. */
export function clientOver(ground: ClientGround): Client {
  const { driver, schema, logger, tasks, hooks, ownsDriver } = ground;
  const { keepTasks = [], clock = systemClock, readDriver = driver } = ground;
  const calls = new OpenCalls(schema);
  const announcer = new Announcer({ executor: driver, schema, clock });
  const waits = createWaits(ground);
  const awaited = new AwaitedJobs({ clock, driver, logger, schema });
  const reads = new OperatorReads(readDriver);
  const primaryReads = readDriver === driver ? reads : new OperatorReads(driver);
  const session = new Session({ executor: driver, schema, tasks, announcer, hooks, waits, reads, primaryReads });
  const joined = new JoinedAdds(new JoinableStore({ executor: session, schema, announcer, waits }), clock);
  const runner = new BulkRunner({ driver, schema, clock });
  const byId = { ...createManagement(session), ...createControl(session) };
  let closing: Promise<void> | undefined;

  function close(): Promise<void> {
    closing ??= Promise.all([calls.close(), awaited.close()]).then(() =>
      withHowdahErrors(schema, async () => {
        await announcer.flush();
        if (readDriver !== driver) await readDriver.close();
        if (ownsDriver) await driver.close();
      }),
    );
    return closing;
  }

  const client: Client = {
    ...calls.awaited({
      ...createAdds(session, joined),
      ...byId,
      ...createBulkChanges(session, { runner, byId }),
      ...createInspection(session),
      ...createJobLogs(session),
      ...createHistory(session),
      ...createBacklogReads(session),
      ...createDoctor({ driver, schema }, clock),
      ...createSampleReads(session),
      ...createWorkerRegister(session),
      ...createQueueRules(session),
      ...createRemovals(session, { clock, keepTasks: [...keepTasks, ...(tasks?.identifiers ?? [])] }),
      async migrate() {
        await applyMigrations({ driver, schema, logger, clock });
      },
    }),
    ...calls.checked(createResults(awaited, clock)),
    schedules: calls.awaited(createSchedules(session, clock)),
    operations: calls.awaited(createOperations(session, runner)),

    inTransaction(transaction) {
      calls.check();
      const guard = new TransactionGuard(transaction, ground);
      return clientInside(new Session({ executor: guard.reading, guard, schema, tasks, hooks }), calls, clock);
    },

    close,
    [Symbol.asyncDispose]: close,
  };
  giveOperatorAccess(client, createOperatorAccess({ session, calls, runner }));
  return client;
}

/** The methods that remove what is no longer needed, or wanted. */
function createRemovals(session: Session, ground: CleanUpGround): CleanUp & Erasing {
  return { ...createCleanUp(session, ground), ...createErasing(session, ground) };
}

/** The methods inside of a transaction. They are not waited for: such a call may last as long as the transaction. */
function clientInside(inside: Session, calls: OpenCalls, clock: Clock): TransactionClient {
  return {
    ...calls.checked({
      ...createAdds(inside),
      ...createManagement(inside),
      ...createControl(inside),
      ...createInspection(inside),
      ...createJobLogs(inside),
      ...createHistory(inside),
    }),
    schedules: calls.checked(createSchedules(inside, clock)),
  };
}

/** How the calls of a client wait for transactions of others. */
function createWaits({ driver, statementTimeoutMs = 30_000 }: ClientGround): AddWaits {
  const share = driver.share?.("waiting");
  // The server counts how long it waits for a lock by the machine's time, whatever a test makes of the client's clock.
  const lanes = new Lanes({
    clock: systemClock,
    timeoutMs: statementTimeoutMs,
    atOnce: Math.min(WAITING_AT_ONCE, (share ?? driver.capabilities)?.connections ?? WAITING_AT_ONCE),
    isHeld: (error) => sqlStateOf(error) === LOCK_TIMEOUT_STATE,
  });
  return { lanes, clock: systemClock, executor: share ?? driver };
}

/** What {@link clientOver} stands on. */
export interface ClientGround {
  readonly driver: Driver;
  /** Where lists and counts are read, closed with the client. Default: `driver`. */
  readonly readDriver?: Driver | undefined;
  /** Whether the driver is closed with the client. Default false: that is left to the caller. */
  readonly ownsDriver?: boolean | undefined;
  readonly schema: Schema;
  readonly logger: Logger;
  /** The tasks that may be added; `undefined` for any. */
  readonly tasks?: TaskRegistry | undefined;
  /** Those who have a say in what is added. */
  readonly hooks?: HookEmitter | undefined;
  /** Identifiers that clean-up always spares, beside those of `tasks`. */
  readonly keepTasks?: readonly string[] | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** How long a call may wait for transactions of others; 0 means for ever. Default 30 seconds. */
  readonly statementTimeoutMs?: number;
}

/** The calls that have to wait for transactions of others, and try again at the same time, at most. */
const WAITING_AT_ONCE = 3;

/** A lock was not available in the time that was allowed for it. */
const LOCK_TIMEOUT_STATE = "55P03";
