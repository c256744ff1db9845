import { toTimestamp } from "../job/add/run-at.ts";
import { invalidOption, type OptionPlace } from "../runtime/options.ts";

/** Reads a time as PostgreSQL reads it. Throws `HOWDAH_OPTION_INVALID` for what is no time. */
export function readTime(given: unknown, place: OptionPlace): string {
  const timestamp = toTimestamp(given);
  if (timestamp !== undefined) return timestamp;
  throw invalidOption(place, "must be a valid Date or a time in ISO 8601 with its offset", given);
}

/** Reads a reason that is kept with a job, an empty one too. Throws `HOWDAH_OPTION_INVALID` for what is no text. */
export function readReason(given: unknown, place: OptionPlace): string {
  if (typeof given !== "string") throw invalidOption(place, "must be a text", given);
  // The characters that PostgreSQL cannot store; the text is for people, so it is kept readable.
  return given.replace(/[\0\p{Surrogate}]/gu, "");
}
