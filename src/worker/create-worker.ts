import { clientOver } from "../client/create-client.ts";
import { toHowdahError } from "../postgres/database-error.ts";
import { openConnection, schemaNameOf, type Connection } from "../client/connection.ts";
import { HowdahError } from "../errors.ts";
import { createHooks } from "../hooks/hooks.ts";
import { registerHooks } from "../hooks/plugin.ts";
import { HeldJobs } from "../job/held-jobs.ts";
import { Identity } from "../job/identity.ts";
import { JobNotes } from "../job/job-notes.ts";
import { Refusals } from "../job/recover/refusals.ts";
import { Reporter } from "../job/reporter.ts";
import { StoredTasks } from "../job/stored-tasks.ts";
import type { AnyTask } from "../job/task.ts";
import { createTaskRegistry, gatherSizesOf, type TaskRegistry } from "../job/task-registry.ts";
import type { WorkerContext, WorkerSettings } from "../job/worker-context.ts";
import { applyMigrations } from "../postgres/apply-migrations.ts";
import { warnOfSkew } from "../postgres/clock-skew.ts";
import type { Driver } from "../postgres/driver.ts";
import { createStatements } from "../postgres/queries/statements.ts";
import { reachDatabase } from "../postgres/reach-database.ts";
import { createSchema } from "../postgres/schema.ts";
import { readSchemaRevision } from "../postgres/schema-revision.ts";
import { systemClock } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { declareRules, limitsOf } from "./declared-rules.ts";
import { readWorkerOptions, type ReadWorkerOptions, type StateOf, type WorkerOptionsFor } from "./options.ts";
import { prepareRecurringJobs } from "./recurring-jobs.ts";
import { HowdahWorker, type Worker } from "./worker.ts";

/**
 * Checks the options, connects, brings the schema up to date, registers the
 * tasks, and returns a worker that does not run yet. Rejects for what waiting
 * cannot mend: `HOWDAH_OPTION_UNKNOWN`, `HOWDAH_OPTION_INVALID`,
 * `HOWDAH_TASK_DUPLICATE`, `HOWDAH_DATABASE_UNREACHABLE` after
 * `connectTimeout`, `HOWDAH_DATABASE_FORBIDDEN`, `HOWDAH_DATABASE_UNSUPPORTED`,
 * `HOWDAH_SCHEMA_MISSING`, `HOWDAH_SCHEMA_TOO_NEW`, `HOWDAH_SCHEMA_FOREIGN`,
 * `HOWDAH_SCHEMA_DAMAGED`,
 * `HOWDAH_CRON_INVALID`, `HOWDAH_POOL_UNKNOWN` and `HOWDAH_PLUGIN_FAILED`.
 */
export async function createWorker<
  State = unknown,
  Tasks extends readonly AnyTask[] = readonly AnyTask<State>[],
  Given extends StateOf<Tasks> = StateOf<Tasks>,
>(options: WorkerOptionsFor<Tasks, Given>): Promise<Worker> {
  const read = readWorkerOptions(options);
  const { logger } = read;
  const clock = read.clock ?? systemClock;
  const schema = createSchema(schemaNameOf(read));
  const hooks = createHooks({ logger, clock, interceptorTimeoutMs: read.interceptorTimeoutMs });
  const tasks = readTasks(read, logger);
  await registerHooks(hooks, read);
  const recurring = await prepareRecurringJobs(read, tasks, logger);
  const connection = openConnection(read, clock, "howdah worker");
  const closing = new AbortController();
  const { driver } = connection;
  const context = createContext(read, { clock, schema, hooks, tasks, driver, closed: closing.signal });
  try {
    await connect(context, read, connection);
  } catch (error) {
    if (connection.owned) await driver.close();
    throw toHowdahError(error, schema);
  }
  const worker = new HowdahWorker(context, { connection, recurring, closing });
  hooks.attach(context.client, worker);
  hooks.emit("workerInit", { workerId: worker.id, schema: schema.name, concurrency: read.concurrency });
  return worker;
}

