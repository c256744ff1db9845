import { HowdahError } from "../errors.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import { compareIntegers } from "../postgres/position.ts";
import type { HeldLocks } from "../postgres/queries/held-locks.ts";
import type { Clock } from "../runtime/clock.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";

/** What a lock watch needs, and whom it tells. */
export interface LockWatchParts {
  readonly clock: Clock;
  readonly locks: HeldLocks;
  held(): LocksToWatch;
  /** These jobs belong to nobody here any more. */
  lost(jobs: ReadonlySet<ClaimedJob>, reason: HowdahError): void;
  /** A look failed, for the first time in a row; it is tried again. */
  failed(error: unknown): void;
  /** Locks are renewed that are older. Default an hour: other implementations take one for forgotten after four. */
  readonly renewAfterMs?: number;
}

/** The jobs whose rows are locked, and those whose queue is, because their handlers have not ended. */
export interface LocksToWatch {
  readonly jobs: readonly ClaimedJob[];
  readonly queues: readonly ClaimedJob[];
}

/** So many rounds until a lock is old enough. */
const ROUNDS = 6;

/**
 * Looks after the locks of jobs that a worker holds for long: renews the old
 * ones, and finds out which are gone. Asks the database nothing while no job is
 * held, and one thing in ten minutes while none is held for an hour.
 */
export class LockWatch {
  readonly #parts: LockWatchParts;
  readonly #renewAfterMs: number;
  /** Those whose renewal nobody has confirmed. */
  readonly #unconfirmed = new WeakSet<ClaimedJob>();
  #serverStart: string | undefined;
  #isReconnected = false;
  #renewalDueAt: number;
  #loop: Loop | undefined;

  constructor(parts: LockWatchParts) {
    this.#parts = parts;
    this.#renewAfterMs = parts.renewAfterMs ?? 3_600_000;
    this.#renewalDueAt = parts.clock.monotonic() + this.#roundMs;
  }

  /** Begins to look. */
  start(): void {
    const { clock, failed } = this.#parts;
    this.#loop = startLoop({
      name: "look after locks",
      clock,
      round: () => this.#round(),
      onError(error, { failures }) {
        if (failures === 1) failed(error);
      },
    });
  }

  /** A new connection: when it leads to another server than before, that one may know nothing of the last locks. */
  reconnected(): void {
    this.#isReconnected = true;
    this.#loop?.wake();
  }

  /** Ends it, without waiting for a statement under way. */
  stop(): void {
    void this.#loop?.stop();
  }

  get #roundMs(): number {
    return this.#renewAfterMs / ROUNDS;
  }

  async #round(): Promise<number> {
    const { clock } = this.#parts;
    if (this.#isReconnected) {
      this.#isReconnected = false;
      await this.#compareServers().catch((error: unknown) => {
        this.#isReconnected = true;
        throw error;
      });
    }
    if (clock.monotonic() >= this.#renewalDueAt) {
      await this.#renew();
      this.#renewalDueAt = clock.monotonic() + this.#roundMs;
    }
    return this.#renewalDueAt - clock.monotonic();
  }

  async #compareServers(): Promise<void> {
    const { locks, held } = this.#parts;
    const known = this.#serverStart;
    const found = await locks.readServerStart();
    if (known !== undefined && known !== found) {
      await this.#findLost(held().jobs, "the server was restarted, and its lock is gone");
    }
    this.#serverStart = found;
  }

  async #renew(): Promise<void> {
    const { locks, held } = this.#parts;
    const before = held();
    if (before.jobs.length + before.queues.length === 0) return;
    const renewedAt = await locks.readTime();
    // Not before: what has ended meanwhile is released with the times it had.
    const { jobs, queues } = held();
    const oldest = String(BigInt(renewedAt) - BigInt(Math.round(this.#renewAfterMs)) * 1_000n);
    const isOld = (job: ClaimedJob): boolean =>
      this.#unconfirmed.has(job) || compareIntegers(job.claimTimes.at(-1) ?? "0", oldest) <= 0;
    const old = jobs.filter(isOld);
    const renewed = [...old, ...queues.filter(isOld)];
    // All in this turn: whatever ends from now on is released with both times.
    for (const job of renewed) {
      job.renew(renewedAt);
      this.#unconfirmed.add(job);
    }
    for (const group of byWorkerId(renewed)) {
      await locks.renew({
        workerId: group[0]?.lockedBy ?? "",
        jobIds: group.map(({ id }) => id),
        queueIds: [...new Set(group.flatMap(({ queueId }) => queueId ?? []))],
        claimTimes: [...new Set(group.flatMap(({ claimTimes }) => claimTimes))],
        renewedAt,
      });
      for (const job of group) this.#unconfirmed.delete(job);
    }
    await this.#findLost(old, "it was unlocked while it ran");
  }

  async #findLost(jobs: readonly ClaimedJob[], why: string): Promise<void> {
    if (jobs.length === 0) return;
    const lostIds = await this.#parts.locks.findLost(jobs);
    const lost = new Set(jobs.filter(({ id }) => lostIds.has(id)));
    if (lost.size === 0) return;
    this.#parts.lost(lost, new HowdahError("HOWDAH_ABORTED_LOST", `The job no longer belongs to this worker: ${why}.`));
  }
}

function byWorkerId(jobs: readonly ClaimedJob[]): Iterable<readonly ClaimedJob[]> {
  const groups = new Map<string, ClaimedJob[]>();
  for (const job of jobs) groups.set(job.lockedBy, [...(groups.get(job.lockedBy) ?? []), job]);
  return groups.values();
}
