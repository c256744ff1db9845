import { HowdahError } from "../errors.ts";
import { Claimer } from "../job/claim/claimer.ts";
import { DirectSource } from "../job/claim/direct-source.ts";
import { ChainPace } from "../job/claim/local-queue/chain-pace.ts";
import { LocalQueues } from "../job/claim/local-queue/local-queues.ts";
import type { Source, SourceHost } from "../job/claim/source.ts";
import type { Acceptance, Chain } from "../job/chain.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import type { SlotsEngine } from "../job/execute/slot.ts";
import { Slots } from "../job/execute/slots.ts";
import { Interventions } from "../job/interventions.ts";
import type { LivenessWatcher } from "../job/recover/liveness-loop.ts";
import { locksOf, LockWatch, type LockHolder, type LocksToWatch } from "../job/recover/lock-watch.ts";
import type { Ending } from "../job/outcome.ts";
import type { ReleaseListener } from "../job/release/release-writer.ts";
import { Releaser } from "../job/release/releaser.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import type { JobLock } from "../postgres/queries/control.ts";
import { type CoupledEngine, Coupler } from "./coupler.ts";
import { BusyTasks, LONG_RUN_MS } from "./busy-tasks.ts";
import { Interruptions } from "./interruptions.ts";
import { type LaneFreeingEngine, LaneNotices } from "./lane-notices.ts";
import { Withdrawals } from "./withdrawals.ts";

/**
 * Claim, execute and release, wired together for one run of a worker:
 *
 *   source --chains--> slots --outcomes--> releaser --freed queues--> source
 */
