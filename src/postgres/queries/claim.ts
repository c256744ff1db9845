import type { Driver, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import type { Position } from "../position.ts";
import type { Schema } from "../schema.ts";
import { ClaimedRow } from "./claimed-row.ts";

/** Up to where one priority of the jobs without a queue has been seen. */
export interface LevelFloor {
  readonly priority: number;
  readonly floor: Position;
}

/** Up to where a queue has been seen. */
export interface KnownQueue extends LevelFloor {
  readonly queueId: number;
}

/** What a claim looks for, and what its worker already knows. */
export interface ClaimRequest {
  readonly workerId: string;
  /** The most jobs to lock. */
  readonly quantity: number;
  readonly taskIds: readonly number[];
  /** `null` for none. */
  readonly forbiddenFlags: readonly string[] | null;
  /** Ascending by priority. */
  readonly levels: readonly LevelFloor[];
  /** Queues to look at first. */
  readonly queueIds: readonly number[];
  /** Queues of which it is known up to where they have been seen. */
  readonly queueFloors: readonly KnownQueue[];
  /** Queues not to look at unless `queueIds` names them: the worker holds them and will name them once they are free. */
  readonly heldQueueIds: readonly number[];
  /** Up to where queued jobs have been seen to become due. */
  readonly due: Position;
  /** Where to look through all queues from; -1 for anywhere, `null` for not at all. */
  readonly windowAfter: number | null;
  /** The most jobs of one queue. */
  readonly chainLength: number;
  /** The most queues to look for. */
  readonly mostQueues: number;
  /** Jobs to leave alone, because they cannot be locked. Default: none. */
  readonly skipIds?: readonly string[];
  /** Queues with rules in the order in which this worker served them last, the earliest first; the others come before them. Default: none. */
  readonly servedQueueIds?: readonly number[];
  /** The most jobs of queues with rules, which are for slots that are free. Default: `quantity`. */
  readonly mostRuled?: number;
  /** Tasks whose jobs are left where they are for now; what comes after one of them in its queue waits with it. Default: none. */
  readonly restingTaskIds?: readonly number[];
  /** All of it is expected among the jobs without a queue of the first of `levels`. Changes nothing but the cost. Default `false`. */
  readonly isStraight?: boolean;
}

/** What a claim found. */
export interface ClaimAnswer {
  /** In no particular order. */
  readonly jobs: readonly ClaimedRow[];
  /** In microseconds; with the worker's id it is the fence of the release. */
  readonly claimedAt: string;
  /** One of the task ids no longer exists. */
  readonly tasksGone: boolean;
  /** There may be more to claim right now. */
  readonly more: boolean;
  /** `null` when nothing of that priority was looked at. */
  readonly levels: readonly { readonly priority: number; readonly floor: Position | null }[];
  readonly due: Position;
  /** Queues with a due job that were not taken, or not looked at. */
  readonly leftover: readonly number[];
  /** Queues whose first due job waits for a token or for the end of a park, and until when. */
  readonly waits: readonly QueueWait[];
  /** Queues that may have a due job for which their pool had no room. */
  readonly crowded: readonly PooledQueue[];
  /** It has come across queues, and there are rules. */
  readonly hasRules: boolean;
  readonly windowStart: number | null;
  readonly windowAfter: number | null;
  readonly windowWrapped: boolean;
  /** Without what the window came across there would not have been enough. */
  readonly windowFound: boolean;
  /** 0 when there was no window. */
  readonly windowMs: number;
  /** What it cost the server. */
  readonly tookMs: number;
  /** It was sent as straight, and looked at nothing else. */
  readonly isStraight: boolean;
}

/** A queue that may run a job again at a moment that is known. */
export interface QueueWait {
  readonly queueId: number;
  /** In microseconds. */
  readonly at: string;
}

/** A queue that also needs what its pool gives. */
export interface PooledQueue {
  readonly poolId: number;
  readonly queueId: number;
}

/** Locks jobs for a worker. What it does concurrently with other statements stands at the functions in `000003-claim.sql`, `new-lean-claim.sql` and `new-limits-claim.sql`. */
export type Claim = (request: ClaimRequest) => Promise<ClaimAnswer>;

interface Summary {
  readonly claimedAt: string;
  readonly tasksGone: boolean;
  readonly more: boolean;
  readonly dueAt: string;
  readonly dueId: string;
  readonly leftover: readonly number[];
  /** Ids of queues and microseconds; only where there are rules. */
  readonly waits?: readonly (readonly [number, number])[];
  /** Ids of pools and queues; only where there are rules. */
  readonly crowded?: readonly (readonly [number, number])[];
  readonly windowStart: number | null;
  readonly windowAfter: number | null;
  readonly windowWrapped: boolean;
  readonly windowFound: boolean;
  readonly windowMicros: number;
  readonly micros: number;
  readonly straight?: true;
}

/** Prepares {@link Claim} for one schema. */
export function createClaim(driver: Driver, schema: Schema): Claim {
  const anywhere = { name: "howdah_claim_2", text: claimText(schema, false) };
  const straight = { name: "howdah_claim_straight_2", text: claimText(schema, true) };
  return async (request) => {
    const query = request.isStraight === true ? straight : anywhere;
    const { rows } = await driver.query({ ...query, values: claimValues(request) });
    return readClaimAnswer(rows);
  };
}

/** The statement that claims, with its values behind the first `before` ones. */
export function claimText(schema: Schema, isStraight: boolean, before = 0): string {
  const places = Array.from({ length: CLAIM_VALUES }, (_, index) => `$${index + before + 1}`).join(", ");
  return `select * from ${schema.of(isStraight ? "_howdah_claim_straight_v1" : "_howdah_claim_v2")}(${places})`;
}

/** How many values {@link claimValues} gives. */
const CLAIM_VALUES = 22;

/** The arguments of the function, in order. */
export function claimValues(request: ClaimRequest): (string | null)[] {
  const { levels, queueFloors } = request;
  return [
    request.workerId,
    String(request.quantity),
    numberArray(request.taskIds),
    request.forbiddenFlags && textArray(request.forbiddenFlags),
    numberArray(levels.map((level) => level.priority)),
    numberArray(levels.map((level) => level.floor.at)),
    numberArray(levels.map((level) => level.floor.id)),
    numberArray(request.queueIds),
    request.due.at,
    request.due.id,
    request.windowAfter === null ? null : String(request.windowAfter),
    String(request.chainLength),
    String(request.mostQueues),
    queueFloors.length > 0 ? numberArray(queueFloors.map(({ queueId }) => queueId)) : null,
    numberArray(queueFloors.map(({ priority }) => priority)),
    numberArray(queueFloors.map(({ floor }) => floor.at)),
    numberArray(queueFloors.map(({ floor }) => floor.id)),
    request.heldQueueIds.length > 0 ? numberArray(request.heldQueueIds) : null,
    request.skipIds && request.skipIds.length > 0 ? numberArray(request.skipIds) : null,
    request.servedQueueIds && request.servedQueueIds.length > 0 ? numberArray(request.servedQueueIds) : null,
    request.mostRuled === undefined ? null : String(request.mostRuled),
    request.restingTaskIds && request.restingTaskIds.length > 0 ? numberArray(request.restingTaskIds) : null,
  ];
}

const NO_WAITS: readonly QueueWait[] = [];
const NO_POOLED: readonly PooledQueue[] = [];

/** Reads what the function answered. Rows of other kinds may come before it. */
export function readClaimAnswer(rows: readonly Row[]): ClaimAnswer {
  const jobs: ClaimedRow[] = [];
  const levels: { priority: number; floor: Position | null }[] = [];
  for (const row of rows) {
    if (row[0] === "job") jobs.push(new ClaimedRow(row));
    else if (row[0] === "level") levels.push(readFloor(row));
  }
  const summary = readSummary(rows.at(-1) ?? []);
  return {
    jobs,
    levels,
    claimedAt: summary.claimedAt,
    tasksGone: summary.tasksGone,
    more: summary.more,
    due: { at: summary.dueAt, id: summary.dueId },
    leftover: summary.leftover,
    waits: summary.waits?.map(([queueId, at]) => ({ queueId, at: String(at) })) ?? NO_WAITS,
    crowded: summary.crowded?.map(([poolId, queueId]) => ({ poolId, queueId })) ?? NO_POOLED,
    hasRules: summary.waits !== undefined,
    windowStart: summary.windowStart,
    windowAfter: summary.windowAfter,
    windowWrapped: summary.windowWrapped,
    windowFound: summary.windowFound,
    windowMs: summary.windowMicros / 1000,
    tookMs: summary.micros / 1000,
    isStraight: summary.straight === true,
  };
}

function readFloor([, id, , , , priority, runAt]: Row): { priority: number; floor: Position | null } {
  return { priority: Number(priority), floor: runAt && id ? { at: runAt, id } : null };
}

/** It is the last column of the last row. */
function readSummary(row: Row): Summary {
  return JSON.parse(String(row.at(-1))) as Summary;
}
