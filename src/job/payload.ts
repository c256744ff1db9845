import { types } from "node:util";
import { HowdahError } from "../errors.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { PayloadSchema, SchemaIssue } from "./schema.ts";
import { describeIssue, propertyPath } from "./schema-issue.ts";

const MAX_ISSUES = 10;

/**
 * Writes a payload as JSON text, as `JSON.stringify` does; a missing payload is
 * `{}`. Throws `HOWDAH_PAYLOAD_INVALID`, naming the place in the payload `of` a
 * job, for what JSON cannot hold: a bigint, a cycle, more levels than the stack
 * has room for, and whatever JSON would leave out or make something else of,
 * such as a function, NaN, an invalid date, a Map or a promise.
 */
export function encodePayload(value: unknown, of?: string): string {
  if (value === undefined) return "{}";
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (!holdsUnstorable(value)) return text ?? "{}";
  } catch (error) {
    throw cannotHold(value, of, error);
  }
  throw cannotHold(value, of);
}

/** Reads a stored payload. Throws `HOWDAH_PAYLOAD_INVALID` for a text that is not JSON. */
export function decodePayload(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The cause is left out because its message would quote the payload.
    throw new HowdahError("HOWDAH_PAYLOAD_INVALID", "The stored payload is not JSON.");
  }
}

/**
 * Gives back what `schema` makes of `value`. Rejects with
 * `HOWDAH_PAYLOAD_INVALID` when it does not fit, or when the schema itself
 * fails; the message has the places below `at` and what is wrong there, never
 * the values.
 */
export async function validatePayload<Output>(
  schema: PayloadSchema<unknown, Output>,
  value: unknown,
  at = "payload",
): Promise<Output> {
  const checked = await checkPayload(schema, value, at);
  if (checked.problem === undefined) return checked.value;
  throw new HowdahError("HOWDAH_PAYLOAD_INVALID", checked.problem);
}

/** What a schema makes of a payload, or why it does not fit. */
export type CheckedPayload<Output> =
  { readonly value: Output; readonly problem?: undefined } | { readonly problem: string };

/**
 * Like {@link validatePayload}, but gives back what is wrong with the payload.
 * Rejects with `HOWDAH_PAYLOAD_INVALID` only when the schema itself fails,
 * which says nothing about the payload.
 */
export async function checkPayload<Output>(
  schema: PayloadSchema<unknown, Output>,
  value: unknown,
  at = "payload",
): Promise<CheckedPayload<Output>> {
  const result = await runSchema(schema, value);
  if (result.issues === undefined) return { value: result.value };
  return { problem: `The payload does not fit its schema: ${list(result.issues, value, at)}.` };
}

async function runSchema<Output>(schema: PayloadSchema<unknown, Output>, value: unknown) {
  try {
    return await schema["~standard"].validate(value);
  } catch (error) {
    throw new HowdahError("HOWDAH_PAYLOAD_INVALID", `The schema of the payload failed: ${errorMessage(error)}`, error);
  }
}

function list(issues: readonly SchemaIssue[], value: unknown, at: string): string {
  const shown = issues.slice(0, MAX_ISSUES).map((issue) => describeIssue(issue, value, at));
  const more = issues.length > MAX_ISSUES ? `; and ${issues.length - MAX_ISSUES} more` : "";
  return shown.join("; ") + more;
}

function cannotHold(value: unknown, of: string | undefined, cause?: unknown): HowdahError {
  return new HowdahError("HOWDAH_PAYLOAD_INVALID", whyNot(value, of === undefined ? "" : ` of ${of}`, cause), cause);
}

function whyNot(value: unknown, of: string, cause: unknown): string {
  if (cause instanceof RangeError) return `JSON cannot hold payload${of}: it has too many levels, or is too long.`;
  try {
    const found = findUnstorable(value);
    if (found !== undefined)
      return `JSON cannot hold ${found.what}, found at ${propertyPath("payload", found.path)}${of}.`;
  } catch {
    // A getter or proxy that throws now also threw before, and is told below.
  }
  return `JSON cannot hold payload${of}: ${errorMessage(cause)}`;
}

