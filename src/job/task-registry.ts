import { HowdahError } from "../errors.ts";
import type { StoredTaskSettings } from "../postgres/queries/register-tasks.ts";
import { invalidOption } from "../runtime/options.ts";
import type { Keep } from "./keep-options.ts";
import { didYouMean } from "../runtime/suggestion.ts";
import { type ReadGather, readTask } from "./read-task.ts";
import { compileRetry, type CompiledRetry, type RetrySettings } from "./retry.ts";
import type { PayloadSchema } from "./schema.ts";
import type { AnyTask } from "./task.ts";
import type { InvalidPayloadPolicy } from "./task-declaration.ts";

/** The tasks that a worker or client was given. */
export interface TaskRegistry {
  /** In the order given. */
  readonly identifiers: readonly string[];
  /** What the database is told of them, by their identifiers. */
  readonly settings: ReadonlyMap<string, StoredTaskSettings>;
  find(identifier: string): RegisteredTask | undefined;
  /** Throws `HOWDAH_TASK_UNKNOWN`, with the identifier that was probably meant. */
  get(identifier: string): RegisteredTask;
}

/** A task that was checked, with its settings ready for use. */
export interface RegisteredTask extends StoredTaskSettings {
  readonly identifier: string;
  /** As it was given; call its handler as its method. */
  readonly task: AnyTask;
  readonly retry: CompiledRetry;
  readonly timeoutMs: number | undefined;
  /** The schema of the payload, or of each item of a batch. */
  readonly schema: PayloadSchema<unknown, unknown> | undefined;
  readonly invalidPayload: InvalidPayloadPolicy;
  /** What is kept of its jobs when they have ended; `undefined` for nothing. */
  readonly keep: Keep | undefined;
  /** How jobs are gathered; `undefined` when each is a call of its own. */
  readonly gather: ReadGather | undefined;
  /** How many lines of its log are kept with a job; `undefined` for none. */
  readonly keptLines: number | undefined;
}

/**
 * Checks tasks and makes them findable. Throws `HOWDAH_TASK_DUPLICATE` for two
 * with one identifier, and `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID`
 * for one that is not as `defineTask` or `defineBatchTask` makes them.
 * `random` and `onFault` are passed on to {@link compileRetry};
 * `invalidPayload` is for tasks that do not say it themselves, default `fail`.
 */
export function createTaskRegistry(tasks: readonly AnyTask[], settings: RegistrySettings = {}): TaskRegistry {
  if (!Array.isArray(tasks)) throw invalidOption({ owner: "worker", path: "tasks" }, "must be a list of tasks", tasks);
  const byIdentifier = new Map<string, RegisteredTask>();
  for (const task of tasks) {
    const registered = register(task, settings);
    if (byIdentifier.has(registered.identifier)) throw duplicate(registered.identifier);
    byIdentifier.set(registered.identifier, registered);
  }
  for (const { identifier } of byIdentifier.values()) checkLetters(identifier, byIdentifier);
  const identifiers = [...byIdentifier.keys()];
  return {
    identifiers,
    settings: byIdentifier,
    find: (identifier) => byIdentifier.get(identifier),
    get(identifier) {
      const found = byIdentifier.get(identifier);
      if (found === undefined) throw unknownTask(identifier, identifiers);
      return found;
    },
  };
}

/** The most jobs of one call by the identifiers of tasks that gather jobs; `undefined` when none does. */
export function gatherSizesOf({ identifiers, find }: TaskRegistry): ReadonlyMap<string, number> | undefined {
  const sizes = identifiers.flatMap((identifier) => {
    const { gather } = find(identifier) ?? {};
    return gather ? [[identifier, gather.size] as const] : [];
  });
  return sizes.length === 0 ? undefined : new Map(sizes);
}

/** What a registry needs from where it is used. */
export interface RegistrySettings extends Pick<RetrySettings, "random" | "onFault"> {
  readonly invalidPayload?: InvalidPayloadPolicy | undefined;
}

function register(task: AnyTask, { invalidPayload = "fail", ...retry }: RegistrySettings): RegisteredTask {
  const read = readTask(task);
  const { identifier, place, timeoutMs, schema } = read;
  return {
    identifier,
    task,
    retry: compileRetry(task.retry, { ...retry, place: { ...place, path: "retry" } }),
    timeoutMs,
    schema,
    invalidPayload: read.invalidPayload ?? invalidPayload,
    keep: read.keep,
    deadLetter: read.deadLetter,
    gather: read.gather,
    keptLines: read.logs?.lines,
  };
}

/** A job that fails must not come back as its own dead letter. Throws `HOWDAH_OPTION_INVALID`. */
function checkLetters(identifier: string, tasks: ReadonlyMap<string, RegisteredTask>): void {
  const way = [identifier];
  for (let next = tasks.get(identifier)?.deadLetter; next !== undefined; next = tasks.get(next)?.deadLetter) {
    if (next === identifier)
      throw new HowdahError(
        "HOWDAH_OPTION_INVALID",
        `The tasks ${way.join(", ")} get each other's dead letters in a circle: leave out \`deadLetter\` of one of them.`,
      );
    // A circle that others are in is theirs.
    if (way.includes(next)) return;
    way.push(next);
  }
}

function duplicate(identifier: string): HowdahError {
  return new HowdahError("HOWDAH_TASK_DUPLICATE", `Two tasks have the identifier ${JSON.stringify(identifier)}.`);
}

function unknownTask(identifier: string, known: readonly string[]): HowdahError {
  const hint = didYouMean(identifier, known);
  return new HowdahError("HOWDAH_TASK_UNKNOWN", `There is no task \`${identifier.slice(0, 128)}\` here${hint}`);
}
