import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { didYouMean } from "../runtime/suggestion.ts";

/** The default zone. */
export const DEFAULT_TIME_ZONE = "UTC";

/**
 * Checks the name of a time zone and returns it. Throws `HOWDAH_CRON_INVALID`
 * for everything that is not an IANA name this version of Node.js knows, such
 * as an offset.
 */
export function checkTimeZone(given: unknown): string {
  if (typeof given === "string" && isTimeZone(given)) return given;
  const hint = typeof given === "string" ? didYouMean(given, Intl.supportedValuesOf("timeZone")) : ".";
  // A list of some six hundred names would not help.
  const advice = hint.startsWith(". ") ? "." : hint;
  throw new HowdahError(
    "HOWDAH_CRON_INVALID",
    `A time zone must be an IANA name such as "Europe/Berlin" or "UTC", found ${describeValue(given)}${advice}`,
  );
}

function isTimeZone(name: string): boolean {
  // Intl also accepts offsets such as "+02:00", which have no daylight saving time.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
