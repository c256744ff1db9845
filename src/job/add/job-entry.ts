import type { Directive } from "../directive.ts";
import type { JobSpec } from "../job.ts";
import type { AnyTaskDeclaration, BatchTaskDeclaration, TaskDeclaration } from "../task-declaration.ts";

/** A job to add, before anything is checked. */
export interface JobEntry {
  readonly task: AnyTaskDeclaration | string;
  readonly payload: unknown;
  readonly spec: JobSpec | undefined;
}

/** The tasks that may be added. */
export interface KnownTasks {
  /** Throws `HOWDAH_TASK_UNKNOWN` for an identifier that is not among them. */
  get(identifier: string): { readonly task: AnyTaskDeclaration };
}

/** A job to add, checked against its task by the compiler. */
export type TaskJob<T> = {
  readonly task: T;
  readonly identifier?: undefined;
  readonly spec?: JobSpec | undefined;
} & ({} extends PayloadOf<T> ? { readonly payload?: PayloadOf<T> | undefined } : { readonly payload: PayloadOf<T> });

/** A job to add to a task that is known by its name only. */
export interface RawJob {
  readonly task?: undefined;
  readonly identifier: string;
  /** Anything JSON can hold. Default `{}`. */
  readonly payload?: unknown;
  readonly spec?: JobSpec | undefined;
}

/** The payload and the spec of an add. The payload may be left out where `{}` would do. */
export type PayloadAndSpec<Payload> = {} extends Payload
  ? [payload?: Payload, spec?: JobSpec]
  : [payload: Payload, spec?: JobSpec];

/** What an add to a task takes: its payload before the schema has turned it into the handler's, or its items. */
export type PayloadOf<T> =
  T extends BatchTaskDeclaration<infer Input, infer _Output>
    ? readonly Input[]
    : T extends TaskDeclaration<infer Input, infer _Output>
      ? Input
      : unknown;

/** What the handler of a task returns; unknown where there is nothing to know of it. */
export type ResultOf<T> = T extends { readonly run: (...given: never) => infer Returned }
  ? Known<Exclude<Awaited<Returned>, Directive>>
  : unknown;

type Known<Result> = [Result] extends [void | undefined] ? unknown : Result;

/** What a batch takes: the items of its task, or any where only its identifier is known. */
export type ItemsOf<T> = T extends string ? readonly unknown[] : PayloadOf<T>;
