import { availableParallelism } from "node:os";
import { CONNECTION_OPTIONS, type ConnectionOptions } from "../client/connection.ts";
import { type CronEntry, type CronOptions, readCronEntry } from "../cron/cron.ts";
import { parseCrontab } from "../cron/crontab.ts";
import type { HookHandlers } from "../hooks/emitter.ts";
import type { Plugin } from "../hooks/plugin.ts";
import type { ForbiddenFlags } from "../job/claim/claim-plan.ts";
import { checkLocalQueue, LOCAL_QUEUE, type LocalQueueOptions } from "../job/claim/local-queue/options.ts";
import { RECOVERY, toRecoverySettings, type RecoveryOptions, type RecoverySettings } from "../job/recover/options.ts";
import { CONNECTION_PEER_NAMES, WORKER_PEER_NAMES, WORKER_SPELLINGS } from "../job/peer-names.ts";
import type { QueueRules } from "../job/queue-rules.ts";
import type { AnyTask } from "../job/task.ts";
import type { InvalidPayloadPolicy } from "../job/task-declaration.ts";
import { INVALID_PAYLOAD_POLICIES } from "../job/read-task.ts";
import { CONNECTION_STRING } from "../postgres/connection-string.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Duration } from "../runtime/duration.ts";
import type { Logger } from "../runtime/logger.ts";
import { LOGGER } from "../runtime/logger-option.ts";
import { boolean, custom, duration, integer, list, object, oneOf, required, string } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, readOptions, type OptionPlace, type OptionsOf } from "../runtime/options.ts";
import { readDeclaredRules } from "./declared-rules.ts";
import { type Polling, POLLING, toPolling } from "./polling.ts";
import { SHUTDOWN, type ShutdownOptions } from "./shutdown-options.ts";
import { checkTaskConcurrency, TASK_CONCURRENCY, type TaskConcurrency } from "./task-concurrency.ts";

/** Asks for `state` when the tasks of a worker need one; `undefined` has to be among what they take to leave it out. */
export type StateOption<State, Given = State> = undefined extends State
  ? { readonly state?: Given | undefined }
  : { readonly state: Given };

