import { clientOver } from "../client/create-client.ts";
import { toHowdahError } from "../postgres/database-error.ts";
import { openConnection, schemaNameOf } from "../client/connection.ts";
import { CronRunner } from "../cron/cron-runner.ts";
import { createCronStore } from "../cron/cron-store.ts";
import type { RecurringJob } from "../cron/recurring-job.ts";
import { HowdahError } from "../errors.ts";
import { createHooks, type HookEmitter } from "../hooks/hooks.ts";
import { registerHooks } from "../hooks/plugin.ts";
import { HeldJobs } from "../job/held-jobs.ts";
import { Interventions } from "../job/interventions.ts";
import type { WorkerContext, WorkerSettings } from "../job/worker-context.ts";
import { createTaskRegistry, type TaskRegistry } from "../job/task-registry.ts";
import type { Driver } from "../postgres/driver.ts";
import { warnOfSkew } from "../postgres/clock-skew.ts";
import { applyMigrations } from "../postgres/apply-migrations.ts";
import { LostClaims } from "../job/recover/lost-claims.ts";
import { Refusals } from "../job/recover/refusals.ts";
import { createStatements } from "../postgres/queries/statements.ts";
import { readControl } from "../postgres/queries/control.ts";
import { reachDatabase } from "../postgres/reach-database.ts";
import { deafError } from "../postgres/pooler.ts";
import { createSchema, type Schema } from "../postgres/schema.ts";
import { readSchemaRevision } from "../postgres/schema-revision.ts";
import { systemClock } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { watchLoopDelay } from "../runtime/loop-delay.ts";
import type { Logger } from "../runtime/logger.ts";
import { Control } from "./control.ts";
import { Engine } from "./engine.ts";
import { Identity } from "../job/identity.ts";
import { startListener } from "./listener.ts";
import { readWorkerOptions, type ReadWorkerOptions, type StateOption, type WorkerOptions } from "./options.ts";
import { prepareRecurringJobs } from "./recurring-jobs.ts";
import { Presence } from "./presence.ts";
import { Reporter } from "../job/reporter.ts";
import { StoredTasks } from "./stored-tasks.ts";
import { assembleWorker, type Worker } from "./worker.ts";

/**
 * Checks the options, connects, brings the schema up to date, registers the
 * tasks, and returns a worker that does not run yet. Rejects for what cannot
 * get better by itself: `HOWDAH_OPTION_UNKNOWN`, `HOWDAH_OPTION_INVALID`,
 * `HOWDAH_TASK_DUPLICATE`, `HOWDAH_DATABASE_UNREACHABLE` after
 * `connectTimeout`, `HOWDAH_DATABASE_FORBIDDEN`, `HOWDAH_DATABASE_UNSUPPORTED`,
 * `HOWDAH_SCHEMA_MISSING`, `HOWDAH_SCHEMA_TOO_NEW`, `HOWDAH_SCHEMA_FOREIGN`,
 * `HOWDAH_SCHEMA_DAMAGED`,
 * `HOWDAH_CRON_INVALID` and `HOWDAH_PLUGIN_FAILED`.
 */
export async function createWorker<State = unknown>(
  options: WorkerOptions<State> & StateOption<State>,
): Promise<Worker> {
  const read = readWorkerOptions(options);
  const schema = createSchema(schemaNameOf(read));
  const logger = read.logger;
  const clock = read.clock ?? systemClock;
  const hooks = createHooks({ logger, clock, interceptorTimeoutMs: read.interceptorTimeoutMs });
  const tasks = readTasks(read, logger);
  await registerHooks(hooks, read);
  const recurring = await prepareRecurringJobs(read, tasks, logger);
  const { driver, owned, target } = openConnection(read, clock, "howdah worker");
  const close = owned ? () => driver.close() : () => Promise.resolve();
  try {
    const stored = new StoredTasks({ driver, schema, clock, logger, identifiers: tasks.identifiers });
    const reading = await reachDatabase({ driver, clock, timeoutMs: read.connectTimeoutMs, target }, async () => {
      if (read.migrate) await applyMigrations({ driver, schema, logger, clock });
      else await readSchemaRevision({ driver, schema });
      await stored.register();
    });
    // A clock that was passed is a test's, and shows what the test wants.
    if (read.clock === undefined) warnOfSkew(logger, reading);
    return build({
      read: withinCapabilities(read, driver),
      schema,
      logger,
      hooks,
      tasks,
      recurring,
      driver,
      target,
      stored,
      close,
    });
  } catch (error) {
    await close();
    throw toHowdahError(error, schema);
  }
}

