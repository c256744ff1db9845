import type { ClaimAnswer } from "../../src/postgres/queries/claim-answer.ts";
import type { Claim, ClaimRequest } from "../../src/postgres/queries/claim.ts";
import { START } from "../../src/postgres/position.ts";
import { claimedRow } from "./claimed-job.ts";

interface StoredJob {
  readonly id: string;
  readonly queueId: number | null;
  /** The lane that it runs on, which is always free; `null` for a queue without rules. */
  readonly lane: number | null;
}

/** A table of jobs in memory that can be claimed, for tests of those who claim. */
export interface FakeClaims {
  readonly claim: Claim;
  /** Every claim that was sent, the earliest first. */
  readonly requests: readonly ClaimRequest[];
  /** The ids that were claimed and did not come back, in the order of claims. */
  readonly claimed: ReadonlySet<string>;
  /** How many jobs may be claimed now, whether or not their queues are held. */
  readonly waiting: number;
  /** The claims that were sent and are not answered. */
  readonly unanswered: readonly ClaimRequest[];
  /** Adds jobs and returns their ids. With a lane the queue has rules. */
  add(count: number, queueId?: number, lane?: number): string[];
  /** A job comes back as it was. */
  giveBack(id: string): void;
  /** A queue is free. */
  unlock(queueId: number): void;
  /** Lets claims wait, from the next one on, until `answer`. */
  hold(): void;
  /** Lets all claims that wait be answered, with what is there by then, and no other wait. */
  answer(): void;
  /** Lets the next N claims fail; default all until 0 is given. */
  fail(count?: number): void;
}

/** Creates an empty table. */
export function createFakeClaims(): FakeClaims {
  const requests: ClaimRequest[] = [];
  const unanswered = new Set<ClaimRequest>();
  const claimed = new Map<string, StoredJob>();
  const lockedQueues = new Set<number>();
  let stored: StoredJob[] = [];
  let nextId = 1;
  let failures = 0;
  let held: (() => void)[] | undefined;

  function lock({ quantity, chainLength, mostRuled = quantity }: ClaimRequest): StoredJob[] {
    const taken: StoredJob[] = [];
    let ruled = 0;
    const lengths = new Map<number, number>();
    for (const job of stored) {
      if (taken.length === quantity) break;
      if (job.lane !== null) {
        if (ruled === mostRuled) continue;
        ruled += 1;
      } else if (job.queueId !== null) {
        const length = lengths.get(job.queueId) ?? 0;
        if (lockedQueues.has(job.queueId) || length === chainLength) continue;
        lengths.set(job.queueId, length + 1);
      }
      taken.push(job);
    }
    for (const queueId of lengths.keys()) lockedQueues.add(queueId);
    for (const job of taken) claimed.set(job.id, job);
    stored = stored.filter(({ id }) => !claimed.has(id));
    return taken;
  }

  return {
    requests,
    get claimed() {
      return new Set(claimed.keys());
    },
    get waiting() {
      return stored.length;
    },
    get unanswered() {
      return [...unanswered];
    },
    async claim(request) {
      requests.push(request);
      unanswered.add(request);
      if (held) await new Promise<void>((resolve) => held?.push(resolve));
      unanswered.delete(request);
      if (failures > 0) {
        failures -= 1;
        throw new Error("The claim failed.");
      }
      const taken = lock(request);
      const jobs = taken.map(({ id, queueId, lane }) => {
        const extras = lane === null ? null : JSON.stringify({ lane });
        return claimedRow({ id, runAt: id, queueId: queueId === null ? null : String(queueId), extras });
      });
      const hasRules = taken.some(({ lane }) => lane !== null);
      return { ...NOTHING, jobs, hasRules, more: jobs.length === request.quantity };
    },
    add(count, queueId, lane) {
      const jobs = Array.from({ length: count }, () => {
        return { id: String(nextId++), queueId: queueId ?? null, lane: lane ?? null };
      });
      stored.push(...jobs);
      return jobs.map(({ id }) => id);
    },
    giveBack(id) {
      const job = claimed.get(id);
      if (!job) throw new Error(`Job ${id} is not claimed.`);
      claimed.delete(id);
      stored = [...stored, job].sort((a, b) => Number(a.id) - Number(b.id));
    },
    unlock: (queueId) => void lockedQueues.delete(queueId),
    hold() {
      held = [];
    },
    answer() {
      const waiting = held ?? [];
      held = undefined;
      for (const resolve of waiting) resolve();
    },
    fail(count = Number.POSITIVE_INFINITY) {
      failures = count;
    },
  };
}

/** The answer of a claim that found nothing. */
export const NOTHING: ClaimAnswer = {
  jobs: [],
  claimedAt: "1",
  tasksGone: false,
  more: false,
  levels: [],
  due: START,
  leftover: [],
  waits: [],
  crowded: [],
  hasRules: false,
  windowStart: null,
  windowAfter: null,
  windowWrapped: false,
  tookMs: 0,
  windowFound: false,
  windowMs: 0,
  isStraight: false,
};

/** A claim of up to ten jobs that knows of nothing, without a window. */
export function claimOf(workerId: string, taskId = 1): ClaimRequest {
  return {
    workerId,
    quantity: 10,
    taskIds: [taskId],
    forbiddenFlags: null,
    levels: [],
    queueIds: [],
    queueFloors: [],
    heldQueueIds: [],
    due: START,
    windowAfter: null,
    chainLength: 1,
    mostQueues: 10,
  };
}