/** What a worker can be told. */
export interface WorkerOptions<State = unknown> extends ConnectionOptions {
  /** What it can run. At least one; a duplicate identifier is an error. */
  readonly tasks: readonly AnyTask<NoInfer<State>>[];
  /** How many jobs run at once, at least 1. Default: the number of cores. */
  readonly concurrency?: number | undefined;
  /** `concurrency`, as graphile-worker spells it. */
  readonly concurrentJobs?: number | undefined;
  /**
   * How many jobs of a task this worker runs at once, at least 1, by the
   * identifiers of its tasks: `{ render: 2 }`. Other workers have limits of their
   * own; for one across all workers there are rules of queues. Default: `concurrency`.
   */
  readonly taskConcurrency?: Readonly<Record<string, number>> | undefined;
  /**
   * After so long a job no longer waits for all of better priorities: of the places of
   * claims, one in eight is for the priority, behind the best one that has due jobs, whose
   * first due job has waited longest, if it has waited for longer than this. 100 ms or
   * more. Default: off.
   */
  readonly priorityAging?: Duration | undefined;
  /** How many of the connections are for what handlers do with `query` and `withTransaction`. Default: two of ten. */
  readonly handlerConnections?: number | undefined;
  /**
   * How often to look for jobs without a notification. `"adaptive"`: every
   * second, until no job has run for `idleTimeout`; then the worker goes idle. It
   * leaves the register of workers and sends nothing to the database, but keeps
   * listening: a notification, a job that becomes due and the end of its session
   * make it active again. Needs notifications and `recovery`. Default 1s.
   */
  readonly pollInterval?: Duration | "adaptive" | undefined;
  /** With adaptive polling: how long the worker has no job before it goes idle. 100 ms or more. Default 5m. */
  readonly idleTimeout?: Duration | undefined;
  /**
   * With adaptive polling: how often an idle worker looks for jobs of which no
   * notification has arrived, and for other workers that have died. A job that is
   * scheduled while all workers are idle may start so late, because it notifies
   * none. 100 ms or more. Default 5m.
   */
  readonly idlePollInterval?: Duration | undefined;
  /**
   * Claims jobs in batches and holds them in memory until a slot is free, for
   * many small jobs. `true` for the defaults. Default: off. A worker with
   * forbidden flags claims directly all the same.
   */
  readonly localQueue?: boolean | LocalQueueOptions | undefined;
  /**
   * Without a local queue: claims jobs without a queue ahead of the slots while
   * claims come back full and handlers are quick. What has not started after 50
   * ms goes back. `false` to lock nothing that does not start at once. Default
   * true; without effect where there is one slot, in `runOnce()`, and where
   * `forbiddenFlags` is a function.
   */
  readonly readAhead?: boolean | undefined;
  /**
   * The most bytes of payloads that a claim brings, unless its first job alone
   * is larger: local queues hold no more ahead. Default 16777216, which is 16 MiB.
   */
  readonly maxClaimBytes?: number | undefined;
  /** Leaves jobs alone that carry one of these flags. A function is asked before each claim. */
  readonly forbiddenFlags?: ForbiddenFlags | undefined;
  /** Collects completed jobs for so long before they are deleted. Default: only while a statement is under way. */
  readonly completeJobBatchDelay?: Duration | undefined;
  /** Collects failed jobs for so long before they are written. Default: only while a statement is under way. */
  readonly failJobBatchDelay?: Duration | undefined;
  /** Listens for new jobs. Off, they are found by polling only. Default true. */
  readonly useNotificationDelivery?: boolean | undefined;
  /** Listens here instead, when `connectionString` leads through a transaction pooler. */
  readonly listenConnectionString?: string | undefined;
  /** Jobs that recur, one a line, as `docs/reference/crontab.md` describes. */
  readonly crontab?: string | undefined;
  /** Jobs that recur, made by `cron()` or `parseCrontab()`; they come on top of `crontab`. */
  readonly crons?: readonly (CronEntry | CronOptions)[] | undefined;
  /**
   * Rules of queues, by their names, or by what names begin with and an asterisk. They are stored when the worker
   * is created, unless a call of `setQueueRules` has set others, and count for every worker. What a newer
   * deployment declares replaces them; `setQueueRules(pattern, null)` takes them away when none declares them.
   */
  readonly queues?: Readonly<Record<string, QueueRules>> | undefined;
  /**
   * What becomes of a stored job whose payload does not fit the schema of its
   * task: `fail` for good at once, or `retry` like any failed job. A task may
   * say otherwise. Default `fail`.
   */
  readonly invalidPayload?: InvalidPayloadPolicy | undefined;
  /** Given to every handler as `context.state`. */
  readonly state?: State | undefined;
  /** Observers and interceptors by their name. */
  readonly hooks?: Readonly<Partial<HookHandlers>> | undefined;
  /** Registered in this order, after `hooks`. */
  readonly plugins?: readonly Plugin[] | undefined;
  /** How long an interceptor may take to answer. Default 5s. */
  readonly interceptorTimeout?: Duration | undefined;
  /** Default: `consoleLogger()`, which writes to stderr. */
  readonly logger?: Logger | undefined;
  /**
   * Finds out when workers of this schema die, and gives their jobs back. `false`
   * for none of it: this worker is not watched, and what it holds when it is
   * killed stays locked for hours. Default: on.
   */
  readonly recovery?: boolean | RecoveryOptions | undefined;
  /**
   * Takes a sample of the jobs every ten seconds, by one of all workers, and
   * counts what handlers do, for `client.listSamples()`. Default true; without
   * effect in `runOnce()`.
   */
  readonly samples?: boolean | undefined;
  readonly shutdown?: ShutdownOptions | undefined;
  /** Default: the machine's time. Tests pass a manual one. */
  readonly clock?: Clock | undefined;
}

/** The options of a worker with these tasks, whose `state` has what they need, and may have more. */
export type WorkerOptionsFor<Tasks extends readonly AnyTask[], Given = StateOf<Tasks>> = Omit<
  WorkerOptions,
  "tasks" | "state"
