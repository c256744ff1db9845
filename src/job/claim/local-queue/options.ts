import { HowdahError } from "../../../errors.ts";
import type { Duration } from "../../../runtime/duration.ts";
import { duration, integer, switchable } from "../../../runtime/option-kinds.ts";
import type { OptionsOf } from "../../../runtime/options.ts";
import { REFETCH_SPELLINGS } from "../../peer-names.ts";

/** Slows down the fetch after one that brought little. */
export interface RefetchDelayOptions {
  /** The longest wait; each is between half and all of it. Not above `pollInterval`. Default 100ms. */
  readonly duration?: Duration | undefined;
  /** `duration`, as graphile-worker spells it. */
  readonly durationMs?: Duration | undefined;
  /** A fetch that brings no more jobs than this, and fewer than it asked for, is followed by a wait. Default 0. */
  readonly threshold?: number | undefined;
  /** The most announced jobs that end the wait; each wait ends at a random number up to it. Default 5 × size. */
  readonly maxAbortThreshold?: number | undefined;
}

/** Claims ahead: jobs are locked in batches and wait in memory for a slot. */
export interface LocalQueueOptions {
  /** The most jobs that each local queue holds or fetches, 1 to 2147483647. Default 100. */
  readonly size?: number | undefined;
  /** How long jobs may wait here before they are given back. Default 5m. */
  readonly ttl?: Duration | undefined;
  /** Default: off. `true` for its defaults. */
  readonly refetchDelay?: boolean | RefetchDelayOptions | undefined;
  /** How many local queues work side by side, at least 1; more than `concurrency` count as `concurrency`. Default 1. */
  readonly queueCount?: number | undefined;
}

/** The largest integer of PostgreSQL. */
const MAX_INTEGER = 2_147_483_647;

const SHAPE = {
  size: integer({ min: 1, max: MAX_INTEGER, default: 100 }),
  ttl: duration({ min: 1, default: "5m" }),
  refetchDelay: switchable(
    {
      duration: duration({ default: "100ms" }),
      threshold: integer({ min: 0, default: 0 }),
      maxAbortThreshold: integer({ min: 1 }),
    },
    { spellings: REFETCH_SPELLINGS },
  ),
  queueCount: integer({ min: 1, default: 1 }),
};

/** How {@link LocalQueueOptions} are read. */
export const LOCAL_QUEUE = switchable(SHAPE);

/** Read {@link LocalQueueOptions}. */
export type LocalQueueSettings = OptionsOf<typeof SHAPE>;

/** Read {@link RefetchDelayOptions}. */
export type RefetchDelaySettings = NonNullable<LocalQueueSettings["refetchDelay"]>;

/** Checks what depends on another option. Throws `HOWDAH_OPTION_INVALID`. */
export function checkLocalQueue({ refetchDelay }: LocalQueueSettings, pollIntervalMs: number): void {
  if (!refetchDelay || refetchDelay.durationMs <= pollIntervalMs) return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `Worker option \`localQueue.refetchDelay.duration\` (${refetchDelay.durationMs} ms) must not be larger than ` +
      `\`pollInterval\` (${pollIntervalMs} ms).`,
  );
}
