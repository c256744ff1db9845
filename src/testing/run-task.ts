import type { Client } from "../client/client.ts";
import { HowdahError } from "../errors.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import type { Job, JobLogLine, JobSpec } from "../job/job.ts";
import type { Ending, Outcome } from "../job/outcome.ts";
import { INVALID_PAYLOAD_POLICIES } from "../job/read-task.ts";
import { createTaskRegistry } from "../job/task-registry.ts";
import type { AnyTask, BatchTask, GatherTask, Task } from "../job/task.ts";
import type { InvalidPayloadPolicy } from "../job/task-declaration.ts";
import type { Driver } from "../postgres/driver.ts";
import { systemClock, type Clock } from "../runtime/clock.ts";
import type { Duration } from "../runtime/duration.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { silentLogger } from "../runtime/logger.ts";
import { LOGGER } from "../runtime/logger-option.ts";
import { boolean, custom, duration, integer, object, oneOf, string } from "../runtime/option-kinds.ts";
import { readOptions, type OptionsOf } from "../runtime/options.ts";
import { claimLoneJob } from "./lone-job.ts";
import { LoneAttempt } from "./lone-attempt.ts";
import { createLoneContext, withoutCompletion } from "./create-lone-context.ts";
import { copyOfJob, type RanJob } from "./ran-job.ts";
import { RecordedAdds } from "./recorded-adds.ts";
import { RecordedNotes } from "./recorded-notes.ts";

/**
 * Runs one handler alone, as a worker would, without a database: the payload is
 * checked by the schema of the task and goes through JSON, and the handler is
 * given a context with the job, its attempt, a signal, a logger and the state.
 * Resolves with how the attempt ended and what a worker would do then, whatever
 * the handler throws, and however long it hangs after its timeout.
 *
 * Rejects as `addJob` does for what cannot be added, and with
 * `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID` for the options.
 */
export function runTask<State>(
  task: AnyTask<State>,
  stored: unknown,
  options: RunTaskOptions<NoInfer<State>> & { readonly asStored: true } & RunTaskState<State>,
): Promise<TaskRun>;
/** Runs the handler of a batch task alone, with these items. */
export function runTask<Input, Output, State>(
  task: BatchTask<Input, Output, State>,
  items: readonly NoInfer<Input>[],
  ...options: RunTaskArguments<NoInfer<State>>
): Promise<TaskRun>;
/** Runs the handler of a task that gathers jobs, with one job of this payload. */
export function runTask<Input, Output, State>(
  task: GatherTask<Input, Output, State>,
  payload: NoInfer<Input>,
  ...options: RunTaskArguments<NoInfer<State>>
): Promise<TaskRun>;
/** Runs the handler of a task alone, with this payload. */
export function runTask<Input, Output, State>(
  task: Task<Input, Output, State>,
  payload: NoInfer<Input>,
  ...options: RunTaskArguments<NoInfer<State>>
): Promise<TaskRun>;
export async function runTask(task: AnyTask, payload: unknown, options: RunTaskOptions = {}): Promise<TaskRun> {
  const read = readOptions("runTask", options, SHAPE);
  const clock = read.clock ?? systemClock;
  const logger = options.logger === undefined ? silentLogger : read.logger;
  // Checks the task first, whatever is wrong with the payload.
  const tasks = createTaskRegistry([withoutCompletion(task)], {
    // The longest delay of a policy, so that a test can say which one it expects.
    random: () => 0,
    invalidPayload: read.invalidPayload,
    onFault: (error) => logger.error("The retry policy of the task failed", { error: errorMessage(error) }),
  });
  const job = await claimLoneJob(task, payload, { ...read, clock });
  const recorded = new RecordedAdds(clock);
  const notes = new RecordedNotes(clock);
  const context = createLoneContext({ ...read, clock, logger, tasks, notes, client: read.client ?? recorded.client });
  const attempt = new LoneAttempt(job, context);
  const ended = attempt.run();
  const stopWatching = watch(attempt, read, clock);
  const ending = await ended;
  stopWatching();
  return {
    ...describe(ending, clock),
    added: recorded.jobs,
    progress: notes.values,
    logged: notes.lines,
    isLeftBehind: context.isLeftBehind || attempt.isAbandoned,
  };
}

/** What {@link runTask} can be told. Everything is optional but a `state` that the handler needs. */
export interface RunTaskOptions<State = unknown> {
  /** Given to the handler as `context.state`. */
  readonly state?: State | undefined;
  /** What `addJob` would be told; it comes on top of the defaults of the task. */
  readonly spec?: JobSpec | undefined;
  /** Which attempt this is. Default 1; at `maxAttempts`, which is 25 by default, it is the last one. */
  readonly attempt?: number | undefined;
  /** `job.lastError`: what the attempt before failed with. */
  readonly lastError?: string | undefined;
  /**
   * Takes the payload for one that is stored already, by an older release
   * perhaps: it is not checked as `addJob` does, and one that does not fit the
   * schema is a failed attempt. Default false.
   */
  readonly asStored?: boolean | undefined;
  /** What becomes of such a job, as the option of a worker says it. Default `fail`. */
  readonly invalidPayload?: InvalidPayloadPolicy | undefined;
  /** Given to the handler as `context.client`. Default: one that keeps what is added in `added` and can do nothing else. */
  readonly client?: Client | undefined;
  /** Behind `context.query` and `context.withTransaction`. Default: none, and they reject. */
  readonly driver?: Driver | undefined;
  /** Behind `context.logger`. Default: `silentLogger`. */
  readonly logger?: Logger | undefined;
  /** Moves timeouts, and is the time at which the job is added. Default: the machine's time. */
  readonly clock?: Clock | undefined;
  /** Cancels the job when it is aborted. */
  readonly cancelled?: AbortSignal | undefined;
  /** Shuts the worker down when it is aborted; its grace period is over then. */
  readonly shutdown?: AbortSignal | undefined;
  /** How long the handler may take after its signal was aborted, before it is left behind. Default 1s. */
  readonly abortPeriod?: Duration | undefined;
}