> & { readonly tasks: Tasks } & StateOption<StateOf<Tasks>, Given>;

/**
 * The state that all of these tasks can do with: what one of them needs, the
 * state has. Asked of `state`, and not of the tasks, so that the compiler names
 * the property that is missing or wrong.
 */
export type StateOf<Tasks extends readonly AnyTask[]> = (
  Tasks[number] extends infer One ? (One extends AnyTask<infer State> ? (state: State) => void : never) : never
) extends (state: infer Needed) => void
  ? Needed
  : never;

const SHAPE = {
  ...CONNECTION_OPTIONS,
  tasks: custom(readTaskList),
  concurrency: integer({ min: 1, default: availableParallelism() }),
  taskConcurrency: TASK_CONCURRENCY,
  priorityAging: duration({ min: 100 }),
  handlerConnections: integer({ min: 1 }),
  ...POLLING,
  localQueue: LOCAL_QUEUE,
  readAhead: boolean({ default: true }),
  maxClaimBytes: integer({ min: 1, default: 16 * 1024 * 1024 }),
  forbiddenFlags: custom<ForbiddenFlags>(readForbiddenFlags),
  completeJobBatchDelay: duration({ default: 0 }),
  failJobBatchDelay: duration({ default: 0 }),
  useNotificationDelivery: boolean({ default: true }),
  listenConnectionString: CONNECTION_STRING,
  crontab: custom((given) => parseCrontab(given as string)),
  queues: custom(readDeclaredRules),
  crons: list(required(custom((given, place) => readCronEntry(place, given)))),
  invalidPayload: oneOf(INVALID_PAYLOAD_POLICIES, { default: "fail" }),
  state: custom((given) => given),
  hooks: object<NonNullable<WorkerOptions["hooks"]>>(),
  plugins: list(required(object<Plugin>(["register"]))),
  interceptorTimeout: duration({ min: 1, default: "5s" }),
  logger: LOGGER,
  recovery: RECOVERY,
  samples: boolean({ default: true }),
  shutdown: SHUTDOWN,
  clock: object<Clock>(["now", "monotonic", "setTimer", "sleep"]),
};

const HINTS = { ...CONNECTION_PEER_NAMES, ...WORKER_PEER_NAMES };

/** Read {@link WorkerOptions}. */
export type ReadWorkerOptions = Omit<OptionsOf<typeof SHAPE>, "recovery" | "taskConcurrency"> &
  Polling & {
    /** `undefined` when no task is limited. */
    readonly taskConcurrency: TaskConcurrency | undefined;
    /** `undefined` when it is off. */
    readonly recovery: RecoverySettings | undefined;
  };

/** Checks worker options and fills in defaults. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`. */
export function readWorkerOptions<State>(options: WorkerOptions<State>): ReadWorkerOptions {
  const given = readOptions({ owner: "worker", hints: HINTS, spellings: WORKER_SPELLINGS }, options, SHAPE);
  const taskConcurrency = checkTaskConcurrency(given.taskConcurrency, given.tasks ?? []);
  const read = { ...given, taskConcurrency, recovery: toRecoverySettings(given.recovery) };
  const polling = toPolling(read);
  if (read.localQueue) checkLocalQueue(read.localQueue, polling.pollIntervalMs);
  return { ...read, ...polling };
}

/** What is in the list is checked where it is made findable. */
function readTaskList(given: unknown, place: OptionPlace): readonly AnyTask[] {
  if (Array.isArray(given)) return given;
  const hint = isOptionsObject(given) ? ": `defineTasks()` makes one of an object with handlers" : "";
  throw invalidOption(place, `must be a list of tasks made by defineTask() or defineBatchTask()${hint}`, given);
}

const FLAGS = list(required(string({ maxLength: 128 })));

function readForbiddenFlags(given: unknown, place: OptionPlace): ForbiddenFlags {
  return typeof given === "function" ? (given as ForbiddenFlags) : FLAGS.read(given, place);
}
