import type { Row } from "../driver.ts";
import type { Position } from "../position.ts";
import { ClaimedRow } from "./claimed-row.ts";

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
