import { HowdahError } from "../../errors.ts";
import { compareIntegers } from "../../postgres/position.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { HeldJobs } from "../held-jobs.ts";
import type { WorkerContext } from "../worker-context.ts";

/**
 * Looks after the locks of jobs that a worker holds for long: renews the old
 * ones, and finds out which are gone. Asks the database nothing while no job is
 * held, and one thing in ten minutes while none is held for an hour.
 */
export class LockWatch {
  readonly #context: LockWatchContext;
  readonly #holder: LockHolder;
  /** Those whose renewal has not been confirmed. */
  readonly #unconfirmed = new WeakSet<ClaimedJob>();
  #serverStart: string | undefined;
  #isReconnected = false;
  #renewalDueAt: number;
  #loop: Loop | undefined;

  constructor(context: LockWatchContext, holder: LockHolder) {
    this.#context = context;
    this.#holder = holder;
    this.#renewalDueAt = context.clock.monotonic() + ROUND_MS;
  }

  /** Begins to look. */
  start(): void {
    const { clock, reporter } = this.#context;
    this.#loop = startLoop({
      name: "look after locks",
      clock,
      round: () => this.#round(),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("look after its locks", error);
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

  async #round(): Promise<number> {
    const { clock } = this.#context;
    if (this.#isReconnected) {
      this.#isReconnected = false;
      await this.#compareServers().catch((error: unknown) => {
        this.#isReconnected = true;
        throw error;
      });
    }
    if (clock.monotonic() >= this.#renewalDueAt) {
      await this.#renew();
      this.#renewalDueAt = clock.monotonic() + ROUND_MS;
    }
    return this.#renewalDueAt - clock.monotonic();
  }

  async #compareServers(): Promise<void> {
    const known = this.#serverStart;
    const found = await this.#context.statements.locks.readServerStart();
    if (known !== undefined && known !== found) {
      await this.#findLost(this.#holder.locksToWatch().jobs, "the server was restarted, and its lock is gone");
    }
    this.#serverStart = found;
  }

  async #renew(): Promise<void> {
    const { locks } = this.#context.statements;
    const before = this.#holder.locksToWatch();
    if (before.jobs.length + before.queues.length === 0) return;
    const renewedAt = await locks.readTime();
    // Not before: what has ended meanwhile is released with the times it had.
    const { jobs, queues } = this.#holder.locksToWatch();
    const oldest = String(BigInt(renewedAt) - BigInt(RENEW_AFTER_MS) * 1_000n);
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
        queueIds: [...new Set(group.flatMap(({ queueId, lane }) => (lane === null ? (queueId ?? []) : [])))],
        lanes: group.flatMap(({ lanes }) => lanes),
        claimTimes: [...new Set(group.flatMap(({ claimTimes }) => claimTimes))],
        renewedAt,
      });
      for (const job of group) this.#unconfirmed.delete(job);
    }
    await this.#findLost(old, "it was unlocked while it ran");
  }

  async #findLost(jobs: readonly ClaimedJob[], why: string): Promise<void> {
    if (jobs.length === 0) return;
    const lostIds = await this.#context.statements.locks.findLost(jobs);
    const lost = new Set(jobs.filter(({ id }) => lostIds.has(id)));
    if (lost.size === 0) return;
    const reason = new HowdahError("HOWDAH_ABORTED_LOST", `The job no longer belongs to this worker: ${why}.`);
    this.#holder.loseJobs(lost, reason);
  }
}

type LockWatchContext = Pick<WorkerContext, "clock" | "reporter"> & {
  readonly statements: Pick<WorkerContext["statements"], "locks">;
};

/** Holds jobs by their locks. Implemented by the engine. */
export interface LockHolder {
  /** What is locked. */
  locksToWatch(): LocksToWatch;
  /** These jobs no longer belong to this worker. */
  loseJobs(jobs: ReadonlySet<ClaimedJob>, reason: HowdahError): void;
}

/** The jobs whose rows are locked, and those whose queue is, because their handlers have not ended. */
export interface LocksToWatch {
  readonly jobs: readonly ClaimedJob[];
  readonly queues: readonly ClaimedJob[];
}

/** What is locked: rows, and queues or lanes alone where the row is released, or may be gone because its handler completes it. */
export function locksOf(held: HeldJobs, slots: CompletingSlots): LocksToWatch {
  const jobs: ClaimedJob[] = [];
  const queues: ClaimedJob[] = [];
  for (const { job, phase } of held) {
    const mayBeGone = phase === "detached" || (phase === "running" && slots.isUndecided(job));
    if (mayBeGone && job.locksMore) queues.push(job);
    // What has ended is released with the times that it had.
    if (!mayBeGone && phase !== "ending") jobs.push(job);
  }
  return { jobs, queues };
}

/** Knows which handlers complete their jobs in transactions of their own. */
interface CompletingSlots {
  /** Whether a job at work may be gone from its row already. */
  isUndecided(job: ClaimedJob): boolean;
}

/** Older locks are renewed: other implementations take one for forgotten after four hours. */
const RENEW_AFTER_MS = 3_600_000;

/** A sixth of that, so that a lock is renewed soon after it is old enough. */
const ROUND_MS = RENEW_AFTER_MS / 6;

function byWorkerId(jobs: readonly ClaimedJob[]): Iterable<readonly ClaimedJob[]> {
  const groups = new Map<string, ClaimedJob[]>();
  for (const job of jobs) groups.set(job.lockedBy, [...(groups.get(job.lockedBy) ?? []), job]);
  return groups.values();
}
