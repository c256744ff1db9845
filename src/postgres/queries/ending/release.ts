import type { Cell, Driver, QueryResult } from "../../driver.ts";
import { numberArray, textArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";
import {
  cellsOf,
  createReleaseCompleted,
  endsOf,
  isOnlyCompletions,
  keptCells,
  laneCells,
  placesOf,
} from "./release-completed.ts";
import type { JobChange, ReleaseRequest } from "./release-request.ts";

/** Ends claims. What it does beside other statements is told at the functions in `new-lanes.sql` and `new-lean-claim.sql`. */
export type Release = (request: ReleaseRequest) => Promise<ReleaseAnswer>;

/** Prepares {@link Release} for one schema, for workers that are registered while they run or for others. */
export function createRelease(driver: Driver, schema: Schema, isRegistered = false): Release {
  const textOf = (values: number): string => `select * from ${schema.of("_howdah_release_v2")}(${placesOf(values)})`;
  const plain = { name: "howdah_release_2", text: textOf(22) };
  const recording = { name: "howdah_release_recording_1", text: textOf(29) };
  const releaseCompleted = createReleaseCompleted(driver, schema);
  return async (request) => {
    if (isOnlyCompletions(request) && (await releaseCompleted(request))) return ALL_RELEASED;
    const { changed, parks = [] } = request;
    const { queueEnds, laneEnds } = endsOf(request);
    const records = recordCells(request);
    const answer = await driver.query({
      ...(records.length > 0 ? recording : plain),
      values: [
        request.workerId,
        numberArray(request.claimTimes),
        numberArray(request.completed),
        numberArray(changed.map((change) => change.id)),
        numberArray(changed.map((change) => String(change.refund))),
        numberArray(changed.map((change) => String(change.final))),
        numberArray(changed.map((change) => (change.delayMs === null ? "null" : Math.round(change.delayMs)))),
        textArray(changed.map((change) => change.message)),
        textArray(changed.map((change) => change.payload)),
        ...cellsOf(queueEnds),
        String(request.patient),
        changed.some(isInterrupted) ? numberArray(changed.map((change) => String(isInterrupted(change)))) : null,
        changed.some(isWithin) ? numberArray(changed.map((change) => change.within ?? "null")) : null,
        String(isRegistered),
        ...laneCells(laneEnds),
        parks.length > 0 ? numberArray(parks.map(({ queueId }) => queueId)) : null,
        parks.length > 0 ? numberArray(parks.map(({ until }) => until)) : null,
        ...records,
      ],
    });
    return readAnswer(answer);
  };
}

/** What is recorded of the jobs of a release; empty when that is nothing. */
function recordCells({ kept, changed }: ReleaseRequest): Cell[] {
  const hasFailed = changed.some(({ attempt }) => attempt !== undefined);
  if (!kept && !hasFailed) return [];
  const attempts = changed.map(({ attempt }) => attempt);
  return [
    ...(kept ? keptCells(kept) : [null, null, null, null]),
    hasFailed ? numberArray(attempts.map((attempt) => attempt?.number ?? "null")) : null,
    hasFailed ? numberArray(attempts.map((attempt) => attempt?.startedAt ?? "null")) : null,
    hasFailed ? textArray(attempts.map((attempt) => attempt?.stack ?? null)) : null,
  ];
}

/** What became of a release. Every id that is not in `unreleased` was released. */
export interface ReleaseAnswer {
  readonly unreleased: ReadonlyMap<string, ReleaseStatus>;
  /** The `run_at` of jobs that were changed, or are lost, in microseconds; `null` for those that have no attempt left. */
  readonly runAts: ReadonlyMap<string, string | null>;
  /** Of jobs that are lost: the newest claim that a release has ended, in microseconds; `null` when none has. */
  readonly releasedAts: ReadonlyMap<string, string | null>;
  /** A claim in the same statement has looked at the queues that were freed. Default `false`. */
  readonly hasClaimed?: boolean;
}

/** All that was asked for has happened. */
export const ALL_RELEASED: ReleaseAnswer = { unreleased: new Map(), runAts: new Map(), releasedAts: new Map() };

/**
 * Why a job was not released. `busy`: locked by another transaction. `kept`:
 * ours, free, and unchanged all the same. `awaited`: the same, because it was to be
 * deleted and has come to be awaited. `lost`: not ours any more.
 * `done`: its handler has completed it. `taken`: there is no such row, and others
 * may have removed it. `gone`: there is no such row, and no sign of others.
 */
export type ReleaseStatus = "busy" | "kept" | "awaited" | "lost" | "done" | "taken" | "gone";

function isInterrupted({ interrupted }: JobChange): boolean {
  return interrupted === true;
}

function isWithin({ within }: JobChange): boolean {
  return within !== undefined;
}

function readAnswer({ rows }: QueryResult): ReleaseAnswer {
  const unreleased = new Map<string, ReleaseStatus>();
  const runAts = new Map<string, string | null>();
  const releasedAts = new Map<string, string | null>();
  for (const [cell, status, runAt, releasedAt] of rows) {
    const id = String(cell);
    if (status === "released" || status === "lost") runAts.set(id, runAt ?? null);
    if (status === "lost") releasedAts.set(id, releasedAt ?? null);
    // The end of a chain says "busy" of its last job once more.
    if (status !== "released" && !unreleased.has(id)) unreleased.set(id, status as ReleaseStatus);
  }
  return { unreleased, runAts, releasedAts };
}
