import type { Position } from "../../postgres/position.ts";
import type { ClaimAnswer } from "../../postgres/queries/claim.ts";
import type { ClaimedJob } from "../claimed-job.ts";

/** Queued jobs that became due are scanned beside the priorities, under a key that is none. */
export const DUE = 32_768;

/** The floors that an answer proves: where it says so, else the last job it claimed of that priority. */
export function seenPositions(answer: ClaimAnswer, jobs: readonly ClaimedJob[]): [number, Position][] {
  const seen: [number, Position][] = [[DUE, answer.due]];
  for (const { priority, floor } of answer.levels) {
    const position = floor ?? lastPosition(jobs, priority);
    if (position) seen.push([priority, position]);
  }
  return seen;
}

function lastPosition(jobs: readonly ClaimedJob[], priority: number): Position | undefined {
  return jobs.findLast((job) => job.queueId === null && job.priority === priority)?.position;
}
