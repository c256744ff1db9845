import type { Duration } from "../runtime/duration.ts";
import { boolean, duration, required } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type OptionPlace, readObject } from "../runtime/options.ts";

/** What is kept of the jobs of a task that have ended. */
export interface KeepOptions {
  /** For how long, up to a year: rounded up to a day, a week, 30 days or 365. */
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
  const { forMs, payload, result } = isOptionsObject(given)
    ? readObject(place, given, KEEP)
    : { forMs: required(duration()).read(given, place), payload: false, result: true };
  const days = LENGTHS.find((length) => forMs <= length * DAY_MS);
  if (days !== undefined && forMs > 0) return { days, payload, result };
  throw invalidOption(place, "must be a time of at most 365 days, and more than none", given);
}

/** The times that jobs are kept: for each there are partitions. */
const LENGTHS = [1, 7, 30, 365] as const;

const DAY_MS = 86_400_000;

const KEEP = {
  for: required(duration()),
  payload: boolean({ default: false }),
  result: boolean({ default: true }),
};
