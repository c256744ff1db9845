import { HowdahError } from "../errors.ts";
import type { HookEmitter } from "../hooks/hooks.ts";
import { Claimer, type ForbiddenFlags } from "../job/claim/claimer.ts";
import { DirectSource } from "../job/claim/direct-source.ts";
import { ChainPace } from "../job/claim/local-queue/chain-pace.ts";
import { LocalQueues } from "../job/claim/local-queue/local-queues.ts";
import type { LocalQueueSettings } from "../job/claim/local-queue/options.ts";
import type { Source } from "../job/claim/source.ts";
import type { Chain } from "../job/chain.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import type { Surroundings } from "../job/execute/execution.ts";
import { Slots } from "../job/execute/slots.ts";
import { Releaser } from "../job/release/releaser.ts";
import type { TaskRegistry } from "../job/task-registry.ts";
import type { Claim } from "../postgres/queries/claim.ts";
import type { Release } from "../postgres/queries/release.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Identity } from "./identity.ts";
import type { Reporter } from "./reporter.ts";

/** What an engine is built of. */
export interface EngineParts {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly claim: Claim;
  readonly release: Release;
  readonly tasks: TaskRegistry;
  /** The tasks of this worker by their id, as they are stored now. */
  readonly taskIdentifiers: () => ReadonlyMap<number, string>;
  /** A task id is no longer stored. */
  readonly tasksGone: () => void;
  readonly surroundings: Surroundings;
  readonly reporter: Reporter;
  readonly hooks: HookEmitter;
  /** `undefined` to claim directly. */
  readonly localQueue: LocalQueueSettings | undefined;
  readonly concurrency: number;
  readonly pollIntervalMs: number;
  readonly forbiddenFlags: ForbiddenFlags;
  readonly completeDelayMs: number;
  readonly failDelayMs: number;
  readonly gracePeriodMs: number;
  readonly abortPeriodMs: number;
  readonly interruptedRetryMs: number;
  /** The most jobs to claim in all. */
  readonly maxJobs: number;
  /** Aborted when the worker closes: nothing can be written any more. */
  readonly closed: AbortSignal;
}

/** So many outcomes may wait to be written before slots are refused new work. */
const MAX_UNWRITTEN = 10_000;

/** What ended is written down although handlers may have been given no time at all. */
const LEAST_FLUSH_MS = 1_000;

/** How many named queues a fetch looks for: some slots will want a second one before the next fetch is there. */
const QUEUES_PER_SLOT = 2;

/**
 * Claim, execute and release, wired together for one run of a worker:
 *
 *   source --chains--> slots --outcomes--> releaser --freed queues--> source
 */
export class Engine {
  readonly source: Source;
  readonly slots: Slots;
  readonly releaser: Releaser;
  readonly claimer: Claimer;
  readonly #parts: EngineParts;
  readonly #pace = new ChainPace();
  readonly #giveUp = (): void => void this.releaser.abandon();
  #taken = 0;
  /** Slots were refused work until outcomes are written. */
  #isHeldBack = false;
  /** Called whenever the engine may have come to rest. */
  #rested: (() => void) | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    const { clock, reporter, identity } = parts;
    this.claimer = new Claimer({
      ...parts,
      workerId: () => identity.current,
      uncertain: (workerId) => identity.distrust(workerId),
      claimed(jobs) {
        identity.claimed(jobs[0]?.lockedBy ?? identity.current, jobs.length);
        reporter.fetched(jobs);
      },
    });
    this.source = parts.localQueue ? this.#createLocalQueues(parts.localQueue) : this.#createDirectSource();
    this.slots = new Slots({
      ...parts,
      take: () => this.#take(),
      started: (job) => reporter.started(job),
      ended: (job, outcome, end) => {
        if (outcome.kind !== "returned") this.#pace.note(end.durationMs);
        this.releaser.add({ job, outcome, ...end });
      },
      settledLate: (job) => this.releaser.endChain(job),
      idle: () => this.#rested?.(),
    });
    this.releaser = new Releaser({
      release: parts.release,
      clock,
      completeDelayMs: parts.completeDelayMs,
      failDelayMs: parts.failDelayMs,
      listener: {
        released: (ending, runAt) => {
          identity.ended(ending.job.lockedBy);
          reporter.released(ending, runAt);
          const { job, outcome } = ending;
          if (outcome.kind !== "completed" && job.queueId !== null) this.claimer.wentBack(job.queueId);
          this.#goOn();
        },
        refused: (ending) => {
          identity.ended(ending.job.lockedBy);
          reporter.refused(ending);
          this.#goOn();
        },
        freed: (queueIds) => this.source.pulse({ queueIds }),
        failed: (error) => reporter.failure(identity.current, "release jobs", error),
      },
    });
    parts.closed.addEventListener("abort", this.#giveUp, { once: true });
  }

