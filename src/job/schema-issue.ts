import { propertyPath } from "./unstorable.ts";
import type { SchemaIssue } from "./schema.ts";

const LONGEST_MESSAGE = 300;

/** How schema libraries begin to quote what they found: `received "…"`, `(was {…})`. */
const QUOTED = /\b(received|was|got|found)(:?) +(?:"[^"]*"?|'[^']*'?|`[^`]*`?|-?\d[\w.+-]*|true\b|false\b|[[{].*)/g;

/**
 * One thing that is wrong with a payload, as `payload.to: Expected a string`.
 * Libraries like to quote the value they found; it is taken out, because
 * messages end up in logs and payloads must not.
 */
export function describeIssue(issue: SchemaIssue, payload: unknown, at: string): string {
  const path = (issue.path ?? []).map((part) => (typeof part === "object" ? part.key : part));
  return `${propertyPath(at, path)}: ${withoutValues(issue.message, textsAt(payload, path))}`;
}

function withoutValues(message: string, values: readonly string[]): string {
  let text = message;
  for (const value of values) text = text.replaceAll(value, "...");
  text = text.replace(QUOTED, "$1$2 ...");
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}...` : text;
}

function textsAt(payload: unknown, path: readonly PropertyKey[]): readonly string[] {
  try {
    return textsIn(valueAt(payload, path));
  } catch {
    // A getter that throws: what cannot be read was not quoted either.
    return [];
  }
}

/** The texts of a value that a message could quote. Very short ones are words that any message may contain. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return value.length < 3 ? [] : [value, JSON.stringify(value).slice(1, -1)];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value)
    .slice(0, 100)
    .flatMap((part) => (typeof part === "string" ? textsIn(part) : []));
}

function valueAt(payload: unknown, path: readonly PropertyKey[]): unknown {
  let value = payload;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[key];
  }
  return value;
}
