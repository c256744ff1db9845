import { type Duration, parseDuration } from "../runtime/duration.ts";
import { boolean, custom, required } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type OptionPlace, readObject } from "../runtime/options.ts";

/** What is kept of the jobs of a task that have ended. */
export interface KeepOptions {
  /** For how long, an hour to 365 days: rounded up to a day, a week, 30 days or 365. */
  readonly for: Duration;
  /** Also the payload. Default `false`. */
  readonly payload?: boolean | undefined;
  /** Also what the handler returned, as JSON. Default `true`. */
  readonly result?: boolean | undefined;
}

/** What is kept of a task's jobs, as it is stored with the task. */
export interface Keep {
  /** For how many days. */
  readonly days: 1 | 7 | 30 | 365;
  readonly payload: boolean;
  readonly result: boolean;
}

/** Reads `keep`: a duration, or an object. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`. */
export function readKeep(given: unknown, place: OptionPlace): Keep {
  if (!isOptionsObject(given)) return { days: readDays(given, place), payload: false, result: true };
  const { for: days, payload, result } = readObject(place, given, KEEP);
  return { days, payload, result };
}

/** Reads for how long jobs are kept. */
function readDays(given: unknown, place: OptionPlace): Keep["days"] {
  const forMs = typeof given === "number" || typeof given === "string" ? durationOf(given) : 0;
  const days = LENGTHS.find((length) => forMs <= length * DAY_MS);
  // What is less was meant as something else: `7` as days, "1m" as a month.
  if (days !== undefined && forMs >= HOUR_MS) return days;
  throw invalidOption(
    place,
    'must be a time of an hour to 365 days, with its unit, such as "7d" or "52w", and is left out to keep nothing',
    given,
  );
}

/** In milliseconds; 0 when it is none. */
function durationOf(given: number | string): number {
  try {
    return parseDuration(given, "keep");
  } catch {
    return 0;
  }
}

/** The times that jobs are kept: for each there are partitions. */
const LENGTHS = [1, 7, 30, 365] as const;

const HOUR_MS = 3_600_000;

const DAY_MS = 24 * HOUR_MS;

const KEEP = {
  for: required(custom(readDays)),
  payload: boolean({ default: false }),
  result: boolean({ default: true }),
};
