import type { HowdahError } from "../errors.ts";
import type { Source } from "../job/claim/source.ts";
import type { Chain, Removal } from "../job/chain.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import type { Slots } from "../job/execute/slots.ts";
import type { HeldJobs } from "../job/held-jobs.ts";
import type { Interventions } from "../job/interventions.ts";
import type { Outcome } from "../job/outcome.ts";
import type { Ending } from "../job/release/ending.ts";
import type { JobLock } from "../postgres/queries/control.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Identity } from "./identity.ts";

/** Where a worker's jobs are, and how they leave. */
export interface HoldingsParts {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly held: HeldJobs;
  readonly interventions: Interventions;
  /** After so long without an answer from the database others may run the queues that this worker has locked. */
  readonly contactTimeoutMs: number;
  readonly source: () => Source;
  readonly slots: () => Slots;
  /** A chain that waits in memory cannot start before the database was asked about it; `confirm` is called then. */
  askAgain(): void;
  /** Ends a claim. */
  release(ending: Ending): void;
}

/**
 * What a worker holds: jobs whose handlers run, and jobs that wait in memory
 * for a slot. Everything that takes them away from it from outside comes here.
 */
export class Holdings {
  readonly #parts: HoldingsParts;
  /** Ids under which nothing is locked any more; a claim that was under way may still be answered. */
  readonly #lostIds = new Set<string>();

  constructor(parts: HoldingsParts) {
    this.#parts = parts;
  }

  /** The jobs whose handlers run. */
  get running(): readonly ClaimedJob[] {
    return this.#parts.slots().running;
  }

  /** The jobs that wait in memory for a slot. */
  get waiting(): readonly ClaimedJob[] {
    return [...this.#parts.slots().waiting, ...this.#parts.source().waiting];
  }

  /**
   * What was claimed under these ids may belong to somebody else by now.
   * Handlers are told to stop, and what waits in memory is given back: the
   * fence decides what of their outcomes still counts. With `queuedOnly` jobs
   * without a queue go on.
   */
  lose(
    workerIds: ReadonlySet<string> | "all",
    { queuedOnly }: { readonly queuedOnly: boolean },
    reason: HowdahError,
  ): void {
    const isLost = ({ lockedBy, queueId }: ClaimedJob): boolean =>
      (workerIds === "all" || workerIds.has(lockedBy)) && (!queuedOnly || queueId !== null);
    if (!queuedOnly) this.#disown(workerIds);
    this.loseJobs(isLost, reason);
  }

  /** As `lose`, for the jobs that match. */
  loseJobs(isLost: (job: ClaimedJob) => boolean, reason: HowdahError): void {
    this.#giveBackWaiting(isLost, true);
    this.#parts.slots().lose(isLost, reason);
  }

  /** Obeys what was cancelled or paused since: jobs that wait in memory go back, and handlers are told to stop. */
  intervene(): void {
    const { interventions, slots } = this.#parts;
    if (interventions.isEmpty) return;
    this.#giveBackWaiting((job) => interventions.stops(job));
    slots().cancel((job) => interventions.cancelReason(job));
  }

  /**
   * Whether a chain may start as far as its age goes. What a claim brought long
   * after it was sent, or what has waited here since, is asked about first,
   * whatever delayed it: the database, the way from there, or this process.
   */
  readonly accepts = (chain: Chain, now: number): boolean => {
    if (now <= chain.freshUntil) return true;
    this.#parts.askAgain();
    return false;
  };

  /**
   * The database was asked at `askedAt` about jobs that wait in memory: those
   * that are still locked for this worker may start. The others are somebody
   * else's by now. What was cancelled or paused has gone before.
   */
  confirm(jobs: readonly ClaimedJob[], locks: ReadonlyMap<string, JobLock>, askedAt: number): void {
    const lost = new Set(jobs.filter((job) => !isLockedBy(job, locks.get(job.id))));
    for (const job of jobs) if (!lost.has(job)) job.confirm(askedAt);
    if (lost.size > 0) this.#giveBackWaiting((job) => lost.has(job), true);
  }

  /** Gives back jobs that wait in memory: the database does not say in time whether they may start. */
  giveBackWaiting(jobs: readonly ClaimedJob[]): void {
    const given = new Set(jobs);
    this.#giveBackWaiting((job) => given.has(job));
  }

  /** The next chain to start at `now`, without what was cancelled or paused while it was on its way here. */
  take(now: number): Chain | undefined {
    const { interventions, source } = this.#parts;
    for (;;) {
      const chain = source().take(this.accepts, now);
      if (!chain || interventions.isEmpty) return chain;
      const jobs = chain.remove((job) => interventions.stops(job));
      this.giveBack({ jobs, endsChain: chain.waiting === 0 });
      if (chain.waiting > 0) return chain;
    }
  }

  /** Gives back what a claim has brought too late, after `tookMs`. Returns what may be started. */
  keep(chains: readonly Chain[], tookMs: number): readonly Chain[] {
    const isGone = this.#lostIds.has(chains[0]?.first?.lockedBy ?? "");
    if (!isGone && tookMs < this.#parts.contactTimeoutMs) return chains;
    const kept = chains.filter(({ queueId }) => !isGone && queueId === null);
    for (const chain of chains) if (!kept.includes(chain)) this.giveBack({ jobs: chain.cut(), endsChain: true }, true);
    return kept;
  }

  /** Ends the claims of jobs that were not started. What may be lost is given back only as far as it is not. */
  giveBack({ jobs, endsChain }: Removal, lost = false): void {
    const { clock, held } = this.#parts;
    const now = clock.monotonic();
    for (const job of jobs) {
      held.ended(job, now);
      const isLast = job === jobs.at(-1);
      const outcome = this.#unstarted(job);
      this.#parts.release({ job, outcome, durationMs: 0, endsChain: endsChain && isLast, lost });
    }
  }

  #giveBackWaiting(matches: (job: ClaimedJob) => boolean, lost = false): void {
    const { slots, source } = this.#parts;
    for (const removal of [...slots().remove(matches), ...source().remove(matches)]) this.giveBack(removal, lost);
  }

  #unstarted(job: ClaimedJob): Outcome {
    const reason = this.#parts.interventions.cancelReason(job);
    return reason === undefined ? { kind: "returned" } : { kind: "cancelled", reason };
  }

  /** A claim under these ids may still be on its way; what it brings is not ours either. */
  #disown(workerIds: ReadonlySet<string> | "all"): void {
    for (const id of workerIds === "all" ? [this.#parts.identity.current] : workerIds) this.#lostIds.add(id);
  }
}

/** Whether a job is locked by one of its claims. */
function isLockedBy({ lockedBy, claimTimes }: ClaimedJob, lock: JobLock | undefined): boolean {
  return lock?.workerId === lockedBy && claimTimes.includes(lock.lockedAt);
}
