import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { custom, duration, func, integer, nested, oneOf, required, switchable } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, readObject, type OptionPlace } from "../runtime/options.ts";
import { type Keep, readKeep } from "./keep-options.ts";
import { TASK_PEER_NAMES } from "./peer-names.ts";
import { readDebounce, readUnique } from "./read-unique.ts";
import { compileRetry } from "./retry.ts";
import { readTaskLimit } from "./task-limit.ts";
import type { PayloadSchema } from "./schema.ts";
import type { AnyTaskDeclaration, InvalidPayloadPolicy } from "./task-declaration.ts";

/** Reads the options of a task. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`. */
export function readTask(task: AnyTaskDeclaration): ReadTask {
  if (!isOptionsObject(task)) throw notATask(`found ${describeValue(task)}`);
  const { kind, identifier: name } = task as Partial<AnyTaskDeclaration>;
  if (kind === undefined) {
    throw notATask(typeof name === "string" ? `${JSON.stringify(name)} was not` : `found ${describeValue(task)}`);
  }
  // Its name may be there, but misspelt: then that is said.
  if (name === undefined) readOptionsOf(task, { owner: "task", path: "", hints: TASK_PEER_NAMES });
  const identifier = checkIdentifier(name, { owner: "task", path: "identifier" });
  const place = { owner: `task ${JSON.stringify(identifier)}`, path: "", hints: TASK_PEER_NAMES };
  const read = readOptionsOf(task, place);
  if (read.deadLetter === identifier)
    throw invalidOption({ ...place, path: "deadLetter" }, "must be another task than this one", identifier);
  return { ...read, identifier, place };
}

/** A task whose options were checked. */
export interface ReadTask {
  readonly identifier: string;
  /** Where it stands, for messages. */
  readonly place: OptionPlace;
  readonly timeoutMs: number | undefined;
  /** The schema of the payload, or of each item of a batch. */
  readonly schema: PayloadSchema<unknown, unknown> | undefined;
  readonly invalidPayload: InvalidPayloadPolicy | undefined;
  /** What is kept of its jobs when they have ended; `undefined` for nothing. */
  readonly keep: Keep | undefined;
  /** The identifier of the task that gets its dead letters; `undefined` for none. */
  readonly deadLetter: string | undefined;
  /** How jobs are gathered; `undefined` when each is a call of its own. */
  readonly gather: ReadGather | undefined;
  /** How the log of a job is kept; `undefined` when it is not. */
  readonly logs: { readonly lines: number } | undefined;
}

/** How jobs are gathered for one call. */
export interface ReadGather {
  readonly size: number;
  readonly withinMs: number;
}

/** Returns `task` when its options, as `given`, are right. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`. */
export function checkTask<T extends AnyTaskDeclaration>(task: T, given: unknown): T {
  if (!isOptionsObject(given))
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `A task is defined by an object such as \`{ identifier, run }\`, found ${describeValue(given)}.`,
    );
  const { identifier, place } = readTask(task);
  if (task.limit !== undefined) readTaskLimit(task.limit, identifier, { ...place, path: "limit" });
  if (task.unique !== undefined && task.debounce !== undefined) {
    throw invalidOption({ ...place, path: "debounce" }, "goes without `unique`", task.debounce);
  }
  compileRetry(task.retry, { place: { ...place, path: "retry" } });
  return task;
}

/** What {@link InvalidPayloadPolicy} can be. */
export const INVALID_PAYLOAD_POLICIES = ["fail", "retry"] as const satisfies readonly InvalidPayloadPolicy[];

/** The most characters of an identifier, as PostgreSQL counts them. */
const MAX_IDENTIFIER_LENGTH = 128;

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

function readOptionsOf(task: AnyTaskDeclaration, place: OptionPlace): Omit<ReadTask, "identifier" | "place"> {
  if (task.kind === "batch") {
    const read = readObject(place, task, { ...SHARED, item: schema, runBatch: required(func()) });
    return { ...read, schema: read.item, gather: undefined };
  }
  if ("runMany" in task) {
    const read = readObject(place, task, { ...SHARED, payload: schema, gather: GATHER, runMany: required(func()) });
    return { ...read, schema: read.payload };
  }
  const read = readObject(place, task, { ...SHARED, payload: schema, run: required(func()) });
  return { ...read, schema: read.payload, gather: undefined };
}

const schema = custom(readSchema);

/** The most jobs of one call. */
const MAX_GATHERED = 1_000;

const GATHER = required(
  nested({ size: required(integer({ min: 1, max: MAX_GATHERED })), within: duration({ default: 0 }) }),
);

const SHARED = {
  kind: required(oneOf(["single", "batch"])),
  identifier: custom(checkIdentifier),
  defaults: custom(readDefaults),
  limit: custom((limit) => limit),
  retry: custom((policy) => policy),
  timeout: duration({ min: 1 }),
  keep: custom(readKeep),
  deadLetter: custom(readDeadLetter),
  invalidPayload: oneOf(INVALID_PAYLOAD_POLICIES),
  unique: custom(readUnique),
  debounce: custom(readDebounce),
  logs: switchable({ lines: integer({ min: 1, max: 10_000, default: 100 }) }),
};

function readSchema(given: unknown, place: OptionPlace): PayloadSchema<unknown, unknown> {
  // Schemas of some libraries are functions.
  const found = typeof given === "function" || isOptionsObject(given) ? (given as Partial<PayloadSchema>) : {};
  if (typeof found["~standard"]?.validate === "function") return found as PayloadSchema<unknown, unknown>;
  throw invalidOption(place, "must be a Standard Schema, such as one of zod, valibot or arktype", given);
}

function readDeadLetter(given: unknown, place: OptionPlace): string {
  if (typeof given === "string") return checkIdentifier(given, place);
  const { kind, identifier } = isOptionsObject(given) ? (given as Partial<AnyTaskDeclaration>) : {};
  if (kind === "single") return checkIdentifier(identifier, place);
  throw invalidOption(place, "must be a task that defineTask() made, or its identifier", given);
}

function readDefaults(given: unknown, place: OptionPlace): unknown {
  if (typeof given === "function" || isOptionsObject(given)) return given;
  throw invalidOption(place, "must be an object or a function", given);
}

function notATask(found: string): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `A task must be made by defineTask() or defineBatchTask(); ${found}.`,
  );
}