  /** How many jobs were taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** Begins to claim and to run. */
  start(): void {
    this.slots.resume();
    this.source.start();
  }

  /** Resolves when every slot is free and everything is released, or when `signal` is aborted. */
  async rest(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.slots.busy === 0) await this.releaser.flush();
      // What was released may have freed a queue with more jobs.
      if (this.#isAtRest) return;
      await this.#nextRest(signal);
    }
  }

  /**
   * Ends the run: stops claiming, gives back what nobody started, waits for
   * handlers, tells them to stop, gives back what still runs, and writes all of
   * it down. Returns how many handlers were left behind and how many outcomes
   * could not be written.
   */
  async stop(): Promise<{ readonly abandoned: number; readonly unwritten: number }> {
    const { gracePeriodMs, abortPeriodMs } = this.#parts;
    // The rest of a chain at work; its queue stays locked until the job that runs has ended.
    this.#giveBack(this.slots.pause(), false);
    // Not waited for yet: handlers are told in time although the database does not answer a claim under way.
    const sourceStopped = this.#stopSource();
    await this.#idleWithin(gracePeriodMs);
    this.slots.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "The worker is shutting down."));
    await this.#idleWithin(abortPeriodMs);
    const abandoned = this.slots.abandon();
    await sourceStopped;
    const unwritten = await this.#flushWithin(Math.max(gracePeriodMs, LEAST_FLUSH_MS));
    // A handler that was left behind has its queue unlocked when it settles, unless the worker has closed by then.
    if (this.slots.leftBehind === 0) this.#parts.closed.removeEventListener("abort", this.#giveUp);
    return { abandoned, unwritten };
  }

  async #stopSource(): Promise<void> {
    for (const chain of await this.source.stop()) this.#giveBack(chain.cut(), true);
  }

  /** Takes up work again if it was held back: after this turn, when what was written no longer counts. */
  #goOn(): void {
    if (!this.#isHeldBack) return;
    this.#isHeldBack = false;
    process.nextTick(() => this.slots.fill());
  }

  #createDirectSource(): Source {
    const { clock, pollIntervalMs, maxJobs } = this.#parts;
    return new DirectSource({
      claimer: this.claimer,
      clock,
      pollIntervalMs,
      room: () => Math.min(this.slots.free, maxJobs - this.#taken),
      available: () => this.slots.fill(),
      drained: () => this.#rested?.(),
      failed: (error, { failures }) => this.#claimFailed(error, failures),
    });
  }

  #createLocalQueues(settings: LocalQueueSettings): Source {
    const { clock, pollIntervalMs, identity, hooks, concurrency } = this.#parts;
    return new LocalQueues(
      {
        settings,
        claimer: this.claimer,
        pace: this.#pace,
        clock,
        pollIntervalMs,
        hooks,
        workerId: () => identity.current,
        mostQueues: QUEUES_PER_SLOT * concurrency,
        random: Math.random,
        available: () => this.slots.fill(),
        giveBack: (jobs, endsChain) => this.#giveBack(jobs, endsChain),
        failed: (error, failures) => this.#claimFailed(error, failures),
      },
      concurrency,
    );
  }

  #claimFailed(error: unknown, failures: number): void {
    if (failures === 1) this.#parts.reporter.failure(this.#parts.identity.current, "claim jobs", error);
  }

  get #isAtRest(): boolean {
    const nothingToClaim = this.source.isIdle || this.#taken >= this.#parts.maxJobs;
    return nothingToClaim && this.slots.busy === 0 && this.releaser.size === 0;
  }

  /** Nothing new is started while the database is too slow to take the outcomes, so that memory stays bounded. */
  #take(): Chain | undefined {
    if (this.releaser.size >= MAX_UNWRITTEN) {
      this.#isHeldBack = true;
      return undefined;
    }
    const chain = this.source.take();
    if (chain) {
      this.#taken += chain.waiting;
    }
    return chain;
  }

  #giveBack(jobs: readonly ClaimedJob[], endsChain: boolean): void {
    for (const job of jobs) {
      const isLast = job === jobs.at(-1);
      this.releaser.add({ job, outcome: { kind: "returned" }, durationMs: 0, endsChain: endsChain && isLast });
    }
  }

  async #idleWithin(limitMs: number): Promise<void> {
    const idle = new AbortController();
    const check = (): void => {
      // A handler that has lost its slot still holds its queue.
      if (this.slots.busy === 0 && this.slots.leftBehind === 0) idle.abort();
    };
    this.#rested = check;
    check();
    await this.#parts.clock.sleep(limitMs, idle.signal);
    this.#rested = undefined;
  }

  /** Returns how many outcomes were given up. */
  async #flushWithin(limitMs: number): Promise<number> {
    const flushed = new AbortController();
    const flushing = this.releaser.flush().then(() => flushed.abort());
    await this.#parts.clock.sleep(limitMs, flushed.signal);
    if (flushed.signal.aborted) return 0;
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
