import { HowdahError } from "../errors.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { findUnstorable, holdsUnstorable, propertyPath } from "./unstorable.ts";
import type { PayloadSchema, SchemaIssue } from "./schema.ts";
import { describeIssue } from "./schema-issue.ts";

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
