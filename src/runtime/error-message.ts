import { inspect } from "node:util";

/**
 * A readable text for anything that was thrown: the message of an error with
 * those of its causes, and of the first few errors inside of an
 * `AggregateError`. Never throws, takes a bounded time, and returns at most
 * 10,000 characters that a PostgreSQL `text` can hold.
 */
export function errorMessage(thrown: unknown): string {
  const seen = new Set<unknown>();
  const parts: string[] = [];
  let current = thrown;
  while (parts.length <= MAX_CAUSES && !seen.has(current)) {
    seen.add(current);
    const message = describeOne(current);
    // Wrapping an error often repeats its message.
    if (!parts.at(-1)?.includes(message)) parts.push(message);
    current = property(current, "cause");
    if (current === undefined || current === null) break;
  }
  return storableText(parts.join(" <- caused by: "));
}

/** The longest text that {@link errorMessage} returns, in UTF-16 units. */
export const MAX_ERROR_MESSAGE_LENGTH = 10_000;

const ELLIPSIS = "...";

const MAX_CAUSES = 8;

const MAX_AGGREGATED = 5;

/** As {@link errorMessage}, without the causes: for an error that has the thrown one as its own cause. */
export function ownMessage(thrown: unknown): string {
  return storableText(describeOne(thrown));
}

/**
 * The text as PostgreSQL can store it: NUL and lone surrogates replaced, and
 * cut with an ellipsis when it is longer than `maxLength`. The replacements are
 * ASCII, because the encoding of a database may support little else.
 */
export function storableText(text: string, maxLength: number = MAX_ERROR_MESSAGE_LENGTH): string {
  const short =
    text.length > maxLength
      ? text.slice(0, Math.max(0, maxLength - ELLIPSIS.length)) + ELLIPSIS.slice(0, maxLength)
      : text;
  return short.replace(/\0|\p{Surrogate}/gu, "?");
}

function describeOne(thrown: unknown): string {
  if (typeof thrown === "string" && thrown !== "") return clip(thrown);
  const message = property(thrown, "message");
  const text = typeof message === "string" && message !== "" ? clip(message) : describeWithoutMessage(thrown);
  const errors = property(thrown, "errors");
  return isList(errors) ? `${text}: ${describeAll(errors)}` : text;
}

function describeWithoutMessage(thrown: unknown): string {
  const name = property(thrown, "name");
  if (isError(thrown)) return typeof name === "string" && name !== "" ? clip(name) : "An error without a message";
  return `Thrown was no error but ${show(thrown)}`;
}

function describeAll(errors: readonly unknown[]): string {
  const length = property(errors, "length");
  const count = typeof length === "number" ? length : 0;
  const shown = Array.from({ length: Math.min(count, MAX_AGGREGATED) }, (_, index) => {
    const error = property(errors, index);
    const message = property(error, "message");
    return `[${index + 1}] ${typeof message === "string" ? clip(message) : show(error)}`;
  });
  return shown.join(", ") + (count > shown.length ? ` and ${count - shown.length} more` : "");
}

/** Reads a property of anything; a getter or proxy that throws has none. */
function property(value: unknown, key: string | number): unknown {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    return (value as Readonly<Record<string | number, unknown>>)[key];
  } catch {
    return undefined;
  }
}

function isError(value: unknown): boolean {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    // A revoked proxy.
    return false;
  }
}

function show(value: unknown): string {
  try {
    // `inspect` looks behind proxies and calls neither getters nor `toString`.
    return inspect(value, {
      depth: 2,
      compact: true,
      breakLength: Number.POSITIVE_INFINITY,
      customInspect: false,
      maxArrayLength: 20,
      maxStringLength: 1_000,
    }).slice(0, MAX_ERROR_MESSAGE_LENGTH);
  } catch {
    return "something unreadable";
  }
}

/** Limits the cost of joining and searching. */
function clip(text: string): string {
  return text.length > MAX_ERROR_MESSAGE_LENGTH ? text.slice(0, MAX_ERROR_MESSAGE_LENGTH + 1) : text;
}