/** Asks for `state` when the handler needs one. */
export type RunTaskState<State> = undefined extends State ? unknown : { readonly state: State };

/** The options of {@link runTask} as its last argument, which may be left out unless the handler needs a state. */
export type RunTaskArguments<State> = undefined extends State
  ? [options?: RunTaskOptions<State>]
  : [options: RunTaskOptions<State> & { readonly state: State }];

/** How a handler that {@link runTask} ran has ended. */
export interface TaskRun extends RanJob {
  /** The items of a batch that failed, which are all that the next attempt is given. */
  readonly remaining: readonly unknown[] | undefined;
  /** What the handler has added, in order, as it would have been stored; in transactions, too, whatever became of them. */
  readonly added: readonly Job[];
  /** What the handler has said of how far it is, in order. */
  readonly progress: readonly unknown[];
  /** What it has logged with `context.log`, in order; a worker keeps it if the task has `logs`. */
  readonly logged: readonly JobLogLine[];
  /** The handler did not stop when it was told to, and still runs. */
  readonly isLeftBehind: boolean;
}

const SHAPE = {
  state: custom((given) => given),
  spec: custom((given) => given as JobSpec),
  attempt: integer({ min: 1, max: 32_767, default: 1 }),
  lastError: string(),
  asStored: boolean({ default: false }),
  invalidPayload: oneOf(INVALID_PAYLOAD_POLICIES, { default: "fail" }),
  client: object<Client>(["addJob"]),
  driver: object<Driver>(["query", "transaction"]),
  logger: LOGGER,
  clock: object<Clock>(["now", "monotonic", "setTimer", "sleep"]),
  cancelled: object<AbortSignal>(["addEventListener", "removeEventListener"]),
  shutdown: object<AbortSignal>(["addEventListener", "removeEventListener"]),
  abortPeriod: duration({ default: "1s" }),
};

/** Read {@link RunTaskOptions}. */
type ReadOptions = OptionsOf<typeof SHAPE>;

/** Tells the handler to stop when a signal says so. Returns a function that ends that. */
function watch(attempt: LoneAttempt, { cancelled, shutdown, abortPeriodMs }: ReadOptions, clock: Clock): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  const when = (told: AbortSignal | undefined, act: () => void): void => {
    if (told?.aborted) act();
    else told?.addEventListener("abort", act, { once: true, signal });
  };
  when(cancelled, () => attempt.cancel(cancelReason(cancelled)));
  when(shutdown, () => {
    attempt.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "The worker is shutting down."));
    const timer = clock.setTimer(abortPeriodMs, () => attempt.abandon());
    signal.addEventListener("abort", () => timer.cancel(), { once: true });
  });
  return () => ended.abort();
}

function cancelReason(cancelled: AbortSignal | undefined): string {
  const reason: unknown = cancelled?.reason;
  return typeof reason === "string" ? reason : "Cancelled";
}

function describe(
  { job, outcome, durationMs }: Ending,
  clock: Clock,
): Omit<TaskRun, "added" | "progress" | "logged" | "isLeftBehind"> {
  const { task, payload } = job;
  const ran = { task, payload, job: copyOfJob(job), durationMs };
  return { ...ran, ...NOTHING, ...said(outcome, job, clock) };
}

const NOTHING = { retryAt: undefined, error: undefined, message: undefined, remaining: undefined };

type Said = Pick<TaskRun, "outcome" | "next"> & Partial<TaskRun>;

function said(outcome: Outcome, job: ClaimedJob, clock: Clock): Said {
  const again = (delayMs: number) =>
    ({ next: "again", retryAt: new Date(Math.max(clock.now(), job.runAt.getTime()) + delayMs) }) as const;
  switch (outcome.kind) {
    case "completed":
      return { outcome: "completed", next: "done" };
    case "failed": {
      const { error, message, payload } = outcome;
      const remaining = payload === undefined ? undefined : (JSON.parse(payload) as unknown[]);
      const then = outcome.final ? ({ next: "failed" } as const) : again(outcome.delayMs);
      return { outcome: "failed", error, message, remaining, ...then };
    }
    case "snoozed":
      return { outcome: "snoozed", ...again(outcome.delayMs) };
    case "cancelled":
      return { outcome: "cancelled", next: "failed", message: outcome.reason };
    case "interrupted":
      return { outcome: "interrupted", ...again(outcome.delayMs) };
    case "returned":
    case "undecided":
      // No attempt without a database is either: it was started, and cannot complete its job in a transaction.
      throw new HowdahError("HOWDAH_UNEXPECTED", `runTask() cannot run a job that is ${outcome.kind}.`);
    default:
      return outcome satisfies never;
  }
}
