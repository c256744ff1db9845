import { type QueueRate, toQueueRules } from "../job/queue-rules.ts";
import { toNullableDate } from "../job/row.ts";
import type { QueueLimitsRecord } from "../postgres/queries/queue-limits.ts";

/** A queue with rules, as it was when it was read. */
export interface QueueLimits {
  /** The name or pattern whose rules it follows, or gets when it is waiting; null when they are taken away. */
  readonly rule: string | null;
  /** How many of its jobs may run at once. */
  readonly concurrency: number | "unlimited";
  /** How many of its lanes are taken; without a limit how many of its first 1,000 jobs run. */
  readonly running: number;
  /** The rate of its rules; null when they have none. */
  readonly rate: QueueRate | null;
  readonly share: number;
  /** The name of its pool. */
  readonly pool: string | null;
  /** When its rate lets the next job start; null when that may be now, or it has none. */
  readonly nextStartAt: Date | null;
  /** Until when a handler has told it to wait; null when none has. */
  readonly parkedUntil: Date | null;
  /** No job of it starts until those that run have ended: then it gets the rules that are stored. */
  readonly isWaiting: boolean;
}

/** What was read of a queue with rules, with the number of its locked jobs. */
export function toQueueLimits(record: QueueLimitsRecord, running: number): QueueLimits {
  const { width, held, share, pool, nextAt, parkedUntil, waits, rule } = record;
  return {
    rule: rule?.pattern ?? null,
    concurrency: width === 0 ? "unlimited" : (width ?? 1),
    running: width === null || width === 0 ? running : held,
    rate: (rule && toQueueRules({ ...rule, width: null, share: null, pool: null }).rate) ?? null,
    share: share ?? 1,
    pool,
    nextStartAt: toNullableDate(nextAt),
    parkedUntil: toNullableDate(parkedUntil),
    isWaiting: waits,
  };
}
