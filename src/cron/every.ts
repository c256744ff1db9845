import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { FIELD_KINDS, type FieldKind } from "./field.ts";

/**
 * Writes the usual schedules as cron expressions: `every.day("8:30")` is `"30 8
 * * * *"`. Throws `HOWDAH_CRON_INVALID` for values out of range. A time of the
 * day is in the schedule's time zone; the default is midnight.
 */
export const every = {
  /** Each `count` seconds, 1 to 59, counted from the full minute. */
  seconds(count: number): string {
    return `${stepOf(count, FIELD_KINDS.second)} * * * * *`;
  },
  /** Each `count` minutes, 1 to 59, counted from the full hour: `every.minutes(25)` is at 0, 25 and 50. */
  minutes(count: number): string {
    return `${stepOf(count, FIELD_KINDS.minute)} * * * *`;
  },
  /** Each hour at this minute. Default 0. */
  hour(minute = 0): string {
    return `${valueOf(minute, FIELD_KINDS.minute)} * * * *`;
  },
  /** Each day. */
  day(time?: TimeOfDay): string {
    return `${clockFields(time)} * * *`;
  },
  /** Each week on this day. */
  week(weekday: Weekday, time?: TimeOfDay): string {
    return `${clockFields(time)} * * ${valueOf(weekday, FIELD_KINDS.weekday)}`;
  },
  /** Each month on this day, 1 to 31; months that do not have it are left out. */
  month(day: number, time?: TimeOfDay): string {
    return `${clockFields(time)} ${valueOf(day, FIELD_KINDS.day)} * *`;
  },
  /** Each year on this day. */
  year(month: Month, day: number, time?: TimeOfDay): string {
    return `${clockFields(time)} ${valueOf(day, FIELD_KINDS.day)} ${valueOf(month, FIELD_KINDS.month)} *`;
  },
} as const;

/** A day of the week: its English name, or 0 to 7, where 0 and 7 are Sunday. */
export type Weekday = "sunday" | "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | number;

/** A month: its English name, or 1 to 12. */
export type Month =
  | "january"
  | "february"
  | "march"
  | "april"
  | "may"
  | "june"
  | "july"
  | "august"
  | "september"
  | "october"
  | "november"
  | "december"
  | number;

/** A time of the day: `"8:30"`, or with seconds `"08:30:15"`. */
export type TimeOfDay = `${number}:${number}` | `${number}:${number}:${number}`;

/** Minutes and hours of an expression, with seconds before them when there are any. */
function clockFields(time: unknown = "0:00"): string {
  const [, hour = "", minute = "", second] = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(String(time)) ?? [];
  if (hour === "") {
    throw new HowdahError(
      "HOWDAH_CRON_INVALID",
      `A time of the day must be written like "8:30" or "08:30:15", found ${describeValue(time)}.`,
    );
  }
  const fields = `${valueOf(Number(minute), FIELD_KINDS.minute)} ${valueOf(Number(hour), FIELD_KINDS.hour)}`;
  return second === undefined ? fields : `${valueOf(Number(second), FIELD_KINDS.second)} ${fields}`;
}

function stepOf(count: number, kind: FieldKind): string {
  if (Number.isInteger(count) && count >= 1 && count <= kind.max) return count === 1 ? "*" : `*/${count}`;
  throw outOfRange(count, `each number of ${kind.name}`, `1 to ${kind.max}`);
}

function valueOf(value: unknown, kind: FieldKind): number {
  const found = typeof value === "string" ? kind.names.indexOf(value.toLowerCase()) + kind.min : value;
  const isNamed = typeof value !== "string" || kind.names.includes(value.toLowerCase());
  const max = kind === FIELD_KINDS.weekday ? kind.max + 1 : kind.max;
  if (isNamed && Number.isInteger(found) && (found as number) >= kind.min && (found as number) <= max) {
    return found as number;
  }
  throw outOfRange(value, `a value for the ${kind.name}`, `${kind.min} to ${max}`);
}

function outOfRange(found: unknown, what: string, allowed: string): HowdahError {
  const text = what.charAt(0).toUpperCase() + what.slice(1);
  return new HowdahError("HOWDAH_CRON_INVALID", `${text} must be ${allowed}, found ${describeValue(found)}.`);
}
