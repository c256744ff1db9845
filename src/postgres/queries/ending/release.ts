import type { Cell, Driver, QueryResult } from "../../driver.ts";
import { numberArray, textArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";
import { sqlStateOf } from "../../sqlstate.ts";

/** Ends claims. What it does beside other statements is told at the functions in `new-lanes.sql` and `new-lean-claim.sql`. */
export type Release = (request: ReleaseRequest) => Promise<ReleaseAnswer>;

/** Prepares {@link Release} for one schema, for workers that are registered while they run or for others. */
export function createRelease(driver: Driver, schema: Schema, isRegistered = false): Release {
  const places = Array.from({ length: 22 }, (_, index) => `$${index + 1}`).join(", ");
  const text = `select * from ${schema.of("_howdah_release_v2")}(${places})`;
  const releaseCompleted = createReleaseCompleted(driver, schema);
  return async (request) => {
    if (isOnlyCompletions(request) && (await releaseCompleted(request))) return ALL_RELEASED;
    const { changed, parks = [] } = request;
    const { queueEnds, laneEnds } = endsOf(request);
    const answer = await driver.query({
      name: "howdah_release_2",
      text,
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
      ],
    });
    return readAnswer(answer);
  };
}

/** Deletes completed jobs and unlocks their queues. Resolves to false when not all of it could be, and nothing was. */
type ReleaseCompleted = (request: ReleaseRequest) => Promise<boolean>;

function createReleaseCompleted(driver: Driver, schema: Schema): ReleaseCompleted {
  const query = { name: "howdah_release_completed_2", text: `select true from ${releaseCompletedCall(schema)}` };
  return async (request) => {
    try {
      await driver.query({ ...query, values: completionValues(request) });
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
export function isOnlyCompletions({ completed, changed, parks, patient, isApart }: ReleaseRequest): boolean {
  return patient && isApart !== true && completed.length > 0 && changed.length === 0 && !parks?.length;
}

/** The call that releases them, all or none, with {@link completionValues} as the first values. */
export function releaseCompletedCall(schema: Schema): string {
  return `${schema.of("_howdah_release_completed_v1")}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`;
}

/** How many values {@link completionValues} are. */
export const COMPLETION_VALUES = 10;

/** The arguments of the function, in order. */
export function completionValues(request: ReleaseRequest): Cell[] {
  const { workerId, claimTimes, completed, chainEnds } = request;
  const ends = chainEnds.length === 0 ? NO_ENDS : endCells(request);
  return [workerId, numberArray(claimTimes), numberArray(completed), ...ends];
}

/** Jobs without a queue end no chain. */
const NO_ENDS: readonly Cell[] = ["{}", "{}", "{}", null, null, null, null];

/** Where chains of queues end, then where those on lanes do. */
function endCells(request: ReleaseRequest): Cell[] {
  const { queueEnds, laneEnds } = endsOf(request);
  return [...cellsOf(queueEnds), ...laneCells(laneEnds)];
}

/** Ends of chains apart: nearly always there are no lanes. */
function endsOf({ chainEnds }: ReleaseRequest): Record<"queueEnds" | "laneEnds", readonly ChainEnd[]> {
  const laneEnds = chainEnds.filter(isLaneEnd);
  return { laneEnds, queueEnds: laneEnds.length === 0 ? chainEnds : chainEnds.filter((end) => !isLaneEnd(end)) };
}

function isLaneEnd({ lane }: ChainEnd): boolean {
  return lane != null;
}

/** Where chains end, with which jobs, and when that was locked. */
function cellsOf(ends: readonly ChainEnd[]): Cell[] {
  return [
    numberArray(ends.map((end) => end.queueId)),
    numberArray(ends.map((end) => end.lastJobId)),
    numberArray(ends.map((end) => end.claimedAt)),
  ];
}

function laneCells(ends: readonly ChainEnd[]): Cell[] {
  if (ends.length === 0) return [null, null, null, null];
  const [owners = null, lasts = null, times = null] = cellsOf(ends);
  return [owners, numberArray(ends.map(({ lane }) => lane ?? "null")), lasts, times];
}

/** The claims of one worker id that end together. */
export interface ReleaseRequest {
  readonly workerId: string;
  /** All claim times of these jobs, in microseconds. */
  readonly claimTimes: readonly string[];
  /** Deleted. */
  readonly completed: readonly string[];
  readonly changed: readonly JobChange[];
  readonly chainEnds: readonly ChainEnd[];
  /** Queues with rules of which no job is to start for a while. Default: none. */
  readonly parks?: readonly QueuePark[];
  /** Waits 100 ms for rows that another transaction has locked and then rejects with 55P03; otherwise they come back as `busy`. */
  readonly patient: boolean;
  /** It has failed before: nothing else may depend on the statement. Default `false`. */
  readonly isApart?: boolean;
}

/** How a job that is kept changes when its claim ends. */
export interface JobChange {
  readonly id: string;
  /** Gives the attempt back, unless the job was removed or replaced while it ran. */
  readonly refund: boolean;
  /** Uses up all attempts. */
  readonly final: boolean;
  /** The handler was called and did not get to the end: counts as a recovery, and a marked job gets no refund. */
  readonly interrupted?: boolean;
  /** From now to the new `run_at`; `null` keeps it. */
  readonly delayMs: number | null;
  /** The new `last_error`; `null` keeps it. */
  readonly message: string | null;
  /** The new payload as JSON; `null` keeps it. */
  readonly payload: string | null;
  /** The transaction in which its handler has completed it: nothing changes if that has committed. */
  readonly within?: string | undefined;
}

/**
 * A queue, or a lane of a queue or pool, whose chain ends. It is unlocked only when
 * the chain's last open job is no longer held.
 */
export interface ChainEnd {
  /** The queue; for a lane of a pool minus the id of the pool. */
  readonly queueId: number;
  /** The lane that ends; `null` for the lock of the queue itself. Default `null`. */
  readonly lane?: number | null;
  readonly lastJobId: string;
  readonly claimedAt: string;
}

/** Until when no job of a queue starts; an earlier end of a park never shortens a later one. */
export interface QueuePark {
  readonly queueId: number;
  /** In microseconds. */
  readonly until: string;
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
 * ours, free, and unchanged all the same. `lost`: not ours any more.
 * `done`: its handler has completed it. `taken`: there is no such row, and others
 * may have removed it. `gone`: there is no such row, and no sign of others.
 */
export type ReleaseStatus = "busy" | "kept" | "lost" | "done" | "taken" | "gone";

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
