import type { Timer } from "../../runtime/clock.ts";
import { removeJobs, type Chain, type Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { WorkerContext, WorkerSettings } from "../worker-context.ts";
import { aheadQuantity, HOLD_MS } from "./ahead-quantity.ts";
import type { UnstartedJobs } from "./source.ts";

/**
 * The jobs without a queue that a direct source has claimed beyond those that
 * start at once. They are there when the next slots become free, and go back
 * when none has become free in time. How many there may be is decided in
 * `ahead-quantity.ts`.
 */
export class ReadAhead {
  readonly #context: ReadAheadContext;
  readonly #unstarted: Pick<UnstartedJobs, "giveBack">;
  #chains: Chain[] = [];
  /** Until when they may start. */
  #until = 0;
  /** One for all of them: when it fires too early for those of a later claim, it is set again. */
  #timer: Timer | undefined;
  #isFull = false;
  #tookMs = 0;
  #returnedAt = Number.NEGATIVE_INFINITY;
  /** Quick jobs that have ended since `#halfAt`, and in the half of a second before. */
  #quick = 0;
  #quickBefore = 0;
  #halfAt: number;

  constructor(context: ReadAheadContext, unstarted: Pick<UnstartedJobs, "giveBack">) {
    this.#context = context;
    this.#unstarted = unstarted;
    this.#halfAt = context.clock.monotonic();
  }

  /** How many jobs are here. */
  get size(): number {
    return this.#chains.length;
  }

  /** A handler has ended. */
  note(durationMs: number): void {
    if (durationMs <= HOLD_MS / 2) this.#quick += 1;
  }

  /** How many jobs a claim that is sent now may bring beyond those that start at once. */
  quantity(now: number): number {
    // They wait because slots refuse to start.
    if (this.#chains.length > 0) return 0;
    return aheadQuantity({
      slots: this.#context.settings.concurrency,
      isFull: this.#isFull,
      tookMs: this.#tookMs,
      quickJobs: this.#quickJobs(now),
      sinceReturnMs: now - this.#returnedAt,
    });
  }

  /** A claim was answered, or has failed, which counts as short. */
  answered(isFull: boolean, tookMs: number): void {
    this.#isFull = isFull;
    this.#tookMs = tookMs;
  }

  /** Keeps what a claim that was sent then has brought beyond what starts at once; nothing is here. */
  hold(chains: Chain[], sentAt: number): void {
    this.#chains = chains;
    this.#until = sentAt + HOLD_MS;
    this.#timer ??= this.#startTimer();
  }

  /** The chain that starts next, if there is one that still may. */
  next(now: number): Chain | undefined {
    if (this.#chains.length > 0 && now > this.#until) this.#giveBack(now);
    return this.#chains[0];
  }

  /** Takes out what {@link next} has shown. */
  take(): Chain | undefined {
    return this.#chains.shift();
  }

  /** Takes out the jobs that match. */
  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[] {
    const { left, removals } = removeJobs(this.#chains, matches);
    this.#chains = left;
    return removals;
  }

  /** Ends it. Returns what is here. */
  stop(): readonly Chain[] {
    this.#timer?.cancel();
    this.#timer = undefined;
    return this.#chains.splice(0);
  }

  /** Never more than in the last second: what ended long after the last claim counts as older than it is. */
  #quickJobs(now: number): number {
    const sinceMs = now - this.#halfAt;
    if (sinceMs >= HALF_SECOND_MS) {
      const isOver = sinceMs >= 2 * HALF_SECOND_MS;
      this.#quickBefore = isOver ? 0 : this.#quick;
      this.#quick = 0;
      this.#halfAt = isOver ? now : this.#halfAt + HALF_SECOND_MS;
    }
    return this.#quickBefore + this.#quick;
  }

  #startTimer(): Timer {
    const { clock } = this.#context;
    return clock.setTimer(this.#until - clock.monotonic(), () => this.#expire());
  }

  #expire(): void {
    this.#timer = undefined;
    if (this.#chains.length === 0) return;
    const now = this.#context.clock.monotonic();
    if (now < this.#until) this.#timer = this.#startTimer();
    else this.#giveBack(now);
  }

  #giveBack(now: number): void {
    this.#returnedAt = now;
    for (const chain of this.#chains.splice(0)) this.#unstarted.giveBack({ jobs: chain.cut(), endsChain: true });
  }
}

/** What reading ahead stands on. */
export type ReadAheadContext = Pick<WorkerContext, "clock"> & {
  readonly settings: Pick<WorkerSettings, "concurrency">;
};

const HALF_SECOND_MS = 500;
