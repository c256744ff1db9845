import { backoffMs } from "../../../runtime/backoff.ts";
import type { Timer } from "../../../runtime/clock.ts";
import { removeJobs, type Acceptance, type Chain, type Removal } from "../../chain.ts";
import type { ClaimedJob } from "../../claimed-job.ts";
import type { WorkerContext, WorkerSettings } from "../../worker-context.ts";
import type { Claimer } from "../claimer.ts";
import type { SourceHost, UnstartedJobs } from "../source.ts";
import type { ChainPace } from "./chain-pace.ts";
import { canFetch, initial, isAtRest, step, type Effect, type Event } from "./machine.ts";
import type { LocalQueueSettings } from "./options.ts";
import { RefetchDelay, type RefetchDelayOwner } from "./refetch-delay.ts";
import { RunningChains, type ChainOwner } from "./running-chains.ts";

/**
 * Jobs that are locked for this worker and wait in memory for a slot. When to
 * fetch and when to give back is decided in `machine.ts`.
 */
export class LocalQueue implements RefetchDelayOwner, ChainOwner {
  readonly #context: LocalQueueContext;
  readonly #parts: LocalQueueParts;
  readonly #refetchDelay: RefetchDelay | undefined;
  readonly #running: RunningChains;
  #state = initial;
  /** In reverse, so that the next one is the last. */
  #cached: Chain[] = [];
  /** When they arrived. */
  #arrivedAt = 0;
  #fetching: Promise<void> = Promise.resolve();
  /** How many jobs of queues with rules the fetch under way may bring. */
  #ruledAsked = 0;
  /** Ends the wait for a free slot. */
  #slotFree: (() => void) | undefined;
  #failures = 0;
  #pollTimer: Timer | undefined;
  #ttlTimer: Timer | undefined;

