import { comparePositions } from "../../postgres/position.ts";
import type { ClaimAnswer } from "../../postgres/queries/claim-answer.ts";
import type { ClaimRequest } from "../../postgres/queries/claim.ts";

/**
 * Whether the next search goes straight to the jobs without a queue of the best
 * priority, as pure functions. That is cheaper when these are all it gets, and
 * dearer when it has to look elsewhere after all; so it follows a search that got
 * all it asked for there.
 *
 *   state     means                              the next search   leaves when
 *   unlikely  the last one got less, or from     looks everywhere  one gets all from there  -> likely
 *             elsewhere as well, or failed
 *   likely    the last one got all from there    goes straight     it gets less             -> unlikely
 *                                                                  it was straight, and
 *                                                                  looked elsewhere         -> resting
 *   resting   a straight one looked elsewhere    looks everywhere  REST of them have been   -> unlikely,
 *             not long ago                                         answered                    or likely
 */
export interface StraightClaims {
  readonly isLikely: boolean;
  /** How many searches still have to look everywhere, at least. */
  readonly rest: number;
}

/** Before the first search. */
export const UNLIKELY: StraightClaims = { isLikely: false, rest: 0 };

/** A search was answered. */
export function afterSearch({ rest }: StraightClaims, search: AnsweredSearch): StraightClaims {
  if (search.wasStraight && !search.isStraight) return { isLikely: false, rest: REST };
  const left = Math.max(0, rest - 1);
  return { isLikely: left === 0 && search.isFull, rest: left };
}

/** A search has failed, or its answer was lost. */
export function afterFailure({ rest }: StraightClaims): StraightClaims {
  return { isLikely: false, rest };
}

/** How a search went. */
export interface AnsweredSearch {
  /** It was sent as straight. */
  readonly wasStraight: boolean;
  /** It was carried out as straight: nothing was looked at but the best priority. */
  readonly isStraight: boolean;
  /** It got all it asked for, of one priority and without a queue, and came across nothing else. */
  readonly isFull: boolean;
}

/** How a search went. Queues come into an answer when they are named, have become due, or are met by a window. */
export function answeredSearch(request: ClaimRequest, answer: ClaimAnswer): AnsweredSearch {
  return {
    wasStraight: request.isStraight === true,
    isStraight: answer.isStraight,
    isFull:
      answer.jobs.length >= request.quantity &&
      answer.levels.length === 1 &&
      request.queueIds.length === 0 &&
      request.windowAfter === null &&
      comparePositions(answer.due, request.due) <= 0,
  };
}

/** A straight search that looks elsewhere costs about a quarter more: with these between two of them it is 3% at most. */
export const REST = 8;
