import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { custom, duration, func, oneOf, required } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, readObject, type OptionPlace } from "../runtime/options.ts";
import { didYouMean } from "../runtime/suggestion.ts";
import { compileRetry, type CompiledRetry, type RetrySettings } from "./retry.ts";
import type { PayloadSchema } from "./schema.ts";
import type { AnyTask } from "./task.ts";
import type { InvalidPayloadPolicy } from "./task-declaration.ts";

/** The most characters of an identifier, as PostgreSQL counts them. */
const MAX_IDENTIFIER_LENGTH = 128;

/** What {@link InvalidPayloadPolicy} can be. */
export const INVALID_PAYLOAD_POLICIES = ["fail", "retry"] as const satisfies readonly InvalidPayloadPolicy[];

/** What a registry needs from where it is used. */
export interface RegistrySettings extends Pick<RetrySettings, "random" | "onFault"> {
  readonly invalidPayload?: InvalidPayloadPolicy;
}

/** A task that was checked, with its settings ready for use. */
export interface RegisteredTask {
  readonly identifier: string;
  /** As it was given; call its handler as its method. */
  readonly task: AnyTask;
  readonly retry: CompiledRetry;
  readonly timeoutMs: number | undefined;
  /** The schema of the payload, or of each item of a batch. */
  readonly schema: PayloadSchema<unknown, unknown> | undefined;
  readonly invalidPayload: InvalidPayloadPolicy;
}

/** The tasks that a worker or client was given. */
export interface TaskRegistry {
  /** In the order given. */
  readonly identifiers: readonly string[];
  find(identifier: string): RegisteredTask | undefined;
  /** Throws `HOWDAH_TASK_UNKNOWN`, with the identifier that was probably meant. */
  get(identifier: string): RegisteredTask;
}

/**
 * Checks tasks and makes them findable. Throws `HOWDAH_TASK_DUPLICATE` for two
 * with one identifier, and `HOWDAH_OPTION_UNKNOWN` or `HOWDAH_OPTION_INVALID`
 * for one that is not as `defineTask` or `defineBatchTask` makes them.
 * `random` and `onFault` are passed on to {@link compileRetry};
 * `invalidPayload` is for tasks that do not say it themselves, default `fail`.
 */
export function createTaskRegistry(tasks: readonly AnyTask[], settings: RegistrySettings = {}): TaskRegistry {
  if (!Array.isArray(tasks)) throw invalidOption({ owner: "task", path: "" }, "must be a list of tasks", tasks);
  const byIdentifier = new Map<string, RegisteredTask>();
  for (const task of tasks) {
    const registered = register(task, settings);
    if (byIdentifier.has(registered.identifier)) throw duplicate(registered.identifier);
    byIdentifier.set(registered.identifier, registered);
  }
  const identifiers = [...byIdentifier.keys()];
  return {
    identifiers,
    find: (identifier) => byIdentifier.get(identifier),
    get(identifier) {
      const found = byIdentifier.get(identifier);
      if (found === undefined) throw unknownTask(identifier, identifiers);
      return found;
    },
  };
}

/** Checks the name of a task. Throws `HOWDAH_OPTION_INVALID`. */
function checkIdentifier(identifier: unknown, place: OptionPlace): string {
  const fits =
    typeof identifier === "string" &&
    identifier !== "" &&
    Array.from(identifier.slice(0, 2 * MAX_IDENTIFIER_LENGTH + 1)).length <= MAX_IDENTIFIER_LENGTH &&
    !/\0|\p{Surrogate}/u.test(identifier);
  if (fits) return identifier;
  throw invalidOption(
    place,
    `must be a text of 1 to ${MAX_IDENTIFIER_LENGTH} characters without NUL and lone surrogates`,
    identifier,
  );
}

function register(task: AnyTask, { invalidPayload = "fail", ...retry }: RegistrySettings): RegisteredTask {
  if (!isOptionsObject(task)) throw notATask(task);
  const identifier = checkIdentifier(task.identifier, { owner: "task", path: "identifier" });
  const place = { owner: `task ${JSON.stringify(identifier)}`, path: "" };
  const read = readTask(place, task);
  return {
    identifier,
    task,
    retry: compileRetry(task.retry, { ...retry, place: { ...place, path: "retry" } }),
    timeoutMs: read.timeoutMs,
    schema: read.schema,
    invalidPayload: read.invalidPayload ?? invalidPayload,
  };
}

interface ReadTask extends Pick<RegisteredTask, "timeoutMs" | "schema"> {
  readonly invalidPayload: InvalidPayloadPolicy | undefined;
}

function readTask(place: OptionPlace, task: AnyTask): ReadTask {
  if (task.kind === "batch") {
    const read = readObject(place, task, { ...SHARED, item: schema, runBatch: required(func()) });
    return { ...read, schema: read.item };
  }
  const read = readObject(place, task, { ...SHARED, payload: schema, run: required(func()) });
  return { ...read, schema: read.payload };
}

const schema = custom(readSchema);

const SHARED = {
  kind: required(oneOf(["single", "batch"])),
  identifier: custom(checkIdentifier),
  defaults: custom(readDefaults),
  retry: custom((policy) => policy),
  timeout: duration({ min: 1 }),
  invalidPayload: oneOf(INVALID_PAYLOAD_POLICIES),
};

function readSchema(given: unknown, place: OptionPlace): PayloadSchema<unknown, unknown> {
  // Schemas of some libraries are functions.
  const found = typeof given === "function" || isOptionsObject(given) ? (given as Partial<PayloadSchema>) : {};
  if (typeof found["~standard"]?.validate === "function") return found as PayloadSchema<unknown, unknown>;
  throw invalidOption(place, "must be a Standard Schema, such as one of zod, valibot or arktype", given);
}

function readDefaults(given: unknown, place: OptionPlace): unknown {
  if (typeof given === "function" || isOptionsObject(given)) return given;
  throw invalidOption(place, "must be an object or a function", given);
}

function notATask(found: unknown): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `A task must be made by defineTask() or defineBatchTask(), found ${describeValue(found)}.`,
  );
}

function duplicate(identifier: string): HowdahError {
  return new HowdahError("HOWDAH_TASK_DUPLICATE", `Two tasks have the identifier ${JSON.stringify(identifier)}.`);
}

function unknownTask(identifier: string, known: readonly string[]): HowdahError {
  const hint = didYouMean(identifier, known);
  return new HowdahError("HOWDAH_TASK_UNKNOWN", `There is no task \`${identifier.slice(0, 128)}\` here${hint}`);
}
