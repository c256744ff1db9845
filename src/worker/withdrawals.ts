import type { HowdahError } from "../errors.ts";
import type { Chain, Removal } from "../job/chain.ts";
import type { Source, UnstartedJobs } from "../job/claim/source.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import type { Slots } from "../job/execute/slots.ts";
import type { Interventions } from "../job/interventions.ts";
import type { Outcome } from "../job/outcome.ts";
import type { Releaser } from "../job/release/releaser.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import type { JobLock } from "../postgres/queries/control.ts";

/**
 * Takes jobs away from a worker before they have ended: those that it has lost,
 * that were cancelled or paused, or that came too late. What waits in memory
 * goes back, and handlers are told to stop.
 */
export class Withdrawals implements UnstartedJobs {
  readonly #context: WithdrawalsContext;
  readonly #parts: WithdrawalsParts;
  /** Ids under which nothing is locked any more; a claim that was under way may still be answered. */
  readonly #lostIds = new Set<string>();

  constructor(context: WithdrawalsContext, parts: WithdrawalsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /**
   * What was claimed under these ids may belong to another worker by now.
   * Handlers are told to stop, and what waits in memory is returned: the
   * fence decides what of their outcomes still counts. With `queuedOnly` jobs
   * without a queue go on.
   */
  lose(
    workerIds: ReadonlySet<string> | "all",
    { queuedOnly }: { readonly queuedOnly: boolean },
    reason: HowdahError,
  ): void {
    const isLost = ({ lockedBy, locksMore }: ClaimedJob): boolean =>
      (workerIds === "all" || workerIds.has(lockedBy)) && (!queuedOnly || locksMore);
    if (!queuedOnly) this.#disown(workerIds);
    this.loseJobs(this.#context.held.jobs("cached", "running").filter(isLost), reason);
  }

  /** As `lose`, for these jobs. */
  loseJobs(jobs: Iterable<ClaimedJob>, reason: HowdahError): void {
    const lost = new Set(jobs);
    this.#giveBackCached(lost, true);
    for (const job of lost) this.#parts.slots.lose(job, reason);
  }

  /** Obeys what was cancelled or paused since: jobs that wait in memory go back, and handlers are told to stop. */
  intervene(): void {
    const { interventions, slots } = this.#parts;
    const { held } = this.#context;
    if (interventions.isEmpty) return;
    this.#giveBackCached(new Set(held.jobs("cached").filter((job) => interventions.stops(job))));
    for (const job of held.jobs("running")) {
      const reason = interventions.cancelReason(job);
      if (reason !== undefined) slots.cancel(job, reason);
    }
  }

  /**
   * The database was asked at `askedAt` about jobs that wait in memory: those
   * that are still locked for this worker may start. The others belong
   * to another worker by now. What was cancelled or paused has gone before.
   */
  confirm(jobs: readonly ClaimedJob[], locks: ReadonlyMap<string, JobLock>, askedAt: number): void {
    const lost = new Set(jobs.filter((job) => !isLockedBy(job, locks.get(job.id))));
    for (const job of jobs) if (!lost.has(job)) job.confirm(askedAt);
    this.#giveBackCached(lost, true);
  }

  /** Returns jobs that wait in memory: the database does not say in time whether they may start. */
  giveBackCached(jobs: readonly ClaimedJob[]): void {
    this.#giveBackCached(new Set(jobs));
  }

  /** What is left of a chain that is about to start without what was cancelled or paused while it was on its way here. */
  sift(chain: Chain): Chain | undefined {
    const { interventions } = this.#parts;
    if (interventions.isEmpty) return chain;
    const jobs = chain.remove((job) => interventions.stops(job));
    this.giveBack({ jobs, endsChain: chain.waiting === 0 });
    return chain.waiting > 0 ? chain : undefined;
  }

  /** Releases what a claim has brought too late, after `tookMs`, and returns what may be started. */
  keep(chains: readonly Chain[], tookMs: number): readonly Chain[] {
    const isGone = this.#lostIds.has(chains[0]?.first?.lockedBy ?? "");
    const contactTimeoutMs = this.#context.settings.recovery?.contactTimeoutMs ?? Number.POSITIVE_INFINITY;
    if (!isGone && tookMs < contactTimeoutMs) return chains;
    const kept = chains.filter(({ locksMore }) => !isGone && !locksMore);
    for (const chain of chains) if (!kept.includes(chain)) this.giveBack({ jobs: chain.cut(), endsChain: true }, true);
    return kept;
  }

  /** Ends the claims of jobs that were not started. What may be lost is released only as far as it is not. */
  giveBack({ jobs, endsChain }: Removal, lost = false): void {
    const { held } = this.#context;
    for (const job of jobs) {
      held.ended(job);
      const isLast = job === jobs.at(-1);
      const outcome = this.#unstarted(job);
      this.#parts.releaser.add({ job, outcome, durationMs: 0, endsChain: endsChain && isLast, lost });
    }
  }

  #giveBackCached(jobs: ReadonlySet<ClaimedJob>, lost = false): void {
    if (jobs.size === 0) return;
    const { slots, source } = this.#parts;
    const matches = (job: ClaimedJob): boolean => jobs.has(job);
    for (const removal of [...slots.remove(matches), ...source.remove(matches)]) this.giveBack(removal, lost);
  }

  #unstarted(job: ClaimedJob): Outcome {
    const reason = this.#parts.interventions.cancelReason(job);
    return reason === undefined ? { kind: "returned" } : { kind: "cancelled", reason };
  }

  /** A claim under these ids may still be on its way; what it brings is not ours either. */
  #disown(workerIds: ReadonlySet<string> | "all"): void {
    for (const id of workerIds === "all" ? [this.#context.identity.current] : workerIds) this.#lostIds.add(id);
  }
}

type WithdrawalsContext = Pick<WorkerContext, "clock" | "identity" | "held"> & {
  readonly settings: Pick<WorkerContext["settings"], "recovery">;
};

/** Where the jobs of a worker are on their way. */
export interface WithdrawalsParts {
  readonly interventions: Interventions;
  readonly source: Source;
  readonly slots: Slots;
  readonly releaser: Releaser;
}

/** Whether a job is locked by one of its claims. */
function isLockedBy({ lockedBy, claimTimes }: ClaimedJob, lock: JobLock | undefined): boolean {
  return lock?.workerId === lockedBy && claimTimes.includes(lock.lockedAt);
}
