import ms from "ms";
import { HowdahError } from "../errors.ts";
import { describeValue } from "./describe-value.ts";

/** A length of time: milliseconds as a number, or a number with a unit such as `"250ms"`, `"5s"`, `"1.5h"`, `"2d"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d" | "w"}`;

/** The longest duration that is accepted, in milliseconds: a hundred years, so that now plus a duration is always a date. */
export const MAX_DURATION_MS = 36_525 * 86_400_000;

/** Stricter than `ms`, which also accepts "5 Minutes", "-1s" and plain numbers without a unit. */
const WITH_UNIT = /^\d{1,15}(?:\.\d{1,15})?(?:ms|s|m|h|d|w)$/;

/**
 * Turns a {@link Duration} into milliseconds, which may have a fraction. `name`
 * is its name in messages, such as "snooze delay". Throws
 * `HOWDAH_OPTION_INVALID` for everything else: other texts, negative numbers,
 * more than a hundred years.
 */
export function parseDuration(value: unknown, name: string): number {
  const found = toMs(value);
  if (found >= 0 && found <= MAX_DURATION_MS) return found;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${name.charAt(0).toUpperCase()}${name.slice(1)} must be a duration of at most 100 years: milliseconds as a number, ` +
      `or a number with one of the units ms, s, m, h, d, w, like "250ms" or "1.5h"; found ${describeValue(value)}.`,
  );
}

function toMs(value: unknown): number {
  if (typeof value === "number") return value;
  if (typeof value === "string" && WITH_UNIT.test(value)) return ms(value as ms.StringValue);
  return Number.NaN;
}
