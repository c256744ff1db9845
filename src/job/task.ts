import type { JobContext } from "./execute/context.ts";
import type { Directive, DIRECTIVE } from "./directive.ts";
import { checkTask } from "./read-task.ts";
import type { BatchTaskDeclaration, TaskDeclaration } from "./task-declaration.ts";

/** A task whose jobs have one payload each. `Input` is what is added, `Output` what the handler gets. */
export interface Task<Input = unknown, Output = Input, State = unknown> extends TaskDeclaration<Input, Output> {
  /** Does the job: returning is success, throwing is a failed attempt. */
  // A property, so that the compiler refuses a worker whose state is less than this asks for.
  readonly run: (payload: Output, context: JobContext<State>) => HandlerResult | Promise<HandlerResult>;
}

/** What a handler may return: nothing, or `snooze(…)` or `cancel(…)`. Other values are ignored. */
export type HandlerResult = Directive | void | undefined;

/** A task whose jobs have an array as payload. */
export interface BatchTask<Input = unknown, Output = Input, State = unknown> extends BatchTaskDeclaration<
  Input,
  Output
> {
  /** Does all items at once; see {@link BatchResult} for what it may return. */
  readonly runBatch: (items: Output[], context: JobContext<State>) => BatchResult | Promise<BatchResult>;
}

/** What a batch handler may return: nothing, `snooze(…)` or `cancel(…)`, or one entry an item, in order. */
export type BatchResult = readonly (BatchItemResult | PromiseLike<BatchItemResult>)[] | HandlerResult;

/**
 * What a batch handler says of one item. An `Error`, a promise that rejects, or
 * an entry of `Promise.allSettled` whose promise did, is a failed item. Anything
 * else is a done one, except for what can be no answer: a function, or
 * `snooze(…)` and `cancel(…)`, which are for a whole job.
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

/** A task of whatever payload: what a list of tasks holds. */
// oxlint-disable-next-line typescript/no-explicit-any -- a list of tasks holds tasks of any payload
export type AnyTask<State = any> = Task<any, any, State> | BatchTask<any, any, State>;

/** What a task without a schema says: its payload reaches the handler as it was added. */
type WithoutSchema<Declared, Schema extends string> = Omit<Declared, "kind" | Schema> & {
  readonly [Name in Schema]?: undefined;
};

/** What a task with a schema says; the schema decides what is added and what the handler gets. */
type WithSchema<Declared, Schema extends keyof Declared> = Omit<Declared, "kind" | Schema> &
  Required<Pick<Declared, Schema>>;

/**
 * Declares a task. It runs once it is given to a worker. Throws
 * `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID` where it is written.
 */
export function defineTask<Input, Output, State = unknown>(
  task: WithSchema<Task<Input, Output, State>, "payload">,
): Task<Input, Output, State>;
/** Declares a task whose payload is what its handler's first parameter says. */
export function defineTask<Payload, State = unknown>(
  task: WithoutSchema<Task<Payload, Payload, State>, "payload">,
): Task<Payload, Payload, State>;
export function defineTask(task: Omit<Task, "kind">): Task {
  return checkTask({ ...task, kind: "single" }, task);
}

/** Declares a batch task: its jobs carry an array, and items can fail one by one. Throws as {@link defineTask} does. */
export function defineBatchTask<Input, Output, State = unknown>(
  task: WithSchema<BatchTask<Input, Output, State>, "item">,
): BatchTask<Input, Output, State>;
/** Declares a batch task whose items are what its handler's first parameter says. */
export function defineBatchTask<Item, State = unknown>(
  task: WithoutSchema<BatchTask<Item, Item, State>, "item">,
): BatchTask<Item, Item, State>;
export function defineBatchTask(task: Omit<BatchTask, "kind">): BatchTask {
  return checkTask({ ...task, kind: "batch" }, task);
}
