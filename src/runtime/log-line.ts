import { errorMessage } from "./error-message.ts";

/** A message and its fields as one line of printable text, whatever they contain: `Job failed task=send_email id=17`. */
export function logLine(message: string, fields: Readonly<Record<string, unknown>> | undefined): string {
  let line = printable(message);
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value !== undefined) line += ` ${printable(key)}=${printable(fieldText(value))}`;
  }
  return line;
}

const LONGEST_VALUE = 2_000;

/** The value of a field as text: errors by their message, lists and objects shortly, at most 2,000 characters. */
export function asLogged(value: unknown): string {
  const text = plainText(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}...` : text;
}

function fieldText(value: unknown): string {
  const text = asLogged(value);
  return /^[\w.:@/+-]+$/.test(text) ? text : JSON.stringify(text);
}

function plainText(value: unknown): string {
  if (typeof value === "object" && value !== null) return objectText(value);
  return typeof value === "string" ? value : String(value);
}

function objectText(value: object): string {
  try {
    if (value instanceof Error) return errorMessage(value);
    if (value instanceof Date) return value.toISOString();
    if (Array.isArray(value)) return value.slice(0, 20).map(plainText).join(",") + (value.length > 20 ? ",..." : "");
    return JSON.stringify(value) ?? errorMessage(value);
  } catch {
    return errorMessage(value);
  }
}

/**
 * Writes characters that could end the line, colour it or turn its direction
 * as escapes, so that a job's error message cannot forge what others log.
 */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
