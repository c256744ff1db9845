import { HowdahError } from "../errors.ts";
import { parseDuration, type Duration } from "../runtime/duration.ts";
import { custom, duration, integer, required, string } from "../runtime/option-kinds.ts";
import { invalidOption, optionLabel, readObject, type OptionPlace } from "../runtime/options.ts";

/** How the jobs of a queue may start, instead of one at a time. At least one of it has to be given. */
export interface QueueRules {
  /**
   * How many of its jobs run at once, on all workers together: 1 to 1,000, in rules for a pattern
   * to 100, or as many as there are. Default 1: one after the other, in their order.
   */
  readonly concurrency?: number | "unlimited" | undefined;
  /** How many of its jobs start in a time. Default: as many as there are. */
  readonly rate?: QueueRate | undefined;
  /** How many of its jobs start in its turn, where several queues wait for the same slots: 1 to 100. Default 1. */
  readonly share?: number | undefined;
  /** The name of a pool, whose limits count for all its queues together. Default: none. */
  readonly pool?: string | undefined;
}

/** How many jobs of one queue, or of one pool, start in a time. */
export interface QueueRate {
  /** How many start in each `per`; at least one a day and at most a million a second. */
  readonly limit: number;
  readonly per: Duration;
  /**
   * How many may start at once after a rest: 1 to 10,000. In any time `t` at most
   * `burst + limit * t / per` start. Default: as many as come in a second, at least 1.
   */
  readonly burst?: number | undefined;
}

/** What is common to a queue and a pool. */
export type PoolRules = Pick<QueueRules, "concurrency" | "rate">;

/** Rules as they are stored. */
export interface StoredRules {
  /** 0 for no limit; `null` when nothing was said. */
  readonly width: number | null;
  /** Microseconds from token to token, and how many are kept. */
  readonly tokenUs: number | null;
  readonly burst: number | null;
  readonly share: number | null;
  readonly pool: string | null;
}

/** Reads the rules for a name or pattern. Throws `HOWDAH_OPTION_INVALID` and `HOWDAH_OPTION_UNKNOWN`. */
export function readQueueRules(given: unknown, pattern: string, place: OptionPlace): StoredRules {
  const read = readObject(place, given, {
    concurrency: concurrencyUpTo(pattern.endsWith("*") ? MOST_LANES_OF_PATTERN : MOST_LANES),
    rate: custom(readRate),
    share: integer({ min: 1, max: 100 }),
    pool: string({ maxLength: MAX_NAME_LENGTH }),
  });
  if (Object.values(read).every((value) => value === undefined)) throw nothingSaid(place);
  return { ...toStored(read), share: read.share ?? null, pool: read.pool ?? null };
}

/** Reads the limits of a pool; otherwise as {@link readQueueRules}. */
export function readPoolRules(given: unknown, place: OptionPlace): StoredRules {
  const read = readObject(place, given, { concurrency: concurrencyUpTo(MOST_LANES), rate: custom(readRate) });
  if (read.concurrency === undefined && read.rate === undefined) throw nothingSaid(place);
  // A pool with a rate alone is not a queue: there is no order to keep.
  return { ...toStored({ ...read, concurrency: read.concurrency ?? 0 }), share: null, pool: null };
}

/**
 * Checks the name of a queue, or what names begin with before an asterisk at the end.
 * Throws `HOWDAH_OPTION_INVALID`.
 */
export function readPattern(given: unknown, place: OptionPlace): string {
  const name = typeof given === "string" ? given.replace(/\*$/, "") : "";
  const fits =
    typeof given === "string" &&
    given !== "" &&
    Array.from(name).length <= MAX_NAME_LENGTH &&
    !/\0|\*|\p{Surrogate}/u.test(name);
  if (fits) return given;
  throw invalidOption(
    place,
    `must be the name of a queue, of 1 to ${MAX_NAME_LENGTH} characters, or what names begin with and an asterisk at the end, such as "tenant:*"`,
    given,
  );
}

/** As stored rules are shown: a rate in the largest whole number of starts in a common time. */
export function toQueueRules({ width, tokenUs, burst, share, pool }: StoredRules): QueueRules {
  return {
    ...(width === null ? {} : { concurrency: width === 0 ? ("unlimited" as const) : width }),
    ...(tokenUs === null ? {} : { rate: { ...toLimit(tokenUs), burst: burst ?? 1 } }),
    ...(share === null ? {} : { share }),
    ...(pool === null ? {} : { pool }),
  };
}

/** The most characters of the name of a queue or pool. */
export const MAX_NAME_LENGTH = 128;
const MOST_LANES = 1_000;
/** Of a pattern: each queue that it fits has as many rows. */
const MOST_LANES_OF_PATTERN = 100;
const DAY_US = 86_400_000_000;
/** The longest time in which an empty bucket becomes full. */
const YEAR_US = 366 * DAY_US;
const MOST_BURST = 10_000;

type Rate = Pick<StoredRules, "tokenUs" | "burst">;

function toStored(read: { readonly concurrency: number | undefined; readonly rate: Rate | undefined }) {
  return { width: read.concurrency ?? null, tokenUs: read.rate?.tokenUs ?? null, burst: read.rate?.burst ?? null };
}

function concurrencyUpTo(most: number) {
  return custom((given, place): number => {
    if (given === "unlimited") return 0;
    if (Number.isSafeInteger(given) && (given as number) >= 1 && (given as number) <= most) return given as number;
    throw invalidOption(place, `must be a whole number from 1 to ${most}, or "unlimited"`, given);
  });
}

function readRate(given: unknown, place: OptionPlace): Rate {
  const { limit, perMs, burst } = readObject(place, given, {
    limit: required(integer({ min: 1 })),
    per: required(duration({ min: 1 })),
    burst: integer({ min: 1, max: MOST_BURST }),
  });
  const exact = (perMs * 1000) / limit;
  // Up, so that never more start than were allowed; what is behind the point comes of fractions.
  const tokenUs = Math.ceil(exact - 1e-4);
  if (exact < 1 || tokenUs > DAY_US) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${optionLabel(place)} must be from one start a day to a million starts a second.`,
    );
  }
  const kept = burst ?? Math.min(MOST_BURST, Math.ceil(1e6 / tokenUs));
  if (tokenUs * kept <= YEAR_US) return { tokenUs, burst: kept };
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${optionLabel(place)} must have a smaller \`burst\`: these would take longer than a year to come back.`,
  );
}

function nothingSaid(place: OptionPlace): HowdahError {
  return new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${optionLabel(place)} must say something, such as \`{ concurrency: 5 }\`; null takes rules away.`,
  );
}

function toLimit(tokenUs: number): Pick<QueueRate, "limit" | "per"> {
  const per = UNITS.find((unit) => (parseDuration(unit, "unit") * 1000) % tokenUs === 0);
  if (per === undefined) return { limit: 1, per: tokenUs / 1000 };
  return { limit: (parseDuration(per, "unit") * 1000) / tokenUs, per };
}

const UNITS = ["1s", "1m", "1h", "1d"] as const;
