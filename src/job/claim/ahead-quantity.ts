/**
 * How many jobs without a queue a claim may bring beyond those that start at
 * once, as a pure function. `read-ahead.ts` keeps what it is asked with.
 *
 *   the worker                                    reads ahead
 *   has one slot, which keeps the exact order     nothing
 *   has claimed, and the claim came back short    nothing
 *   the same, and the answer took half of         nothing
 *     HOLD_MS or longer
 *   had to give jobs back within REST_MS          nothing
 *   none of these                                 what it starts in HOLD_MS at the pace of the last
 *                                                 second, at most one job for each slot
 *
 * The pace counts quick jobs only: those whose handlers take the other half of
 * HOLD_MS at most. So a worker whose jobs are slow or rare reads nothing ahead,
 * and what is read ahead has nearly always started when its time is over.
 */
export function aheadQuantity({ slots, isFull, tookMs, quickJobs, sinceReturnMs }: ClaimsSoFar): number {
  if (slots < 2 || !isFull || tookMs >= HOLD_MS / 2 || sinceReturnMs < REST_MS) return 0;
  return Math.min(slots, Math.floor((quickJobs * HOLD_MS) / 1_000));
}

/** What a worker knows when it is about to claim. */
export interface ClaimsSoFar {
  /** How many jobs it can run at once. */
  readonly slots: number;
  /** Its last claim brought as many jobs as it asked for. */
  readonly isFull: boolean;
  /** How long the answer took. */
  readonly tookMs: number;
  /** How many quick jobs have ended in the last second. */
  readonly quickJobs: number;
  /** How long ago jobs that were read ahead went back unstarted. */
  readonly sinceReturnMs: number;
}

/** For so long after its claim was sent a job that was read ahead may wait for a slot. */
export const HOLD_MS = 50;

/** How long nothing is read ahead after jobs had to go back. */
export const REST_MS = 1_000;