interface Ground {
  readonly read: ReadWorkerOptions;
  readonly schema: Schema;
  readonly logger: Logger;
  readonly hooks: HookEmitter;
  readonly tasks: TaskRegistry;
  readonly recurring: readonly RecurringJob[];
  readonly driver: Driver;
  readonly target: string;
  /** Registered. */
  readonly stored: StoredTasks;
  close(): Promise<void>;
}

function build(ground: Ground): Worker {
  const { read, schema, logger, hooks, tasks, recurring, driver, target, stored, close } = ground;
  const clock = read.clock ?? systemClock;
  const { statementTimeoutMs } = read;
  const held = new HeldJobs();
  const identity = new Identity(clock, held, { isRegistered: read.recovery !== undefined });
  const reporter = new Reporter(hooks, logger, identity);
  const refusals = new Refusals();
  const client = clientOver({
    driver,
    schema,
    logger,
    clock,
    hooks,
    keepTasks: tasks.identifiers,
    statementTimeoutMs,
  });
  const localQueue = usableLocalQueue(read, logger);
  const closed = new AbortController();
  const context: WorkerContext = {
    clock,
    logger,
    hooks,
    driver,
    schema,
    statements: createStatements(driver, schema, read.recovery !== undefined),
    client,
    settings: toSettings(read, localQueue),
    tasks,
    identity,
    reporter,
    held,
    refusals,
    random: Math.random,
    closed: closed.signal,
  };
  const lostClaims = new LostClaims(context);
  let cron: CronRunner | undefined;
  let control: Control | undefined;
  let current: Engine | undefined;
  let presence: Presence | undefined;
  const worker = assembleWorker({
    identity,
    held,
    client,
    hooks,
    logger,
    clock,
    reporter,
    explain: (error) => toHowdahError(error, schema),
    description: {
      worker: identity.current,
      database: target,
      schema: schema.name,
      tasks: tasks.identifiers.join(","),
      concurrency: read.concurrency,
      source: localQueue ? "local queue" : "direct",
    },
    osSignals: read.shutdown.osSignals,
    signal: read.shutdown.signal,
    createEngine({ once, maxJobs }) {
      const interventions = new Interventions();
      const engine = new Engine({
        clock,
        tasks,
        reporter,
        hooks,
        maxJobs,
        interventions,
        identity,
        held,
        closed: closed.signal,
        localQueue: once ? undefined : localQueue,
        ...context.statements,
        taskIdentifiers: () => stored.identifiersById,
        tasksGone: () => stored.refresh(),
        surroundings: {
          logger,
          state: read.state,
          schema,
          driver,
          executor: driver.share?.("handlers") ?? driver,
          client,
        },
        concurrency: read.concurrency,
        pollIntervalMs: read.pollIntervalMs,
        forbiddenFlags: read.forbiddenFlags ?? [],
        maxClaimBytes: read.maxClaimBytes,
        completeDelayMs: read.completeJobBatchDelayMs,
        failDelayMs: read.failJobBatchDelayMs,
        contactTimeoutMs: read.recovery?.contactTimeoutMs ?? Number.POSITIVE_INFINITY,
        askAgain: () => control?.askAgain(),
        startUntil: () => presence?.startUntil ?? Number.POSITIVE_INFINITY,
        gracePeriodMs: read.shutdown.gracePeriodMs,
        abortPeriodMs: read.shutdown.abortPeriodMs,
        interruptedRetryMs: read.shutdown.interruptedJobRetryDelayMs,
      });
      current = engine;
      stored.changed = () => engine.claimer.forget();
      presence =
        read.recovery &&
        new Presence({
          settings: read.recovery,
          clock,
          driver,
          schema,
          hooks,
          logger,
          identity,
          reporter,
          engine,
          refusals,
          listens: !once && read.useNotificationDelivery,
          deaf() {
            cron?.listening(false);
            control?.listening(false);
            reporter.failure("hear of new jobs", deafError());
          },
          metadata: { tasks: tasks.identifiers, concurrency: read.concurrency },
        });
      control = new Control({
        clock,
        logger,
        schema: schema.name,
        tasks: tasks.identifiers,
        interventions,
        workerId: () => identity.current,
        held,
        read: (jobIds) => readControl({ executor: driver, schema }, jobIds),
        intervene: () => engine.withdrawals.intervene(),
        confirmed: (jobs, locks, askedAt) => engine.confirm(jobs, locks, askedAt),
        giveBack: (jobs) => engine.giveBackCached(jobs),
        tasksChanged() {
          engine.claimer.forget();
          engine.source.distrust();
        },
        failed: (error) => reporter.failure("ask what was cancelled or paused", error),
      });
      return engine;
    },
    startListener(engine) {
      if (!read.useNotificationDelivery) return undefined;
      return startListener({
        driver,
        clock,
        schema: schema.name,
        announced: (notification) => engine.source.pulse(notification),
        schedulesChanged: () => cron?.schedulesChanged(),
        controlled: (payload) => control?.notified(payload),
        heard: (channel) => presence?.heard(channel),
        up(session) {
          presence?.up(session);
          engine.source.distrust();
          engine.reconnected();
          cron?.listening(true);
          control?.listening(true);
        },
        down(error) {
          presence?.down();
          cron?.listening(false);
          control?.listening(false);
          reporter.failure("listen for new jobs, and polls for them", error);
        },
      });
    },
    presence: () => presence,
    unrecovered: () => refusals.jobs,
    startControl: ({ once }) => control?.start({ asksFirst: !once && !read.useNotificationDelivery }),
    startChores({ once }) {
      lostClaims.start();
      const endDelays = watchLoopDelay({
        // The event loop is that of the process, whatever clock the worker was given.
        clock: systemClock,
        busy: () => current?.busyTasks() ?? [],
        blocked: (blockedMs, busy) => reporter.blocked(blockedMs, busy),
      });
      const endIdentity = (): Promise<void> => {
        endDelays();
        return lostClaims.stop();
      };
      if (once) return endIdentity;
      const started = new CronRunner({
        clock,
        hooks,
        logger,
        entries: recurring,
        tasks: tasks.identifiers,
        workerId: () => identity.current,
        store: createCronStore(driver, schema),
        failed: (activity, error) => reporter.failure(activity, error),
      });
      cron = started;
      const ends = [stored.startWarning(), endIdentity, () => started.stop()];
      return async () => {
        await Promise.all(ends.map((end) => end()));
      };
    },
    async close() {
      closed.abort();
      await client.close();
      await close();
    },
  });
  hooks.emit("workerInit", { workerId: identity.current, schema: schema.name, concurrency: read.concurrency });
  return worker;
}

function toSettings(read: ReadWorkerOptions, localQueue: WorkerSettings["localQueue"]): WorkerSettings {
  return { ...read, localQueue, forbiddenFlags: read.forbiddenFlags ?? [], settledMs: settledAfter(read) };
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
function withinCapabilities(read: ReadWorkerOptions, driver: Driver): ReadWorkerOptions {
  if (driver.capabilities?.listen !== false || !read.useNotificationDelivery) return read;
  read.logger.warn("The driver cannot listen, so this worker polls for new jobs", {
    pollInterval: read.pollIntervalMs,
  });
  return { ...read, useNotificationDelivery: false };
}

/** A cached job was fetched with the flags of then, so a worker with forbidden flags has no cache. */
function usableLocalQueue({ localQueue, forbiddenFlags = [] }: ReadWorkerOptions, logger: Logger) {
  if (!localQueue || (typeof forbiddenFlags !== "function" && forbiddenFlags.length === 0)) return localQueue;
  logger.warn("The local queue is off because this worker has forbidden flags");
  return undefined;
}