/** Something that JSON cannot hold, and where it is. */
interface Unstorable {
  /** Such as "a bigint". */
  readonly what: string;
  readonly path: readonly PropertyKey[];
}

/**
 * Whether `JSON.stringify`, which has accepted the value already, has silently
 * left something out or made something else of it. What `toJSON` gives is
 * looked into; a getter or `toJSON` that throws makes this throw.
 */
function holdsUnstorable(given: unknown, key = ""): boolean {
  if (typeof given === "string" || given === null || given === undefined) return false;
  const value = jsonOf(given, key);
  if (typeof value !== "object" || value === null) return isLostScalar(value);
  if (Array.isArray(value)) return value.some((item, index) => holdsUnstorable(item, `${index}`));
  if (!isPlain(value) && describeLost(value) !== undefined) return true;
  const object = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(object)) {
    const property = object[name];
    if (typeof property !== "string" && holdsUnstorable(property, name)) return true;
  }
  return false;
}

/** Looks for the first thing that JSON cannot hold, and calls `toJSON` as JSON does. Slow; for error messages. */
function findUnstorable(value: unknown): Unstorable | undefined {
  return find(value, "", []);
}

function find(given: unknown, key: string, above: readonly { key: string; value: object }[]): Unstorable | undefined {
  const path = [...above.map((step) => step.key), key].slice(1);
  const value = jsonOf(given, key);
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") {
    return { what: `a ${typeof value}`, path };
  }
  if (isLostScalar(value)) return { what: String(value), path };
  if (typeof value !== "object" || value === null) return undefined;
  if (above.some((step) => step.value === value)) return { what: "an object that contains itself", path };
  const what = Array.isArray(value) ? undefined : describeLost(value);
  if (what !== undefined) return { what, path };
  const below = [...above, { key, value }];
  for (const [name, property] of Object.entries(value)) {
    const found = find(property, name, below);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What JSON writes for a value, before it writes it. A date that is none stays what it is, as its `toJSON` gives null. */
function jsonOf(value: unknown, key: string): unknown {
  if (!hasToJson(value) || isInvalidDate(value)) return value;
  return value.toJSON(key);
}

/** What is no object, and is left out or becomes null. A bigint makes JSON throw. */
function isLostScalar(value: unknown): boolean {
  return typeof value === "number" ? !Number.isFinite(value) : typeof value === "function" || typeof value === "symbol";
}

/** What nearly every object in a payload is, so that it needs no further look. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What an object is that JSON makes something else of; `undefined` when JSON writes all that it holds. */
function describeLost(value: object): string | undefined {
  if (isInvalidDate(value)) return "an invalid Date";
  if (types.isPromise(value)) return "a Promise, was an `await` forgotten";
  if (types.isNativeError(value) || value instanceof Error) return "an Error";
  if (types.isBoxedPrimitive(value)) return describeBoxed(value.valueOf());
  if (types.isTypedArray(value)) {
    const lost = Array.from(value as ArrayLike<number | bigint>).find((item) => isLostScalar(item));
    return lost === undefined ? undefined : `${String(lost)} in a typed array`;
  }
  // What such an object holds is inside of it, where JSON does not see it: of a Map, a Set, a RegExp, a Blob.
  const name = Object.prototype.toString.call(value).slice(8, -1);
  if (name === "Object" || name === "Arguments" || name === "Date") return undefined;
  const isEmpty = Object.keys(value).length === 0;
  return isEmpty || types.isMap(value) || types.isSet(value) || types.isRegExp(value)
    ? `${/^[AEIO]/.test(name) ? "an" : "a"} ${name}`
    : undefined;
}

function describeBoxed(inside: unknown): string | undefined {
  if (typeof inside === "number" && !Number.isFinite(inside)) return String(inside);
  return typeof inside === "symbol" ? "a symbol" : undefined;
}

function isInvalidDate(value: unknown): boolean {
  return types.isDate(value) && Number.isNaN(value.getTime()) && value.toJSON === Date.prototype.toJSON;
}

function hasToJson(value: unknown): value is { toJSON(key: string): unknown } {
  if (value === null || value === undefined) return false;
  return typeof (value as { readonly toJSON?: unknown }).toJSON === "function";
}
