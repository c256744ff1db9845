import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { parseDuration, type Duration } from "../runtime/duration.ts";

/** Marks directives, also between two copies of this package. */
export const DIRECTIVE: unique symbol = Symbol.for("howdah.directive");

/** What a handler returns when the job is neither done nor failed. Made by {@link snooze}, {@link rateLimited} and {@link cancel}. */
export type Directive =
  | { readonly [DIRECTIVE]: true; readonly kind: "snooze"; readonly delay: Duration }
  | RateLimited
  | { readonly [DIRECTIVE]: true; readonly kind: "cancel"; readonly reason: string };

/**
 * Returned by a handler: run this job again after `delay`. The attempt does
 * not count. Throws `HOWDAH_OPTION_INVALID` when `delay` is no duration.
 */
export function snooze(delay: Duration): Directive {
  parseDuration(delay, "the delay of snooze()");
  return { [DIRECTIVE]: true, kind: "snooze", delay };
}

/** What {@link rateLimited} makes: an error, so that it can be thrown as well. */
export type RateLimited = Error & {
  readonly [DIRECTIVE]: true;
  readonly kind: "rateLimited";
  /** In milliseconds since 1970; or for how long. */
  readonly until: { readonly at: number } | { readonly afterMs: number };
};

/** When a limit ends that a handler has come up against: a time, as a `Date`, in ISO 8601 or as a date of HTTP; or a time from now. */
export type RateLimit =
  | { readonly until: Date | string; readonly after?: undefined }
  | { readonly after: Duration; readonly until?: undefined };

/**
 * Returned or thrown by a handler that a service tells to wait: this job runs
 * again then, without having used up an attempt, and until then no other job of
 * its queue starts, if the queue has rules; jobs of other queues go on. Throws
 * `HOWDAH_OPTION_INVALID` unless exactly one of `until` and `after` is given.
 */
export function rateLimited(limit: RateLimit): RateLimited {
  return Object.assign(new Error("The job runs again when its rate limit ends."), {
    [DIRECTIVE]: true,
    kind: "rateLimited",
    until: readLimit(limit),
  } as const);
}

function readLimit(limit: RateLimit): RateLimited["until"] {
  const { until, after } = Object(limit) as RateLimit;
  if ((until === undefined) === (after === undefined)) {
    throw new HowdahError("HOWDAH_OPTION_INVALID", "rateLimited() needs either `until` or `after`.");
  }
  if (after !== undefined) return { afterMs: parseDuration(after, "`after` of rateLimited()") };
  const at = until instanceof Date ? until.getTime() : Date.parse(String(until));
  if (!Number.isNaN(at)) return { at };
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `\`until\` of rateLimited() must be a valid Date, a time in ISO 8601 or a date of HTTP, found ${describeValue(until)}.`,
  );
}

/** Returned by a handler: this job must not be done, now or later. It ends as failed, with `reason` as its error. */
export function cancel(reason: string): Directive {
  return { [DIRECTIVE]: true, kind: "cancel", reason: errorMessage(reason) };
}

/** True for what {@link snooze}, {@link rateLimited} and {@link cancel} made, and for nothing that only looks like it. Never throws. */
export function isDirective(value: unknown): value is Directive {
  if (typeof value !== "object" || value === null) return false;
  try {
    const { [DIRECTIVE]: marked, kind } = value as Partial<Directive>;
    return marked === true && (kind === "snooze" || kind === "rateLimited" || kind === "cancel");
  } catch {
    // A proxy or getter of the handler's own.
    return false;
  }
}

/** True for what {@link rateLimited} made, which a handler may throw. Never throws. */
export function isRateLimited(thrown: unknown): thrown is RateLimited {
  return isDirective(thrown) && thrown.kind === "rateLimited";
}
