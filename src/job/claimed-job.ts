import { compareIntegers } from "../postgres/position.ts";
import type { ClaimedRow, PoolLane } from "../postgres/queries/claimed-row.ts";
import type { HeldLane } from "../postgres/queries/held-locks.ts";
import type { Job } from "./job.ts";
import { toDate, toMicroseconds } from "./row.ts";

/**
 * A job that a worker holds: what its claim answered, and what has become of the
 * claim since. Each property is decoded when it is asked for.
 */
export class ClaimedJob implements Job {
  readonly #row: ClaimedRow;
  readonly #tag: ClaimTag;
  #task: string | undefined;
  #payload: unknown = UNREAD;
  #claimTimes: readonly string[] | undefined;
  #askedAt: number | undefined;
  #holding: Holding | undefined;
  #isAwaited = false;

  constructor(row: ClaimedRow, tag: ClaimTag) {
    this.#row = row;
    this.#tag = tag;
  }

  /** Its place in the register of its worker, which alone sets it; `undefined` when it is not held. */
  get holding(): Holding | undefined {
    return this.#holding;
  }
  set holding(holding: Holding | undefined) {
    this.#holding = holding;
  }

  get id(): string {
    return this.#row.id;
  }
  get taskId(): number {
    return this.#row.taskId;
  }
  get task(): string {
    return (this.#task ??= this.#tag.taskIdentifiers.get(this.taskId) ?? "");
  }
  /** The id of its named queue. */
  get queueId(): number | null {
    return this.#row.queueId;
  }
  get queueName(): string | null {
    return this.#row.queueName;
  }
  /** The lane of its queue that it runs on, from 1; 0 when the queue has rules but no lanes, `null` when it has no rules. */
  get lane(): number | null {
    return this.#row.lane;
  }
  /** The lane of a pool that it runs on besides; `null` when there is none. */
  get pool(): PoolLane | null {
    return this.#row.pool;
  }
  /** How many jobs its queue may run in its turn. */
  get share(): number {
    return this.#row.extras?.share ?? 1;
  }
  /** Which start of its queue it belongs to, of those of one claim, when the queue has rules but no lanes and its task gathers jobs. */
  get start(): number | undefined {
    return this.#row.extras?.start;
  }
  /** The lanes that are locked with it: that of its queue, that of a pool. */
  get lanes(): readonly HeldLane[] {
    const { queueId, lane, pool } = this;
    const lanes: HeldLane[] = [];
    if (queueId !== null && lane !== null && lane > 0) lanes.push({ ownerId: queueId, lane });
    if (pool) lanes.push({ ownerId: -pool.id, lane: pool.lane });
    return lanes;
  }
  /** Whether more than its row is locked with it: its queue, or lanes. */
  get locksMore(): boolean {
    return this.queueId !== null && (this.lane === null || this.lanes.length > 0);
  }
  get payload(): unknown {
    if (this.#payload === UNREAD) this.#payload = JSON.parse(this.payloadText);
    return this.#payload;
  }
  /** How long its payload is as JSON, in characters. */
  get payloadLength(): number {
    return this.#row.payload.length;
  }
  /** The payload as it is stored. */
  get payloadText(): string {
    return this.#row.payload;
  }
  get priority(): number {
    return this.#row.priority;
  }
  get runAt(): Date {
    return toDate(this.#row.runAt);
  }
  get attempts(): number {
    return this.#row.attempts;
  }
  get maxAttempts(): number {
    return this.#row.maxAttempts;
  }
  get lastError(): string | null {
    return this.#row.extras?.lastError ?? null;
  }
  get createdAt(): Date {
    return toDate(this.#row.extras?.createdAt ?? this.#row.runAt);
  }
  get updatedAt(): Date {
    return toDate(this.#row.extras?.updatedAt ?? this.#row.runAt);
  }
  get jobKey(): string | null {
    return this.#row.extras?.key ?? null;
  }
  get revision(): number {
    return this.#row.extras?.revision ?? 0;
  }
  get flags(): readonly string[] {
    return Object.keys(this.#row.extras?.flags ?? {});
  }

  get timeoutMs(): number | null {
    return this.#row.extras?.timeoutMs ?? null;
  }

  get lockedAt(): Date {
    return toDate(this.#tag.claimedAt);
  }
  get lockedBy(): string {
    return this.#tag.workerId;
  }
  get state(): "running" {
    return "running";
  }

  /** Workers have died with it so often that an attempt counts from its start. */
  get isSuspect(): boolean {
    return Math.abs(this.#row.extras?.recoveries ?? 0) >= SUSPECT_RECOVERIES;
  }

  /** Whether a client waits for its end, as far as that is known here. */
  get isAwaited(): boolean {
    return this.#isAwaited || this.#row.extras?.awaited === true;
  }

  /** A client has begun to wait for its end since it was claimed. */
  becameAwaited(): void {
    this.#isAwaited = true;
  }

  /** When it was claimed, in microseconds. */
  get claimedAt(): string {
    return this.#tag.claimedAt;
  }

  /** The times at which it may be locked, the earliest first: with `id` and `lockedBy` the fence of its release. */
  get claimTimes(): readonly string[] {
    return this.#claimTimes ?? [this.#tag.claimedAt];
  }

  /** Whether it has several of them. */
  get isRenewed(): boolean {
    return this.#claimTimes !== undefined;
  }

  /**
   * Its lock is about to be renewed as of this time. The earlier ones go on to
   * count, because it is not known when that is carried out, or whether it is.
   */
  renew(claimedAt: string): void {
    this.#claimTimes = [...this.claimTimes, claimedAt];
  }

  /**
   * Until when it may be started, by the monotonic clock. Later it may have
   * been cancelled, paused or given to others, and the database is asked first.
   */
  get freshUntil(): number {
    const byClaim = this.#tag.sentAt + CLAIM_FRESH_MS;
    return this.#askedAt === undefined ? byClaim : Math.max(byClaim, this.#askedAt + ANSWER_FRESH_MS);
  }

  /** How long it has waited at `now`, by the monotonic clock, since it was due, or was added when that was later. */
  waitedMs(now: number): number {
    const { runAt, extras } = this.#row;
    const { claimedAtUs, sentAt } = this.#tag;
    const runAtUs = toMicroseconds(runAt);
    const dueAtUs = extras?.createdAt === undefined ? runAtUs : Math.max(runAtUs, toMicroseconds(extras.createdAt));
    return Math.max(0, (claimedAtUs - dueAtUs) / 1_000) + Math.max(0, now - sentAt);
  }

  /** What the database's clock shows at `now`, by the monotonic clock, in microseconds; late by what its claim took at most. */
  databaseTime(now: number): number {
    const { claimedAtUs, sentAt } = this.#tag;
    return Math.round(claimedAtUs + (now - sentAt) * 1_000);
  }

  /** The database was asked at this time, and it may be started. */
  confirm(askedAt: number): void {
    this.#askedAt = Math.max(this.#askedAt ?? askedAt, askedAt);
  }

  /** Negative when this job comes before `other` in the order of claims: priority, run_at, id. */
  compare(other: ClaimedJob): number {
    return (
      this.priority - other.priority ||
      compareIntegers(this.#row.runAt, other.#row.runAt) ||
      compareIntegers(this.id, other.id)
    );
  }

  /** Its place within its priority. */
  get position(): { readonly at: string; readonly id: string } {
    return { at: this.#row.runAt, id: this.id };
  }

  /** What a log or `console.log` shows: everything but the payload. */
  toJSON(): Omit<Job, "payload"> {
    const { id, task, queueName, priority, runAt, attempts, maxAttempts, lastError, createdAt, updatedAt } = this;
    const { jobKey, revision, flags, timeoutMs, lockedAt, lockedBy, state } = this;
    return {
      id,
      task,
      queueName,
      priority,
      runAt,
      attempts,
      maxAttempts,
      lastError,
      createdAt,
      updatedAt,
      jobKey,
      revision,
      flags,
      timeoutMs,
      lockedAt,
      lockedBy,
      state,
    };
  }
}

/** What all jobs of one claim have in common. */
export interface ClaimTag {
  /** The id under which they are locked. */
  readonly workerId: string;
  /** When they were locked, in microseconds by the database's clock. */
  readonly claimedAt: string;
  /** The same as a number, to reckon with: for comparisons there is the text. */
  readonly claimedAtUs: number;
  /** When the claim was sent, by the monotonic clock. */
  readonly sentAt: number;
  /** The identifiers of the worker's tasks by their id. */
  readonly taskIdentifiers: ReadonlyMap<number, string>;
}

/** The place of a claim in the register of its worker, `held-jobs.ts`. */
export interface Holding {
  readonly job: ClaimedJob;
  phase: HeldPhase;
  /** Whether its row is locked by the claim. */
  isLocked: boolean;
  previous: Holding | undefined;
  next: Holding | undefined;
}

/** Where a held job stands; the table is in `held-jobs.ts`. */
export type HeldPhase = "cached" | "running" | "detached" | "ending";

/** From this number of recoveries on a job is suspected of killing its workers. */
const SUSPECT_RECOVERIES = 2;

/** For so long after it was sent a claim's word counts that a job may start. */
const CLAIM_FRESH_MS = 500;

/** The same of an answer: enough for a distant database, and less than the second in which a cancelled job may start. */
export const ANSWER_FRESH_MS = 900;

/** Stands for a payload that has not been decoded, which may be anything, also `undefined`. */
const UNREAD = Symbol("unread");
