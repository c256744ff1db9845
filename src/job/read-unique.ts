import type { UniqueRule } from "../postgres/queries/job-to-store.ts";
import { delayCell } from "../postgres/queries/run-times.ts";
import { duration, func, oneOf, required } from "../runtime/option-kinds.ts";
import { invalidOption, type OptionPlace, readObject } from "../runtime/options.ts";
import type { KeyFunction } from "./unique-options.ts";

/** Reads `unique`. Throws `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`. */
export function readUnique(given: unknown, place: OptionPlace): UniqueChoice {
  const read = readObject(place, given, UNIQUE);
  const forMs = read.forMs === undefined ? undefined : Math.ceil(read.forMs);
  return { by: read.by, rule: { while: read.while, otherwise: read.otherwise, forMs } };
}

/** Reads `debounce`, which replaces a job that waits and lets it be due later. Throws as {@link readUnique}. */
export function readDebounce(given: unknown, place: OptionPlace): UniqueChoice {
  const { by, waitMs, maxWaitMs } = readObject(place, given, DEBOUNCE);
  if (maxWaitMs !== undefined && maxWaitMs < waitMs) {
    throw invalidOption({ ...place, path: `${place.path}.maxWait` }, "must not be shorter than `wait`", maxWaitMs);
  }
  const latestMs = maxWaitMs === undefined ? undefined : Math.round(maxWaitMs);
  return { by, rule: { while: "waiting", otherwise: "replace", latestMs }, runAt: delayCell(waitMs) };
}

/** How a job is unique, before its key is known. */
export interface UniqueChoice {
  readonly by: KeyFunction<unknown> | undefined;
  readonly rule: UniqueRule;
  /** When it is due, as a delay; `undefined` leaves that to its spec. */
  readonly runAt?: string | undefined;
}

const BY = func<KeyFunction<unknown>>();

const UNIQUE = {
  by: BY,
  while: oneOf(["waiting", "unfinished"], { default: "unfinished" }),
  for: duration({ min: 1 }),
  otherwise: oneOf(["keep", "replace", "reject"], { default: "keep" }),
};

const DEBOUNCE = { by: BY, wait: required(duration()), maxWait: duration() };
