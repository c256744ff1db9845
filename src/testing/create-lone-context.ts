import type { Client } from "../client/client.ts";
import { createHooks } from "../hooks/hooks.ts";
import type { JobContext } from "../job/execute/context.ts";
import type { GatheredJob } from "../job/execute/gather-context.ts";
import type { SlotContext } from "../job/execute/slot.ts";
import { HeldJobs } from "../job/held-jobs.ts";
import type { TaskRegistry } from "../job/task-registry.ts";
import type { AnyTask } from "../job/task.ts";
import type { Driver } from "../postgres/driver.ts";
import { createSchema } from "../postgres/schema.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { noDatabase } from "./recorded-adds.ts";
import type { RecordedNotes } from "./recorded-notes.ts";

/** What a slot stands on that runs one job without a database. */
export function createLoneContext(parts: LoneParts): LoneContext {
  const { clock, logger, tasks, client, notes, driver = NO_DATABASE, state, abortPeriodMs } = parts;
  const context = {
    clock,
    logger,
    tasks,
    client,
    notes,
    driver,
    schema: createSchema("howdah"),
    hooks: createHooks({ logger, clock }),
    held: new HeldJobs(),
    // Nothing is recovered here, so no row is marked.
    statements: { locks: { mark: () => Promise.resolve(true) } },
    settings: { concurrency: 1, state, shutdown: { abortPeriodMs, interruptedJobRetryDelayMs: 30_000 } },
    isLeftBehind: false,
    reporter: { started() {}, lost() {}, leftBehind: () => void (context.isLeftBehind = true) },
  };
  return context;
}

/** A slot's context that also knows whether the handler lost its slot. */
export interface LoneContext extends SlotContext {
  /** The handler did not stop when told to. */
  readonly isLeftBehind: boolean;
}

/** What a {@link LoneContext} is made of. */
export interface LoneParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tasks: TaskRegistry;
  readonly client: Client;
  readonly notes: RecordedNotes;
  readonly driver: Driver | undefined;
  readonly state: unknown;
  readonly abortPeriodMs: number;
}

/** The same task, whose handler is told that `complete` needs the row of its job. */
export function withoutCompletion(task: AnyTask): AnyTask {
  if (typeof task !== "object" || task === null) return task;
  const { run, runBatch, runMany } = task as Partial<Record<"run" | "runBatch" | "runMany", unknown>>;
  const wrapped = {
    ...(typeof run === "function" ? { run: inLoneContext(task, run) } : {}),
    ...(typeof runBatch === "function" ? { runBatch: inLoneContext(task, runBatch) } : {}),
    ...(typeof runMany === "function" ? { runMany: manyWithoutCompletion(task, runMany) } : {}),
  };
  return { ...task, ...wrapped } as AnyTask;
}

function inLoneContext(task: AnyTask, handler: Function) {
  return (payload: unknown, context: JobContext): unknown => {
    const { job, signal, logger, client, state, workerId, query, withTransaction, progress, log } = context;
    const complete = (): Promise<void> => Promise.reject(noDatabase("context.complete()"));
    const given = { job, signal, logger, client, state, workerId, query, withTransaction };
    const lone: JobContext = { ...given, complete, progress, log };
    return Reflect.apply(handler, task, [payload, lone]);
  };
}

function manyWithoutCompletion(task: AnyTask, handler: Function) {
  return (jobs: readonly GatheredJob[], context: unknown): unknown => {
    const complete = (): Promise<void> => Promise.reject(noDatabase("complete()"));
    const lone = jobs.map(({ job, payload, signal, progress, log }) => {
      return { job, payload, signal, complete, progress, log };
    });
    return Reflect.apply(handler, task, [lone, context]);
  };
}

const refuse = (what: string) => () => Promise.reject(noDatabase(what, "driver"));

const NO_DATABASE: Driver = {
  query: refuse("context.query()"),
  transaction: refuse("context.withTransaction()"),
  listen: refuse("listen()"),
  close: () => Promise.resolve(),
};
