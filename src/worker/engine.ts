import { HowdahError } from "../errors.ts";
import { Claimer } from "../job/claim/claimer.ts";
import { DirectSource } from "../job/claim/direct-source.ts";
import type { Source } from "../job/claim/source.ts";
import type { Chain } from "../job/chain.ts";
import type { Surroundings } from "../job/execute/execution.ts";
import { Slots } from "../job/execute/slots.ts";
import { Releaser } from "../job/release/releaser.ts";
import type { TaskRegistry } from "../job/task-registry.ts";
import type { Claim } from "../postgres/queries/claim.ts";
import type { Release } from "../postgres/queries/release.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Reporter } from "./reporter.ts";

/** What an engine is built of. */
export interface EngineParts {
  readonly workerId: string;
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
  readonly concurrency: number;
  readonly pollIntervalMs: number;
  readonly forbiddenFlags: readonly string[];
  readonly gracePeriodMs: number;
  readonly abortPeriodMs: number;
  readonly interruptedRetryMs: number;
  /** The most jobs to claim in all. */
  readonly maxJobs: number;
}

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
  #taken = 0;
  /** Called whenever the engine may have come to rest. */
  #rested: (() => void) | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    const { clock, reporter, workerId } = parts;
    this.claimer = new Claimer({ ...parts, workerId: () => workerId });
    this.source = new DirectSource({
      claimer: this.claimer,
      clock,
      pollIntervalMs: parts.pollIntervalMs,
      room: () => Math.min(this.slots.free, parts.maxJobs - this.#taken),
      available: () => this.slots.fill(),
      drained: () => this.#rested?.(),
      failed: (error, { failures }) => {
        if (failures === 1) reporter.failure(workerId, "claim jobs", error);
      },
    });
    this.slots = new Slots({
      ...parts,
      take: () => this.#take(),
      started: (job) => reporter.started(job),
      ended: (job, outcome, end) => this.releaser.add({ job, outcome, ...end }),
      settledLate: (job) => void this.releaser.endChain(job),
      idle: () => this.#rested?.(),
    });
    this.releaser = new Releaser({
      release: parts.release,
      clock,
      listener: {
        released: (ending, runAt) => reporter.released(ending, runAt),
        refused: (ending) => reporter.refused(ending),
        freed: (queueIds) => this.source.pulse({ queueIds }),
        failed: (error) => reporter.failure(workerId, "release jobs", error),
      },
    });
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
    this.slots.pause();
    this.#giveBack(await this.source.stop());
    await this.#idleWithin(gracePeriodMs);
    this.slots.abort(new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "The worker is shutting down."));
    await this.#idleWithin(abortPeriodMs);
    const abandoned = this.slots.abandon();
    return { abandoned, unwritten: await this.#flushWithin(gracePeriodMs) };
  }

  get #isAtRest(): boolean {
    const nothingToClaim = this.source.isIdle || this.#taken >= this.#parts.maxJobs;
    return nothingToClaim && this.slots.busy === 0 && this.releaser.size === 0;
  }

  #take(): Chain | undefined {
    const chain = this.source.take();
    if (chain) {
      this.#taken += chain.jobs.length;
      for (const job of chain.jobs) this.#parts.reporter.fetched(job);
    }
    return chain;
  }

  #giveBack(chains: readonly Chain[]): void {
    for (const { jobs } of chains) {
      for (const [place, job] of jobs.entries()) {
        const endsChain = place === jobs.length - 1;
        this.releaser.add({ job, outcome: { kind: "returned" }, durationMs: 0, endsChain });
      }
    }
  }

  async #idleWithin(limitMs: number): Promise<void> {
    const idle = new AbortController();
    const check = (): void => {
      if (this.slots.busy === 0) idle.abort();
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
