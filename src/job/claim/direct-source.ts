import type { Clock } from "../../runtime/clock.ts";
import { startLoop, type Loop, type LoopFailure } from "../../runtime/loop.ts";
import { removeJobs, type Acceptance, type Chain, type Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Claimer } from "./claimer.ts";
import type { Announcement } from "./notification.ts";
import type { Source } from "./source.ts";

/** What a direct source needs, and whom it tells. */
export interface DirectSourceOptions {
  readonly claimer: Claimer;
  readonly clock: Clock;
  readonly pollIntervalMs: number;
  /** How many more jobs could start right now. */
  room(): number;
  /** Chains are at hand. */
  available(): void;
  /** A look found nothing more. */
  drained(): void;
  /** A claim failed; the source goes on. */
  failed(error: unknown, failure: LoopFailure): void;
}

/**
 * Claims exactly as many jobs as slots are free, of each queue one: nothing is
 * locked that does not start at once. One claim is under way at a
 * time; slots that become free meanwhile go with the next one.
 */
export class DirectSource implements Source {
  readonly #options: DirectSourceOptions;
  readonly #wake = (): void => this.#loop?.wake();
  #ready: Chain[] = [];
  #loop: Loop | undefined;
  /** There may be work that no claim has seen. */
  #wanted = true;
  #claiming = false;

  constructor(options: DirectSourceOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#ready.length === 0 && !this.#claiming && !this.#wanted && !this.#options.claimer.hasCandidates;
  }

  start(): void {
    const { clock, failed } = this.#options;
    this.#loop = startLoop({ name: "claim", clock, round: () => this.#round(), onError: failed });
  }

  take(accepts?: Acceptance, now = 0): Chain | undefined {
    const next = this.#ready[0];
    if (!next && (this.#wanted || this.#options.claimer.hasCandidates)) this.#wakeSoon();
    if (!next || accepts?.(next, now) === false) return undefined;
    return this.#ready.shift();
  }

  pulse(announcement: Announcement): void {
    this.#options.claimer.announce(announcement);
    this.#wanted = true;
    this.#wakeSoon();
  }

  distrust(): void {
    this.#options.claimer.distrust();
    this.#wanted = true;
    this.#wakeSoon();
  }

  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[] {
    const { left, removals } = removeJobs(this.#ready, matches);
    this.#ready = left;
    return removals;
  }

  async stop(): Promise<readonly Chain[]> {
    await this.#loop?.stop();
    const left = this.#ready;
    this.#ready = [];
    return left;
  }

  /** After this turn, so that all slots it frees go with one claim. */
  #wakeSoon(): void {
    if (!this.#claiming) process.nextTick(this.#wake);
  }

  async #round(): Promise<number> {
    const { claimer, available, drained, pollIntervalMs } = this.#options;
    const quantity = this.#room;
    // Whoever frees a slot wakes us; a look is overdue then.
    this.#wanted = true;
    if (quantity <= 0) return pollIntervalMs;
    this.#wanted = false;
    this.#claiming = true;
    try {
      const { chains, more } = await claimer.claim({ quantity, chainLength: 1, mostQueues: quantity });
      this.#ready.push(...chains);
      this.#wanted ||= more;
    } catch (error) {
      this.#wanted = true;
      throw error;
    } finally {
      this.#claiming = false;
    }
    if (this.#ready.length > 0) available();
    if (this.isIdle) drained();
    return this.#restMs();
  }

  #restMs(): number {
    const { claimer, pollIntervalMs } = this.#options;
    const isMoreWanted = this.#wanted || claimer.hasCandidates;
    return isMoreWanted && this.#room > 0 ? 0 : Math.min(pollIntervalMs, claimer.restMs);
  }

  /** Slots may refuse to start for a while: what is at hand already waits for them. */
  get #room(): number {
    return this.#options.room() - this.#ready.length;
  }
}