  constructor(context: LocalQueueContext, parts: LocalQueueParts) {
    this.#context = context;
    this.#parts = parts;
    const { index, settings } = parts;
    const { refetchDelay, size, ttlMs } = settings;
    this.#refetchDelay =
      refetchDelay && new RefetchDelay(context, { settings: refetchDelay, size, index, owner: this });
    this.#running = new RunningChains(context.clock, { ttlMs, owner: this });
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

  /** True when it has nothing to do. */
  get isAtRest(): boolean {
    return isAtRest(this.#state);
  }

  /** How many free slots it has claimed jobs of queues with rules for, or is about to. */
  get ruledSlots(): number {
    return this.#ruledAsked + this.#cached.filter(({ isRuled }) => isRuled).length;
  }

  /** Begins to fetch. */
  start(): void {
    this.#context.hooks.emit("localQueueInit", this.#who);
    this.#handle({ type: "started" });
  }

  /** Fetches nothing until it is resumed. Only while it is at rest. */
  suspend(): void {
    this.#handle({ type: "suspended" });
  }

  /** Begins to fetch again. */
  resume(): void {
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
    } else {
      this.#slotFree?.();
      if (this.#state.mode === "ttlExpired") this.#handle({ type: "asked" });
    }
    return chain;
  }

  /** Jobs were announced; a refetch delay counts them. */
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

  /** The refetch delay has ended. */
  delayOver(): void {
    this.#handle({ type: "delayOver" });
  }

  /** Gives back the rest of a chain whose first jobs were started; the one that runs will free the queue. */
  giveBackRest(jobs: readonly ClaimedJob[]): void {
    if (jobs.length === 0) return;
    this.#tellReturned(jobs);
    this.#parts.unstarted.giveBack({ jobs, endsChain: false });
  }

  /** Stops, and gives back what was not started, also what a fetch under way will bring. */
  async stop(): Promise<void> {
    this.#handle({ type: "released" });
    this.#slotFree?.();
    this.#running.stop();
    await this.#fetching;
  }

  #handle(event: Event): void {
    const oldMode = this.#state.mode;
    const [state, effects] = step(this.#state, event);
    this.#state = state;
    if (state.mode !== oldMode) {
      this.#context.hooks.emit("localQueueSetMode", { ...this.#who, oldMode, newMode: state.mode });
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
        this.#ttlTimer = this.#context.clock.setTimer(this.#parts.settings.ttlMs, () =>
          this.#handle({ type: "ttlDue" }),
        );
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
    const { claimer, host, pace, settings, siblings } = this.#parts;
    // Otherwise no job of a queue with rules would ever be claimed while there are others.
    if (claimer.ruled && host.room <= 0) await this.#awaitSlot();
    // Stopped since it was decided on: nothing is claimed that would only go back.
    if (this.#state.mode === "released") return this.#handle(NOTHING_FETCHED);
    const mostQueues = QUEUES_PER_SLOT * this.#context.settings.concurrency;
    this.#refetchDelay?.fetching();
    try {
      // Of each chain at work one job was started, so there is always room for one more.
      const quantity = settings.size - this.#running.waiting;
      const heldBytes = this.#running.waitingBytes;
      const mostRuled = Math.max(0, siblings.slotsForRuled);
      const wanted = { quantity, chainLength: pace.length, mostQueues, mostRuled, heldBytes };
      this.#ruledAsked = mostRuled;
      const { chains, more } = await claimer.claim(wanted).finally(() => (this.#ruledAsked = 0));
      this.#failures = 0;
      this.#arrived(chains, quantity, more);
    } catch (error) {
      this.#failures += 1;
      if (this.#failures === 1) this.#context.reporter.failure("claim jobs", error);
      this.#handle({ type: "fetchFailed" });
    }
  }

  #arrived(chains: readonly Chain[], asked: number, more: boolean): void {
    const { clock, hooks } = this.#context;
    const { host, siblings } = this.#parts;
    const count = chains.reduce((sum, chain) => sum + chain.waiting, 0);
    this.#cached = toCache(chains);
    this.#arrivedAt = clock.monotonic();
    if (hooks.has("localQueueGetJobsComplete")) {
      hooks.emit("localQueueGetJobsComplete", { ...this.#who, count });
    }
    // Only an answer of "nothing more" may slow the next fetch down.
    const delay = !more && this.#state.mode !== "released" && (this.#refetchDelay?.fetched(count, asked) ?? false);
    this.#handle({ type: "fetched", count, more, delay });
    if (this.#cached.length > 0) host.available();
    if (more) siblings.foundMore();
  }

  #returnCached(): void {
    const chains = this.#cached.reverse().map((chain) => chain.cut());
    this.#cached = [];
    this.#tellReturned(chains.flat());
    for (const jobs of chains) this.#parts.unstarted.giveBack({ jobs, endsChain: true });
  }

  /** Resolves when a slot finds nothing here, or it is stopped. */
  async #awaitSlot(): Promise<void> {
    await new Promise<void>((resolve) => (this.#slotFree = resolve));
    this.#slotFree = undefined;
  }

  #tellReturned({ length: count }: readonly ClaimedJob[]): void {
    this.#context.hooks.emit("localQueueReturnJobs", { ...this.#who, count });
  }

  /** Of the local queues that have nothing to do one polls for all; it wakes the others when it finds more than it takes. */
  #pollLater(): void {
    const { clock, random, settings } = this.#context;
    const { claimer, index } = this.#parts;
    const isFailing = this.#failures > 0;
    if (index > 0 && !isFailing) return;
    const restMs = isFailing
      ? backoffMs(BACKOFF, this.#failures, random)
      : Math.min(claimer.restMs, settings.pollIntervalMs);
    this.#pollTimer?.cancel();
    this.#pollTimer = clock.setTimer(restMs, () => this.#handle({ type: "pollDue" }));
  }

  /** What hooks call it. */
  get #who() {
    return { workerId: this.#context.identity.current, queue: this.#parts.index };
  }
}

/** What a local queue stands on. */
export type LocalQueueContext = Pick<WorkerContext, "clock" | "hooks" | "identity" | "random" | "reporter"> & {
  readonly settings: Pick<WorkerSettings, "concurrency" | "pollIntervalMs">;
};

/** Whom a local queue works with. */
export interface LocalQueueParts {
  /** Which one of its worker's local queues it is, from 0. */
  readonly index: number;
  readonly settings: LocalQueueSettings;
  readonly claimer: Claimer;
  readonly pace: ChainPace;
  readonly host: SourceHost;
  readonly unstarted: UnstartedJobs;
  readonly siblings: LocalQueueSiblings;
}

/** All local queues of a worker. */
export interface LocalQueueSiblings {
  /** A fetch left jobs behind, for another local queue to fetch. */
  foundMore(): void;
  /** How many slots are free that no job of a queue with rules is claimed for. */
  readonly slotsForRuled: number;
}

/** In reverse. Those of queues with rules come first: they were claimed for slots that are free. */
function toCache(chains: readonly Chain[]): Chain[] {
  const [ruled, rest] = [chains.filter(({ isRuled }) => isRuled), chains.filter(({ isRuled }) => !isRuled)];
  return [...ruled, ...rest].reverse();
}

/** How many named queues a fetch looks for: some slots will want a second one before the next fetch is there. */
const QUEUES_PER_SLOT = 2;

const BACKOFF = { firstMs: 100, maxMs: 10_000 };
const NOTHING_FETCHED: Event = { type: "fetched", count: 0, more: false, delay: false };

/** Resolves when the promises of this turn have settled: the slot that took the last job has started it by then. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
