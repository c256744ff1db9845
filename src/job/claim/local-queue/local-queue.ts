import type { HookEmitter } from "../../../hooks/hooks.ts";
import { backoffMs } from "../../../runtime/backoff.ts";
import type { Clock, Timer } from "../../../runtime/clock.ts";
import type { Chain } from "../../chain.ts";
import type { ClaimedJob } from "../../claimed-job.ts";
import type { Claimer } from "../claimer.ts";
import type { ChainPace } from "./chain-pace.ts";
import { initial, step, type Effect, type Event } from "./machine.ts";
import type { LocalQueueSettings } from "./options.ts";
import { RefetchDelay } from "./refetch-delay.ts";
import { RunningChains } from "./running-chains.ts";

/** What a local queue needs, and whom it tells. */
export interface LocalQueueParts {
  /** Which one of its worker's local queues it is, from 0. */
  readonly index: number;
  readonly workerId: string;
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
  /** These jobs were not started and go back, in this order. With `endsChain` the last one frees its queue. */
  giveBack(jobs: readonly ClaimedJob[], endsChain: boolean): void;
  /** A fetch failed, for the so-manieth time in a row. */
  failed(error: unknown, failures: number): void;
}

const BACKOFF = { firstMs: 100, maxMs: 10_000 };

/**
 * Jobs that are locked for this worker and wait in memory for a slot. When to
 * fetch and when to give back is decided in `machine.ts`.
 */
export class LocalQueue {
  readonly #parts: LocalQueueParts;
  readonly #refetchDelay: RefetchDelay | undefined;
  readonly #running: RunningChains;
  readonly #fetchNow = (): void => {
    this.#fetching = this.#fetch();
  };
  #state = initial;
  /** In reverse, so that the next one is the last. */
  #cached: Chain[] = [];
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
      giveBack: (jobs) => this.#giveBack(jobs, false),
    });
  }

  /** True when it could fetch at once. */
  get canFetch(): boolean {
    return this.#state.mode === "polling" && !this.#state.fetching && !this.#state.delayed;
  }

  /** True when it holds nothing and looks for nothing. */
  get isIdle(): boolean {
    return this.#cached.length === 0 && !this.#state.fetching;
  }

  /** Begins to fetch. */
  start(): void {
    const { hooks, workerId, index } = this.#parts;
    hooks.emit("localQueueInit", { workerId, queue: index });
    this.#handle({ type: "started" });
  }

  /** The next chain, if there is one. */
  take(): Chain | undefined {
    const chain = this.#cached.pop();
    if (chain) {
      if (chain.waiting > 1) this.#running.add(chain);
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
      hooks.emit("localQueueSetMode", { workerId, queue: index, oldMode, newMode: state.mode });
    }
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    switch (effect) {
      case "fetch":
        this.#pollTimer?.cancel();
        // After this turn: the slot that took the last job has started it by then.
        process.nextTick(this.#fetchNow);
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
    const { claimer, pace, mostQueues } = this.#parts;
    this.#refetchDelay?.fetching();
    try {
      const quantity = this.#room();
      const { chains, more } = await claimer.claim({ quantity, chainLength: pace.length, mostQueues });
      this.#failures = 0;
      this.#arrived(chains, quantity, more);
    } catch (error) {
      this.#failures += 1;
      this.#parts.failed(error, this.#failures);
      this.#handle({ type: "fetchFailed" });
    }
  }

  /** How many jobs may be fetched. Chains at work that leave no room are cut short. */
  #room(): number {
    const { size } = this.#parts.settings;
    const room = size - this.#running.waiting;
    if (room > 0) return room;
    this.#running.cut();
    return size;
  }

  #arrived(chains: readonly Chain[], asked: number, more: boolean): void {
    const { hooks, workerId, index, available } = this.#parts;
    const count = chains.reduce((sum, chain) => sum + chain.waiting, 0);
    this.#cached = chains.toReversed();
    if (hooks.has("localQueueGetJobsComplete")) {
      hooks.emit("localQueueGetJobsComplete", { workerId, queue: index, count });
    }
    // Only an answer of "nothing more" may slow the next fetch down.
    const delay = !more && this.#state.mode !== "released" && (this.#refetchDelay?.fetched(count, asked) ?? false);
    this.#handle({ type: "fetched", count, more, delay });
    if (this.#cached.length > 0) available();
  }

  #returnCached(): void {
    const chains = this.#cached.reverse();
    this.#cached = [];
    for (const chain of chains) this.#giveBack(chain.cut(), true);
  }

  #giveBack(jobs: readonly ClaimedJob[], endsChain: boolean): void {
    if (jobs.length === 0) return;
    const { hooks, workerId, index, giveBack } = this.#parts;
    hooks.emit("localQueueReturnJobs", { workerId, queue: index, count: jobs.length });
    giveBack(jobs, endsChain);
  }

  #pollLater(): void {
    const { clock, claimer, pollIntervalMs, random } = this.#parts;
    const restMs = this.#failures > 0 ? backoffMs(BACKOFF, this.#failures, random) : claimer.restMs;
    this.#pollTimer?.cancel();
    this.#pollTimer = clock.setTimer(Math.min(restMs, pollIntervalMs), () => this.#handle({ type: "pollDue" }));
  }

  #createRefetchDelay(): RefetchDelay | undefined {
    const { settings, clock, random, hooks, workerId, index } = this.#parts;
    if (!settings.refetchDelay) return undefined;
    const who = { workerId, queue: index };
    return new RefetchDelay({
      ...{ settings: settings.refetchDelay, size: settings.size, clock, random },
      started: (delay) => hooks.emit("localQueueRefetchDelayStart", { ...who, ...delay }),
      aborted: (abort) => {
        hooks.emit("localQueueRefetchDelayAbort", { ...who, ...abort });
        this.#handle({ type: "delayOver" });
      },
      expired: () => {
        hooks.emit("localQueueRefetchDelayExpired", who);
        this.#handle({ type: "delayOver" });
      },
    });
  }
}
