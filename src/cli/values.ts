import { InvalidArgumentError } from "commander";
import { HowdahError } from "../errors.ts";
import { parseDuration } from "../runtime/duration.ts";

/** How many rows a list has at most. */
export const MOST_LISTED = 1000;

/** Checks the limit of a list as commander wants it. */
export function parseLimit(text: string): number {
  return parseWhole(text, { min: 1, max: MOST_LISTED });
}

/** Checks a priority as commander wants it. */
export function parsePriority(text: string): number {
  return parseWhole(text, { min: -32_768, max: 32_767 });
}

/** Checks a number of attempts as commander wants it; a job may be set back to its first one. */
export function parseAttempts(text: string): number {
  return parseWhole(text, { min: 0, max: 32_767 });
}

/** Checks a largest number of attempts as commander wants it. */
export function parseMaxAttempts(text: string): number {
  return parseWhole(text, { min: 1, max: 32_767 });
}

function parseWhole(text: string, { min, max }: { readonly min: number; readonly max: number }): number {
  const number = Number(text);
  if (/^-?\d+$/.test(text) && number >= min && number <= max) return number;
  throw new InvalidArgumentError(`It has to be a whole number from ${min} to ${max}.`);
}

/** Checks a duration as commander wants it, so that no database is asked before a typo is told. */
export function checkDuration(text: string): string {
  try {
    parseDuration(text, "it");
    return text;
  } catch {
    throw new InvalidArgumentError("It has to be a duration, such as 90s, 5m or 2h.");
  }
}

/** Checks JSON as commander wants it. */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`It has to be JSON, such as '{"account":17}'.`);
  }
  const lost = text
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, "")
    .match(/-?\d[\d.eE+-]*/g)
    ?.find(isLossy);
  if (lost === undefined) return value;
  throw new InvalidArgumentError(`The number ${lost} is too large for JavaScript, which would round it.`);
}

/** Would JavaScript round this whole number, or take it for infinite? */
function isLossy(number: string): boolean {
  const value = Number(number);
  return !Number.isFinite(value) || (/^-?\d+$/.test(number) && !Number.isSafeInteger(value));
}

/** Reads the id of a job that was given as an argument, without leading zeros. Throws `HOWDAH_OPTION_INVALID`. */
export function readJobId(given: string): string {
  if (/^\d{1,19}$/.test(given)) return String(BigInt(given));
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${JSON.stringify(given)} is not the id of a job, a number such as 42.`,
  );
}