export class Engine
  implements CoupledEngine, LaneFreeingEngine, LivenessWatcher, LockHolder, ReleaseListener, SlotsEngine, SourceHost
{
  readonly source: Source;
  readonly slots: Slots;
  readonly releaser: Releaser;
  readonly claimer: Claimer;
  readonly withdrawals: Withdrawals;
  /** What was cancelled or paused from outside. */
  readonly interventions = new Interventions();
  readonly busyTasks: BusyTasks;
  readonly #context: WorkerContext;
  readonly #run: EngineRun;
  readonly #coupler: Coupler | undefined;
  readonly #lockWatch: LockWatch;
  readonly #interruptions: Interruptions;
  readonly #laneNotices: LaneNotices;
  readonly #giveUp = (): void => void this.releaser.abandon();
  #taken = 0;
  #isDraining = false;
  /** Slots were refused work until outcomes are written. */
  isHeldBack = false;
  /** It takes no more jobs, and ends. */
  isStopping = false;
  /** Called whenever the engine may have come to rest. */
  #rested: (() => void) | undefined;

  constructor(context: WorkerContext, run: EngineRun) {
    this.#context = context;
    this.#run = run;
    this.busyTasks = new BusyTasks(context);
    this.withdrawals = new Withdrawals(context, this);
    this.#coupler = this.#createCoupler();
    this.claimer = new Claimer(context, { unstarted: this.withdrawals, coupler: this.#coupler });
    this.source = this.#createSource();
    this.slots = new Slots(context, this);
    this.#interruptions = new Interruptions(context, this);
    this.releaser = new Releaser(context, { statements: this.#coupler ?? context.statements, listener: this });
    this.#lockWatch = new LockWatch(context, this);
    this.#laneNotices = new LaneNotices(context, this);
    context.closed.addEventListener("abort", this.#giveUp, { once: true });
  }

  /** How many jobs were taken so far. */
  get taken(): number {
    return this.#taken;
  }

  get startUntil(): number {
    return this.#run.startUntil;
  }

  /** How many more jobs could start right now. */
  get room(): number {
    return Math.min(this.slots.free, this.#run.maxJobs - this.#taken);
  }

  get further(): number {
    return this.#run.maxJobs - this.#taken - this.room;
  }

  /** Chains are at hand. */
  available(): void {
    this.slots.fill();
  }

  /** A claim found nothing more. */
  drained(): void {
    if (this.#isDraining && this.slots.collecting.open.size > 0) this.slots.collecting.closeAll();
    this.#rested?.();
  }

  /** Begins to claim and to run. */
  start(): void {
    this.slots.resume();
    this.source.start();
    this.#lockWatch.start();
  }

  /** A new connection to the database, perhaps to another server. */
  reconnected(): void {
    this.#lockWatch.reconnected();
  }

  /** Obeys what was cancelled or paused since; see {@link Withdrawals.intervene}. */
  intervene(): void {
    this.withdrawals.intervene();
  }

  /** The database was asked at `askedAt` about these jobs, and they are locked like this; what may start starts. */
  confirm(jobs: readonly ClaimedJob[], locks: ReadonlyMap<string, JobLock>, askedAt: number): void {
    this.withdrawals.confirm(jobs, locks, askedAt);
    this.slots.fill();
    this.#rested?.();
  }

  /** Returns jobs that wait in memory: the database does not say in time whether they may start. */
  giveBackCached(jobs: readonly ClaimedJob[]): void {
    this.withdrawals.giveBackCached(jobs);
    this.slots.fill();
    this.#rested?.();
  }

  /** Other tasks of this worker are paused than before: what claims have seen does not count any more. */
  tasksChanged(): void {
    this.claimer.forget();
    this.source.distrust();
  }

  /** What was claimed under these ids may belong to another worker by now; see {@link Withdrawals.lose}. */
  lose(workerIds: ReadonlySet<string> | "all", which: { readonly queuedOnly: boolean }, reason: HowdahError): void {
    this.withdrawals.lose(workerIds, which, reason);
  }

  loseJobs(jobs: ReadonlySet<ClaimedJob>, reason: HowdahError): void {
    this.withdrawals.loseJobs(jobs, reason);
  }

  locksToWatch(): LocksToWatch {
    return locksOf(this.#context.held, this.slots);
  }

  heartbeatAnswered(): void {
    this.slots.fill();
  }

  freeing(): void {
    this.source.pulse({ jobIds: [] });
  }

  released(ending: Ending, runAt: string | undefined): void {
    this.#context.held.released(ending.job);
    if (this.#context.notes.jobs.byJob.size > 0) this.#context.notes.released(ending);
    this.#context.reporter.released(ending, runAt);
    const { job, outcome } = ending;
    // One without a queue that failed, or waits, is not due before it is announced.
    if (outcome.kind !== "completed" && (job.queueId !== null || outcome.kind === "returned")) {
      this.claimer.wentBack(job);
      if (job.queueId === null && this.#hearsOfNone) this.source.pulse({ at: job.position.at });
    }
    this.#goOn();
  }

  refused(ending: Ending): void {
    this.#context.held.released(ending.job);
    if (this.#context.notes.jobs.byJob.size > 0) this.#context.notes.released(ending);
    this.#context.reporter.refused(ending);
    this.#goOn();
  }

  unknown(ending: Ending): void {
    this.#context.held.released(ending.job);
    if (this.#context.notes.jobs.byJob.size > 0) this.#context.notes.released(ending);
    this.#context.reporter.unknown(ending);
    this.#goOn();
  }

  freed(queueIds: readonly number[], hasClaimed: boolean): void {
    if (hasClaimed) this.claimer.freed(queueIds);
    else this.source.pulse({ queueIds });
  }

  lanesFreed(ownerIds: readonly number[], hasClaimed: boolean): void {
    const lanes = this.claimer.ruled?.lanesFreed(ownerIds, hasClaimed);
    if (!lanes) return;
    if (lanes.toName.length > 0) this.source.pulse({ queueIds: lanes.toName });
    this.#laneNotices.freed(lanes.freed);
  }

  failed(error: unknown): void {
    this.#context.reporter.failure("release jobs", error);
  }

  stuck(ending: Ending, error: unknown, isGivenUp: boolean): void {
    this.#context.reporter.stuck(ending, error, isGivenUp);
    this.#goOn();
  }

  /** Resolves when every slot is free and everything is released, or when `signal` is aborted. */
  async #rest(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.slots.busy === 0) await this.releaser.flush();
      // What was released may have freed a queue with more jobs.
      if (this.#isAtRest) return;
      await this.#nextRest(signal);
    }
  }

  /** Resolves when a full scan has found nothing more and all jobs have ended, or when `signal` is aborted. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isDraining = true;
    for (let before = -1; before < this.#taken && !signal.aborted;) {
      await this.#rest(signal);
      before = this.#taken;
      this.source.distrust();
      await this.#rest(signal);
    }
  }

  /**
   * Ends the run: stops claiming, returns what was not started, waits for handlers, tells them to stop, and writes all
   * outcomes. Returns how many handlers go on without their slots and how many outcomes could not be written.
   */
  async stop(): Promise<{ readonly abandoned: number; readonly unwritten: number }> {
    const { gracePeriodMs, abortPeriodMs } = this.#context.settings.shutdown;
    this.isStopping = true;
    // The rest of a chain at work; its queue stays locked until the job that runs has ended.
    for (const removal of this.slots.pause()) this.withdrawals.giveBack(removal);
    // Not waited for yet: handlers are told in time although the database does not answer a claim under way.
    const sourceStopped = this.#stopSource();
    await this.#idleWithin(gracePeriodMs);
    this.slots.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "The worker is shutting down."));
    await this.#idleWithin(abortPeriodMs);
    const abandoned = this.slots.abandon();
    await Promise.all([sourceStopped, this.#interruptions.answered()]);
    this.#lockWatch.stop();
    const unwritten = await this.#flushWithin(Math.max(gracePeriodMs, LEAST_FLUSH_MS));
    if (unwritten === 0) await Promise.all([this.#interruptions.correct(), this.#laneNotices.stop()]);
    // A handler that was left behind has its queue unlocked when it settles, unless the worker has closed by then.
    if (this.slots.detachedCount === 0) this.#context.closed.removeEventListener("abort", this.#giveUp);
    return { abandoned, unwritten };
  }

  /** Whether what was read ahead goes back without a notification: a claim may have found nothing just before. */
  get #hearsOfNone(): boolean {
    const { localQueue, readAhead, useNotificationDelivery } = this.#context.settings;
    return readAhead && !localQueue && !useNotificationDelivery;
  }

  /** With local queues the next claim does not follow from a release. */
  #createCoupler(): Coupler | undefined {
    const { statements, settings } = this.#context;
    if (!statements.releaseAndClaim || settings.localQueue) return undefined;
    return new Coupler(this.#context, this);
  }

  #createSource(): Source {
    const { localQueue: settings } = this.#context.settings;
    const parts = { claimer: this.claimer, host: this, unstarted: this.withdrawals };
    if (!settings) return new DirectSource(this.#context, parts);
    return new LocalQueues(this.#context, { ...parts, settings, pace: new ChainPace() });
  }

  /**
   * Whether a chain may start as far as its age goes. What a claim brought long after it was sent, or what has waited
   * here since, is asked about first, whatever delayed it: the database, the way from there, or this process.
   */
  readonly accepts: Acceptance = (chain, now) => {
    if (now <= chain.freshUntil) return true;
    this.#run.askAgain();
    return false;
  };

  ended(ending: Ending): void {
    const { job, outcome, durationMs } = ending;
    if (durationMs >= LONG_RUN_MS) this.busyTasks.ranLong(job.task);
    if (outcome.kind !== "returned") this.source.handlerEnded(durationMs);
    if (this.claimer.limits?.isAwaited(job.task) === true) this.source.pulse({});
    this.#interruptions.add(ending);
  }

  settledLate(job: ClaimedJob, endsChain: boolean): void {
    if (this.claimer.limits?.isAwaited(job.task) === true) this.source.pulse({});
    if (endsChain) this.releaser.endChain(job);
  }

  idle(): void {
    this.#rested?.();
  }

  async #stopSource(): Promise<void> {
    for (const chain of await this.source.stop()) this.withdrawals.giveBack({ jobs: chain.cut(), endsChain: true });
  }

  /** Takes up work again if it was held back: after this turn, when what was written no longer counts. */
  #goOn(): void {
    if (!this.isHeldBack) return;
    this.isHeldBack = false;
    process.nextTick(() => this.slots.fill());
  }

  get #isAtRest(): boolean {
    const nothingToClaim = this.source.isIdle || this.#taken >= this.#run.maxJobs;
    return nothingToClaim && this.slots.busy === 0 && this.releaser.size === this.releaser.stuck;
  }

  /** Nothing new is started while the database is too slow to take the outcomes, so that memory stays bounded. What is stuck has a bound of its own. */
  take(now: number, accepts = this.accepts): Chain | undefined {
    if (this.releaser.size - this.releaser.stuck >= MAX_UNWRITTEN) {
      this.isHeldBack = true;
      return undefined;
    }
    for (;;) {
      const next = this.source.take(accepts, now);
      const chain = next && this.withdrawals.sift(next);
      if (chain) this.#taken += chain.waiting;
      if (chain || !next) return chain;
    }
  }

  async #idleWithin(limitMs: number): Promise<void> {
    const idle = new AbortController();
    const check = (): void => {
      // A handler that has lost its slot still holds its queue.
      if (this.slots.busy === 0 && this.slots.detachedCount === 0) idle.abort();
    };
    this.#rested = check;
    check();
    await this.#context.clock.sleep(limitMs, idle.signal);
    this.#rested = undefined;
  }

  /** Returns how many outcomes were given up. */
  async #flushWithin(limitMs: number): Promise<number> {
    const flushed = new AbortController();
    const flushing = this.releaser.flush().then(() => flushed.abort());
    await this.#context.clock.sleep(limitMs, flushed.signal);
    if (flushed.signal.aborted && this.releaser.size === 0) return 0;
    const unwritten = this.releaser.abandon();
    await flushing;
    return unwritten;
  }

  async #nextRest(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const rested = (): void => {
        signal.removeEventListener("abort", rested);
        resolve();
      };
      this.#rested = rested;
      signal.addEventListener("abort", rested);
    });
    this.#rested = undefined;
  }
}

/** The run of a worker that an engine is part of. */
export interface EngineRun {
  /** The most jobs to claim in all. */
  readonly maxJobs: number;
  /** No job is started later than this, by the monotonic clock, until it moves on: others may have taken it. */
  readonly startUntil: number;
  /** Jobs in memory wait for the database to say whether they may still start. */
  askAgain(): void;
}

/** How many outcomes may wait to be written before slots are refused new work. */
const MAX_UNWRITTEN = 10_000;

/** What ended is written down although handlers may have been given no time at all. */
const LEAST_FLUSH_MS = 1_000;