/** Waits for the database, brings its schema up to date, and registers the tasks. */
async function connect(context: WorkerContext, read: ReadWorkerOptions, { target }: Connection): Promise<void> {
  const { clock, driver, logger, schema, storedTasks } = context;
  const reading = await reachDatabase({ driver, clock, timeoutMs: read.connectTimeoutMs, target }, async () => {
    if (read.migrate) await applyMigrations({ driver, schema, logger, clock });
    else await readSchemaRevision({ driver, schema });
    await storedTasks.register();
    await declareRules(context, [...limitsOf(read.tasks ?? []), ...(read.queues ?? [])]);
  });
  // A clock that was passed is a test's, and shows what the test wants.
  if (read.clock === undefined) warnOfSkew(logger, reading);
}

type Ground = Pick<WorkerContext, "clock" | "schema" | "hooks" | "tasks" | "driver" | "closed">;

/** What every part of the worker stands on. */
function createContext(read: ReadWorkerOptions, ground: Ground): WorkerContext {
  const { clock, schema, hooks, tasks, driver } = ground;
  const { logger, statementTimeoutMs } = read;
  const isRegistered = read.recovery !== undefined;
  const { identifiers } = tasks;
  const held = new HeldJobs();
  const identity = new Identity(clock, held, { isRegistered });
  const reporter = new Reporter(hooks, logger, identity);
  return {
    ...ground,
    logger,
    statements: createStatements(driver, schema, isRegistered),
    client: clientOver({ driver, schema, logger, clock, hooks, keepTasks: identifiers, statementTimeoutMs }),
    settings: toSettings(read, driver, tasks),
    storedTasks: new StoredTasks({ driver, schema, clock, logger, tasks: tasks.settings }),
    identity,
    reporter,
    notes: new JobNotes({ ...ground, reporter }),
    held,
    refusals: new Refusals(),
    random: Math.random,
  };
}

function toSettings(read: ReadWorkerOptions, driver: Driver, tasks: TaskRegistry): WorkerSettings {
  return {
    ...read,
    gatherSizes: gatherSizesOf(tasks),
    forbiddenFlags: read.forbiddenFlags ?? [],
    localQueue: usableLocalQueue(read),
    // A job that is read ahead was claimed with the flags of then.
    readAhead: read.readAhead && typeof read.forbiddenFlags !== "function",
    useNotificationDelivery: canListen(read, driver),
    settledMs: settledAfter(read),
  };
}

/** A statement that runs out of time on the server has spent some on its way there, however little it may take. */
const LEAST_SETTLED_MS = 5_000;

/** For statements without a limit, and for a driver of the application's own: its limits are not known here. */
const SETTLED_MS = 60_000;

function settledAfter({ driver, statementTimeoutMs }: ReadWorkerOptions): number {
  if (driver || statementTimeoutMs === 0) return SETTLED_MS;
  return Math.max(LEAST_SETTLED_MS, 2 * statementTimeoutMs);
}

function readTasks({ tasks, invalidPayload }: ReadWorkerOptions, logger: Logger): TaskRegistry {
  if (tasks === undefined || tasks.length === 0) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      "Worker option `tasks` must hold at least one task, made by defineTask() or defineBatchTask().",
    );
  }
  return createTaskRegistry(tasks, {
    invalidPayload,
    onFault: (error, { job }) =>
      logger.error("The retry policy of a task failed; the default policy was used", {
        task: job.task,
        job: job.id,
        error: errorMessage(error),
      }),
  });
}

/** A driver that cannot listen leaves a worker to polling, which it says once. */
function canListen({ useNotificationDelivery, pollIntervalMs, logger }: ReadWorkerOptions, driver: Driver): boolean {
  if (driver.capabilities?.listen !== false || !useNotificationDelivery) return useNotificationDelivery;
  logger.warn("The driver cannot listen, so this worker polls for new jobs", { pollInterval: pollIntervalMs });
  return false;
}

/** A cached job was fetched with the flags of then, so a worker with forbidden flags has no cache. */
function usableLocalQueue({ localQueue, forbiddenFlags = [], logger }: ReadWorkerOptions) {
  if (!localQueue || (typeof forbiddenFlags !== "function" && forbiddenFlags.length === 0)) return localQueue;
  logger.warn("The local queue is off because this worker has forbidden flags");
  return undefined;
}
