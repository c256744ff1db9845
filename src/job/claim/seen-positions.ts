import type { Position } from "../../postgres/position.ts";
import type { ClaimAnswer } from "../../postgres/queries/claim.ts";

/** Queued jobs that became due are scanned beside the priorities, under a key that is none. */
export const DUE = 32_768;

/** The floors that an answer proves. */
export function seenPositions({ due, levels }: ClaimAnswer): [number, Position][] {
  const seen: [number, Position][] = [[DUE, due]];
  for (const { priority, floor } of levels) if (floor) seen.push([priority, floor]);
  return seen;
}
