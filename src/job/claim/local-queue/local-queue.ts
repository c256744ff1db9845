import type { HookEmitter } from "../../../hooks/emitter.ts";
import { backoffMs } from "../../../runtime/backoff.ts";
import type { Clock, Timer } from "../../../runtime/clock.ts";
import { removeJobs, type Acceptance, type Chain, type Removal } from "../../chain.ts";
import type { ClaimedJob } from "../../claimed-job.ts";
import type { Claimer } from "../claimer.ts";
import type { ChainPace } from "./chain-pace.ts";
import { canFetch, initial, step, type Effect, type Event } from "./machine.ts";
import type { LocalQueueSettings } from "./options.ts";
import { RefetchDelay } from "./refetch-delay.ts";
import { RunningChains } from "./running-chains.ts";

/** What a local queue needs, and whom it tells. */
export interface LocalQueueParts {
  /** Which one of its worker's local queues it is, from 0. */
  readonly index: number;
  /** The id of its worker, for hooks. */
  readonly workerId: () => string;
  readonly settings: LocalQueueSettings;
  readonly claimer: Claimer;
  readonly pace: ChainPace;
  /** The most named queues of one fetch: enough to keep all slots busy, with chains as long as that allows. */
  readonly mostQueues: number;
  readonly pollIntervalMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly hooks: HookEmitter;
  /** Jobs are at hand. */
  available(): void;
  /** A fetch left jobs behind, for another local queue to fetch. */
  foundMore(): void;
  /** These jobs were not started and go back, in this order. With `endsChain` the last one frees its queue. */
  giveBack(jobs: readonly ClaimedJob[], endsChain: boolean): void;
  /** A fetch failed, for the so-manieth time in a row. */
  failed(error: unknown, failures: number): void;
}

const BACKOFF = { firstMs: 100, maxMs: 10_000 };
const NOTHING_FETCHED: Event = { type: "fetched", count: 0, more: false, delay: false };

/**
 * Jobs that are locked for this worker and wait in memory for a slot. When to
 * fetch and when to give back is decided in `machine.ts`.
 */
export class LocalQueue {
  readonly #parts: LocalQueueParts;
  readonly #refetchDelay: RefetchDelay | undefined;
  readonly #running: RunningChains;
  #state = initial;
  /** In reverse, so that the next one is the last. */
  #cached: Chain[] = [];
  /** When they arrived. */
  #arrivedAt = 0;
  #fetching: Promise<void> = Promise.resolve();
  #failures = 0;
  #pollTimer: Timer | undefined;
  #ttlTimer: Timer | undefined;

