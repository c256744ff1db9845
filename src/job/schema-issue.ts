import type { SchemaIssue } from "./schema.ts";

/**
 * One thing that is wrong with a payload, as `payload.to: Expected a string`.
 * Libraries like to quote the value they found; it is taken out, because
 * messages end up in logs and payloads must not.
 */
export function describeIssue(issue: SchemaIssue, payload: unknown, at: string): string {
  const path = (issue.path ?? []).map((part) => (typeof part === "object" ? part.key : part));
  return `${propertyPath(at, path)}: ${withoutValues(issue.message, textsAt(payload, path))}`;
}

const LONGEST_MESSAGE = 300;

/** How schema libraries begin to quote what they found: `received "…"`, `(was {…})`. */
const QUOTED = /\b(received|was|got|found)(:?) +(?:"[^"]*"?|'[^']*'?|`[^`]*`?|-?\d[\w.+-]*|true\b|false\b|[[{].*)/g;

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

/**
 * Writes a place in a payload as JavaScript does: `payload.users[3]["e-mail"]`,
 * and with a root such as "payload of job `t`" then whose payload it is.
 */
export function propertyPath(root: string, path: readonly PropertyKey[]): string {
  const [, object = root, owner = ""] = /^(\S+)( of .*)$/s.exec(root) ?? [];
  return path.reduce<string>((text, key) => text + step(key), object) + owner;
}

function step(key: PropertyKey): string {
  const name = String(key);
  if (/^\d+$/.test(name)) return `[${name}]`;
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name) ? `.${name}` : `[${JSON.stringify(name.slice(0, 100))}]`;
}
