import { errorMessage } from "./error-message.ts";
import { errorStack } from "./error-stack.ts";
import { asLogged } from "./log-line.ts";

/**
 * A log line as one JSON object: `time` (ISO 8601), `level`, `name` and `msg`,
 * then the fields. A field with one of these names keeps its value under
 * `field.` and its name, so that it cannot pass for the line's own. An error is
 * an object with `message` and `stack`; what JSON cannot express is text.
 */
export function jsonLine(line: JsonLine): string {
  const { fields, ...own } = line;
  const entries: [string, unknown][] = Object.entries({ ...own, name: "howdah" });
  const names = new Set(entries.map(([name]) => name));
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (value !== undefined) entries.push([names.has(name) ? `field.${name}` : name, toJson(value)]);
  }
  // The keys are written one by one: an object would lose `__proto__`.
  return `{${entries.map(([name, value]) => `${printable(name)}:${printable(value)}`).join(",")}}`;
}

/** What a line says. */
export interface JsonLine {
  /** ISO 8601. */
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly fields?: Readonly<Record<string, unknown>> | undefined;
}

/** As JSON, with what could end the line or turn its direction as escapes, as in a line of text. */
function printable(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()].map((index) => escapeUnit(character.charCodeAt(index))).join(""),
  );
}

function escapeUnit(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}

function toJson(value: unknown): unknown {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (isError(value)) return { message: errorMessage(value), stack: errorStack(value) };
  return asLogged(value);
}

function isError(value: unknown): boolean {
  try {
    return value instanceof Error;
  } catch {
    // A proxy whose trap throws.
    return false;
  }
}
