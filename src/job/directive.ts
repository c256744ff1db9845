import { errorMessage } from "../runtime/error-message.ts";
import { parseDuration, type Duration } from "../runtime/duration.ts";

/** Marks directives, also between two copies of this package. */
export const DIRECTIVE: unique symbol = Symbol.for("howdah.directive");

/** What a handler returns when the job is neither done nor failed. Made by {@link snooze} and {@link cancel}. */
export type Directive =
  | { readonly [DIRECTIVE]: true; readonly kind: "snooze"; readonly delay: Duration }
  | { readonly [DIRECTIVE]: true; readonly kind: "cancel"; readonly reason: string };

/**
 * Returned by a handler: run this job again after `delay`. The attempt does
 * not count. Throws `HOWDAH_OPTION_INVALID` when `delay` is no duration.
 */
export function snooze(delay: Duration): Directive {
  parseDuration(delay, "the delay of snooze()");
  return { [DIRECTIVE]: true, kind: "snooze", delay };
}

/** Returned by a handler: this job must not be done, now or later. It ends as failed, with `reason` as its error. */
export function cancel(reason: string): Directive {
  return { [DIRECTIVE]: true, kind: "cancel", reason: errorMessage(reason) };
}

/** True for what {@link snooze} and {@link cancel} made, and for nothing that only looks like it. Never throws. */
export function isDirective(value: unknown): value is Directive {
  if (typeof value !== "object" || value === null) return false;
  try {
    const { [DIRECTIVE]: marked, kind } = value as Partial<Directive>;
    return marked === true && (kind === "snooze" || kind === "cancel");
  } catch {
    // A proxy or getter of the handler's own.
    return false;
  }
}
