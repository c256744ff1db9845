import type { JobContext } from "./execute/context.ts";
import type { GatherContext, GatheredJob, GatherOutcome } from "./execute/gather-context.ts";
import type { Directive, DIRECTIVE } from "./directive.ts";
import { checkTask } from "./read-task.ts";
import { withLimitQueue } from "./task-limit.ts";
import type { BatchTaskDeclaration, GatherOptions, TaskDeclaration } from "./task-declaration.ts";
import { invalidOption, isOptionsObject } from "../runtime/options.ts";

/** A task whose jobs have one payload each. `Input` is what is added, `Output` what the handler gets. */
export interface Task<Input = unknown, Output = Input, State = unknown, Result = void> extends TaskDeclaration<
  Input,
  Output
> {
  /**
   * Does the job: returning is success, throwing is a failed attempt. What it returns is the result of the job,
   * unless that is `snooze(…)`, `rateLimited(…)` or `cancel(…)`.
   */
  // A property, so that the compiler refuses a worker whose state is less than this asks for.
  readonly run: (payload: Output, context: JobContext<State>) => HandlerResult<Result> | Promise<HandlerResult<Result>>;
}

/** What a handler may return: the result of the job, which may be nothing, `snooze(…)`, `rateLimited(…)` or `cancel(…)`. */
export type HandlerResult<Result = void | undefined> = Directive | Result;

/** A task whose jobs have an array as payload. */
export interface BatchTask<Input = unknown, Output = Input, State = unknown> extends BatchTaskDeclaration<
  Input,
  Output
> {
  /** Does all items at once; see {@link BatchResult} for what it may return. */
  readonly runBatch: (items: Output[], context: JobContext<State>) => BatchResult | Promise<BatchResult>;
}

/** What a batch handler may return: nothing, `snooze(…)`, `rateLimited(…)` or `cancel(…)`, or one entry an item, in order. */
export type BatchResult = readonly (BatchItemResult | PromiseLike<BatchItemResult>)[] | HandlerResult;

/**
 * What a batch handler says of one item. An `Error`, a promise that rejects, or
 * an entry of `Promise.allSettled` whose promise did, is a failed item. Anything
 * else is a done one, except for what can be no answer: a function, or
 * `snooze(…)`, `rateLimited(…)` and `cancel(…)`, which are for a whole job.
 */
export type BatchItemResult =
  | Error
  | PromiseSettledResult<unknown>
  | (object & { readonly [DIRECTIVE]?: never; readonly call?: never; readonly then?: never })
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | void;

/** A task whose handler gets several jobs in one call, each with its own payload and its own outcome. */
export interface GatherTask<Input = unknown, Output = Input, State = unknown> extends TaskDeclaration<Input, Output> {
  readonly gather: GatherOptions;
  /** Does these jobs, at least one; see {@link GatherResult} for what it may return. Throwing fails those that have not ended. */
  readonly runMany: (
    jobs: GatheredJob<Output>[],
    context: GatherContext<State>,
  ) => GatherResult | Promise<GatherResult>;
}

/**
 * What a handler that gathers jobs may return: nothing, and all are done;
 * `snooze(…)` or `cancel(…)` for all; an outcome for each, in order; or a map with
 * those of some of the jobs, or of their ids: the others are done.
 */
export type GatherResult =
  | readonly (GatherOutcome | PromiseLike<GatherOutcome>)[]
  | ReadonlyMap<GatheredJob | string, GatherOutcome>
  | HandlerResult;

/** A task of whatever payload: what a list of tasks holds. */
// oxlint-disable-next-line typescript/no-explicit-any -- a list of tasks holds tasks of any payload
export type AnyTask<State = any> =
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  Task<any, any, State, any> | BatchTask<any, any, State> | GatherTask<any, any, State>;

/** What {@link defineTask} is given: a task but for its kind. */
export type NewTask<Input, Output, State, Result = void> = Omit<Task<Input, Output, State, Result>, "kind">;

/** What {@link defineGatherTask} is given: such a task but for its kind. */
export type NewGatherTask<Input, Output, State> = Omit<GatherTask<Input, Output, State>, "kind">;

/** What {@link defineBatchTask} is given: a batch task but for its kind. */
export type NewBatchTask<Input, Output, State> = Omit<BatchTask<Input, Output, State>, "kind">;

/**
 * Declares a task. It runs once it is given to a worker. Its payload is what
 * the first parameter of its handler says; with a schema, what that gives, and
 * what it takes is what is added. Throws `HOWDAH_OPTION_UNKNOWN` and
 * `HOWDAH_OPTION_INVALID` where it is written.
 */
// One signature for both, because of two overloads the compiler would explain the one that was not meant.
export function defineTask<Output, State = unknown, Input = Output, Result = void>(
  task: NewTask<Input, Output, State, Result>,
): Task<Input, Output, State, Result> {
  return checkTask({ ...limited(task), kind: "single" }, task);
}

/**
 * Declares a task for each handler, under its name: `taskList` of
 * graphile-worker, or what a module exports, becomes what a worker takes with
 * `tasks: defineTasks(handlers)`. Retries, schemas and timeouts are said of each
 * task by {@link defineTask}. Throws as that does.
 */
export function defineTasks<State = unknown>(handlers: Readonly<Record<string, AnyHandler<State>>>): AnyTask<State>[] {
  if (!isOptionsObject(handlers)) {
    throw invalidOption({ owner: "tasks", path: "" }, "must be an object with handlers", handlers);
  }
  return Object.entries(handlers).map(([identifier, run]) => defineTask({ identifier, run }));
}

/** A handler of whatever payload. */
// oxlint-disable-next-line typescript/no-explicit-any -- an object of handlers holds those of any payload
export type AnyHandler<State = any> = Task<any, any, State, any>["run"];

/**
 * Declares a batch task: its jobs carry an array, and items can fail one by one.
 * Its items are what its handler's first parameter says, or what its schema
 * does. Throws as {@link defineTask} does.
 */
export function defineBatchTask<Output, State = unknown, Input = Output>(
  task: NewBatchTask<Input, Output, State>,
): BatchTask<Input, Output, State> {
  return checkTask({ ...limited(task), kind: "batch" }, task);
}

/** The same task, whose jobs go to the queues of its limit. */
function limited<T extends Pick<AnyTask, "identifier" | "limit" | "defaults">>(task: T): T {
  if (!isOptionsObject(task) || !isOptionsObject(task.limit)) return task;
  return { ...task, defaults: withLimitQueue(task.identifier, task.limit, task.defaults) };
}

/**
 * Declares a task of which one call does several jobs, such as an API that takes a
 * hundred things at once: up to `gather.size` jobs that were claimed become one call of
 * `runMany` in one slot. They are added one by one, and each keeps its attempts, its
 * retries and its outcome. Throws as {@link defineTask} does.
 */
export function defineGatherTask<Output, State = unknown, Input = Output>(
  task: NewGatherTask<Input, Output, State>,
): GatherTask<Input, Output, State> {
  return checkTask({ ...limited(task), kind: "single" }, task);
}
