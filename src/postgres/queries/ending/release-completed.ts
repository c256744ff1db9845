import type { Cell, Driver } from "../../driver.ts";
import { numberArray, textArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";
import { sqlStateOf } from "../../sqlstate.ts";
import type { ChainEnd, KeptJob, ReleaseRequest } from "./release-request.ts";

/** Deletes completed jobs and unlocks their queues. Resolves to false when not all of it could be, and nothing was. */
export type ReleaseCompleted = (request: ReleaseRequest) => Promise<boolean>;

/** Prepares {@link ReleaseCompleted} for one schema. */
export function createReleaseCompleted(driver: Driver, schema: Schema): ReleaseCompleted {
  const textOf = (isKept: boolean): string => `select true from ${releaseCompletedCall(schema, isKept)}`;
  const plain = { name: "howdah_release_completed_2", text: textOf(false) };
  const keeping = { name: "howdah_release_completed_keeping_1", text: textOf(true) };
  return async (request) => {
    try {
      await driver.query({ ...(request.kept ? keeping : plain), values: completionValues(request) });
      return true;
    } catch (error) {
      if (sqlStateOf(error) === PARTLY_RELEASED_STATE) return false;
      throw error;
    }
  };
}

/** SQLSTATE: one of the jobs is not held any more, or something keeps its row. */
const PARTLY_RELEASED_STATE = "HWPRT";

/** True for a release that only deletes completed jobs and unlocks their queues, and that has not failed before. */
export function isOnlyCompletions({ completed, kept, changed, parks, patient, isApart }: ReleaseRequest): boolean {
  const hasCompleted = completed.length > 0 || kept !== undefined;
  return patient && isApart !== true && hasCompleted && changed.length === 0 && !parks?.length;
}

/** The call that releases them, all or none, with {@link completionValues} as the first values. */
export function releaseCompletedCall(schema: Schema, isKept: boolean): string {
  return `${schema.of("_howdah_release_completed_v1")}(${placesOf(completionCount(isKept))})`;
}

/** How many values {@link completionValues} are, as some of the jobs are kept or none is. */
export function completionCount(isKept: boolean): number {
  return isKept ? 14 : 10;
}

/** The arguments of the function, in order. */
export function completionValues(request: ReleaseRequest): Cell[] {
  const { workerId, claimTimes, completed, chainEnds } = request;
  const ends = chainEnds.length === 0 ? NO_ENDS : endCells(request);
  const values = [workerId, numberArray(claimTimes), numberArray(completed), ...ends];
  return request.kept ? [...values, ...keptCells(request.kept)] : values;
}

/** Jobs without a queue end no chain. */
const NO_ENDS: readonly Cell[] = ["{}", "{}", "{}", null, null, null, null];

/** Where chains of queues end, then where those on lanes do. */
function endCells(request: ReleaseRequest): Cell[] {
  const { queueEnds, laneEnds } = endsOf(request);
  return [...cellsOf(queueEnds), ...laneCells(laneEnds)];
}

/** Ends of chains apart: nearly always there are no lanes. */
export function endsOf({ chainEnds }: ReleaseRequest): Record<"queueEnds" | "laneEnds", readonly ChainEnd[]> {
  const laneEnds = chainEnds.filter(isLaneEnd);
  return { laneEnds, queueEnds: laneEnds.length === 0 ? chainEnds : chainEnds.filter((end) => !isLaneEnd(end)) };
}

function isLaneEnd({ lane }: ChainEnd): boolean {
  return lane != null;
}

/** Where chains end, with which jobs, and when that was locked. */
export function cellsOf(ends: readonly ChainEnd[]): Cell[] {
  return [
    numberArray(ends.map((end) => end.queueId)),
    numberArray(ends.map((end) => end.lastJobId)),
    numberArray(ends.map((end) => end.claimedAt)),
  ];
}

export function laneCells(ends: readonly ChainEnd[]): Cell[] {
  if (ends.length === 0) return [null, null, null, null];
  const [owners = null, lasts = null, times = null] = cellsOf(ends);
  return [owners, numberArray(ends.map(({ lane }) => lane ?? "null")), lasts, times];
}

/** What is written into history of jobs that are kept: their ids, results, why these are missing, and their starts. */
export function keptCells(kept: readonly KeptJob[]): Cell[] {
  return [
    numberArray(kept.map(({ id }) => id)),
    textArray(kept.map(({ result }) => result)),
    textArray(kept.map(({ error }) => error)),
    numberArray(kept.map(({ startedAt }) => startedAt ?? "null")),
  ];
}

/** As many places for values. */
export function placesOf(count: number): string {
  return Array.from({ length: count }, (_, index) => `$${index + 1}`).join(", ");
}