  constructor(parts: LocalQueueParts) {
    this.#parts = parts;
    this.#refetchDelay = this.#createRefetchDelay();
    this.#running = new RunningChains({
      clock: parts.clock,
      ttlMs: parts.settings.ttlMs,
      giveBack: (jobs) => this.#giveBack(jobs),
    });
  }

  /** True when it could fetch at once. */
  get canFetch(): boolean {
    return canFetch(this.#state);
  }

  /** True while a fetch is under way, which looks again when jobs were announced meanwhile. */
  get isFetching(): boolean {
    return this.#state.fetching;
  }

  /** True when it holds nothing and looks for nothing. */
  get isIdle(): boolean {
    return this.#cached.length === 0 && !this.#state.fetching;
  }

  /** Begins to fetch. */
  start(): void {
    const { hooks, workerId, index } = this.#parts;
    hooks.emit("localQueueInit", { workerId: workerId(), queue: index });
    this.#handle({ type: "started" });
  }

  /** The next chain, if there is one. One that `accepts` refuses stays. */
  take(accepts?: Acceptance, now = 0): Chain | undefined {
    const next = this.#cached.at(-1);
    if (next && accepts?.(next, now) === false) return undefined;
    const chain = this.#cached.pop();
    if (chain) {
      if (chain.waiting > 1) this.#running.add(chain, this.#arrivedAt);
      if (this.#cached.length === 0) this.#handle({ type: "drained" });
    } else if (this.#state.mode === "ttlExpired") {
      this.#handle({ type: "asked" });
    }
    return chain;
  }

  /** So many jobs were announced; a refetch delay counts them. */
  announce(count: number): void {
    this.#refetchDelay?.pulse(count);
  }

  /** Looks for jobs now, or again after the fetch under way. */
  pulse(): void {
    this.#handle({ type: "pulsed" });
  }

  /** Takes the cached jobs out that match. */
  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[] {
    const had = this.#cached.length;
    const { left, removals } = removeJobs(this.#cached, matches);
    this.#cached = left;
    if (removals.length > 0) this.#tellReturned(removals.flatMap(({ jobs }) => jobs));
    if (had > 0 && left.length === 0) this.#handle({ type: "drained" });
    return removals;
  }

  /** Stops for good and gives back what nobody has started, also what a fetch under way will bring. */
  async stop(): Promise<void> {
    this.#handle({ type: "released" });
    this.#running.stop();
    await this.#fetching;
  }

  #handle(event: Event): void {
    const oldMode = this.#state.mode;
    const [state, effects] = step(this.#state, event);
    this.#state = state;
    if (state.mode !== oldMode) {
      const { hooks, workerId, index } = this.#parts;
      hooks.emit("localQueueSetMode", { workerId: workerId(), queue: index, oldMode, newMode: state.mode });
    }
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    switch (effect) {
      case "fetch":
        this.#pollTimer?.cancel();
        this.#fetching = endOfTurn().then(() => this.#fetch());
        return;
      case "pollLater":
        return this.#pollLater();
      case "startTtl":
        this.#ttlTimer = this.#parts.clock.setTimer(this.#parts.settings.ttlMs, () => this.#handle({ type: "ttlDue" }));
        return;
      case "stopTtl":
        return this.#ttlTimer?.cancel();
      case "returnJobs":
        return this.#returnCached();
      case "stopTimers":
        this.#pollTimer?.cancel();
        return this.#refetchDelay?.stop();
      default:
        return effect satisfies never;
    }
  }

  async #fetch(): Promise<void> {
    // Stopped since it was decided on: nothing is claimed that would only go back.
    if (this.#state.mode === "released") return this.#handle(NOTHING_FETCHED);
    const { claimer, pace, mostQueues, settings } = this.#parts;
    this.#refetchDelay?.fetching();
    try {
      // Of each chain at work one job was started, so there is always room for one more.
      const quantity = settings.size - this.#running.waiting;
      const heldBytes = this.#running.waitingBytes;
      const { chains, more } = await claimer.claim({ quantity, chainLength: pace.length, mostQueues, heldBytes });
      this.#failures = 0;
      this.#arrived(chains, quantity, more);
    } catch (error) {
      this.#failures += 1;
      this.#parts.failed(error, this.#failures);
      this.#handle({ type: "fetchFailed" });
    }
  }

  #arrived(chains: readonly Chain[], asked: number, more: boolean): void {
    const { clock, hooks, workerId, index, available, foundMore } = this.#parts;
    const count = chains.reduce((sum, chain) => sum + chain.waiting, 0);
    this.#cached = chains.toReversed();
    this.#arrivedAt = clock.monotonic();
    if (hooks.has("localQueueGetJobsComplete")) {
      hooks.emit("localQueueGetJobsComplete", { workerId: workerId(), queue: index, count });
    }
    // Only an answer of "nothing more" may slow the next fetch down.
    const delay = !more && this.#state.mode !== "released" && (this.#refetchDelay?.fetched(count, asked) ?? false);
    this.#handle({ type: "fetched", count, more, delay });
    if (this.#cached.length > 0) available();
    if (more) foundMore();
  }

  #returnCached(): void {
    const chains = this.#cached.reverse().map((chain) => chain.cut());
    this.#cached = [];
    this.#tellReturned(chains.flat());
    for (const jobs of chains) this.#parts.giveBack(jobs, true);
  }

  /** The rest of a chain whose first jobs were started; the one that runs will free the queue. */
  #giveBack(jobs: readonly ClaimedJob[]): void {
    if (jobs.length === 0) return;
    this.#tellReturned(jobs);
    this.#parts.giveBack(jobs, false);
  }

  #tellReturned({ length: count }: readonly ClaimedJob[]): void {
    const { hooks, workerId, index } = this.#parts;
    hooks.emit("localQueueReturnJobs", { workerId: workerId(), queue: index, count });
  }

  /** Of the local queues that have nothing to do one polls for all; it wakes the others when it finds more than it takes. */
  #pollLater(): void {
    const { clock, claimer, pollIntervalMs, random, index } = this.#parts;
    const isFailing = this.#failures > 0;
    if (index > 0 && !isFailing) return;
    const restMs = isFailing ? backoffMs(BACKOFF, this.#failures, random) : Math.min(claimer.restMs, pollIntervalMs);
    this.#pollTimer?.cancel();
    this.#pollTimer = clock.setTimer(restMs, () => this.#handle({ type: "pollDue" }));
  }

  #createRefetchDelay(): RefetchDelay | undefined {
    const { settings, clock, random, hooks, workerId, index } = this.#parts;
    if (!settings.refetchDelay) return undefined;
    const who = () => ({ workerId: workerId(), queue: index });
    return new RefetchDelay({
      settings: settings.refetchDelay,
      size: settings.size,
      clock,
      random,
      started: (delay) =>
        hooks.emit("localQueueRefetchDelayStart", {
          ...who(),
          ...delay,
        }),
      aborted: (abort) => {
        hooks.emit("localQueueRefetchDelayAbort", {
          ...who(),
          ...abort,
        });
        this.#handle({ type: "delayOver" });
      },
      expired: () => {
        hooks.emit("localQueueRefetchDelayExpired", who());
        this.#handle({ type: "delayOver" });
      },
    });
  }
}

/** Resolves when the promises of this turn have settled: the slot that took the last job has started it by then. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
