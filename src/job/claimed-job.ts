import type { Row } from "../postgres/driver.ts";
import { compareIntegers } from "../postgres/position.ts";
import { CLAIM_COLUMNS } from "../postgres/queries/claim.ts";
import type { Job } from "./job.ts";
import { toDate } from "./row.ts";

/** What all jobs of one claim have in common. */
export interface ClaimTag {
  /** The id under which they are locked. */
  readonly workerId: string;
  /** When they were locked, in microseconds by the database's clock. */
  readonly claimedAt: string;
  /** When the claim was sent, by the monotonic clock. */
  readonly sentAt: number;
  /** The identifiers of the worker's tasks by their id. */
  readonly taskIdentifiers: ReadonlyMap<number, string>;
}

interface Extras {
  readonly key: string | null;
  readonly flags: Readonly<Record<string, unknown>> | null;
  readonly lastError: string | null;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly timeoutMs: number | null;
  readonly recoveries: number;
}

/** From so many recoveries on a job is suspected of killing its workers. */
const SUSPECT_RECOVERIES = 2;

/** For so long after it was sent a claim's word counts that a job may start. */
const CLAIM_FRESH_MS = 500;

/**
 * For so long after it was asked anew the database's word counts: longer, so
 * that a worker far away from its database gets on, and less than the second
 * within which a job may start that was cancelled or paused.
 */
export const ANSWER_FRESH_MS = 900;

/**
 * A job that a worker holds: the row as it came over the wire, each property
 * decoded when it is asked for. Most handlers never ask for most of them.
 */
export class ClaimedJob implements Job {
  readonly #row: Row;
  readonly #tag: ClaimTag;
  #payload: unknown = UNREAD;
  #extras: Extras | null | undefined;
  #claimTimes: readonly string[] | undefined;
  #freshUntil: number;

  constructor(row: Row, tag: ClaimTag) {
    this.#row = row;
    this.#tag = tag;
    this.#freshUntil = tag.sentAt + CLAIM_FRESH_MS;
  }

  get id(): string {
    return this.#row[CLAIM_COLUMNS.id] as string;
  }
  get taskId(): number {
    return Number(this.#row[CLAIM_COLUMNS.taskId]);
  }
  get task(): string {
    return this.#tag.taskIdentifiers.get(this.taskId) ?? "";
  }
  /** The id of its named queue. */
  get queueId(): number | null {
    const queueId = this.#row[CLAIM_COLUMNS.queueId];
    return queueId == null ? null : Number(queueId);
  }
  get queueName(): string | null {
    return this.#row[CLAIM_COLUMNS.queueName] ?? null;
  }
  get payload(): unknown {
    if (this.#payload === UNREAD) this.#payload = JSON.parse(this.payloadText);
    return this.#payload;
  }
  /** How long its payload is as JSON, in characters. */
  get payloadLength(): number {
    return this.#row[CLAIM_COLUMNS.payload]?.length ?? 0;
  }
  /** The payload as it is stored. */
  get payloadText(): string {
    return this.#row[CLAIM_COLUMNS.payload] ?? "null";
  }
  get priority(): number {
    return Number(this.#row[CLAIM_COLUMNS.priority] ?? 0);
  }
  get runAt(): Date {
    return toDate(this.#runAtMicros);
  }
  get attempts(): number {
    return Number(this.#row[CLAIM_COLUMNS.attempts] ?? 1);
  }
  get maxAttempts(): number {
    return Number(this.#row[CLAIM_COLUMNS.maxAttempts] ?? 25);
  }
  get lastError(): string | null {
    return this.#readExtras()?.lastError ?? null;
  }
  get createdAt(): Date {
    return toDate(this.#readExtras()?.createdAt ?? this.#runAtMicros);
  }
  get updatedAt(): Date {
    return toDate(this.#readExtras()?.updatedAt ?? this.#runAtMicros);
  }
  get jobKey(): string | null {
    return this.#readExtras()?.key ?? null;
  }
  get revision(): number {
    return this.#readExtras()?.revision ?? 0;
  }
  get flags(): readonly string[] {
    return Object.keys(this.#readExtras()?.flags ?? {});
  }

  get timeoutMs(): number | null {
    return this.#readExtras()?.timeoutMs ?? null;
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
    return Math.abs(this.#readExtras()?.recoveries ?? 0) >= SUSPECT_RECOVERIES;
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
   * count, because nobody knows when that is carried out, or whether it is.
   */
  renew(claimedAt: string): void {
    this.#claimTimes = [...this.claimTimes, claimedAt];
  }

  /**
   * Until when it may be started, by the monotonic clock. Later it may have
   * been cancelled, paused or given to others, and the database is asked first.
   */
  get freshUntil(): number {
    return this.#freshUntil;
  }

  /** The database was asked at this time, and it may be started. */
  confirm(askedAt: number): void {
    this.#freshUntil = Math.max(this.#freshUntil, askedAt + ANSWER_FRESH_MS);
  }

  /** Negative when this job comes before `other` in the order of claims: priority, run_at, id. */
  compare(other: ClaimedJob): number {
    return (
      this.priority - other.priority ||
      compareIntegers(this.#runAtMicros, other.#runAtMicros) ||
      compareIntegers(this.id, other.id)
    );
  }

  /** Its place within its priority. */
  get position(): { readonly at: string; readonly id: string } {
    return { at: this.#runAtMicros, id: this.id };
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

  get #runAtMicros(): string {
    return this.#row[CLAIM_COLUMNS.runAt] as string;
  }

  #readExtras(): Extras | null {
    const text = this.#row[CLAIM_COLUMNS.extras];
    this.#extras ??= text == null ? null : (JSON.parse(text) as Extras);
    return this.#extras;
  }
}

/** Stands for a payload that has not been decoded, which may be anything, also `undefined`. */
const UNREAD = Symbol("unread");
