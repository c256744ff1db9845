import { startLoop, type Loop } from "../../runtime/loop.ts";
import { removeJobs, type Acceptance, type Chain, type Removal } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { WorkerContext, WorkerSettings } from "../worker-context.ts";
import type { Claimer } from "./claimer.ts";
import type { Announcement } from "./notification.ts";
import type { Source, SourceHost } from "./source.ts";

/**
 * Claims exactly as many jobs as slots are free, of each queue one: nothing is
 * locked that does not start at once. One claim is under way at a
 * time; slots that become free meanwhile go with the next one.
 */
export class DirectSource implements Source {
  readonly #context: DirectSourceContext;
  readonly #parts: DirectSourceParts;
  readonly #wake = (): void => this.#loop?.wake();
  #ready: Chain[] = [];
  #loop: Loop | undefined;
  /** There may be work that no claim has seen. */
  #wanted = true;
  #claiming = false;

  constructor(context: DirectSourceContext, parts: DirectSourceParts) {
    this.#context = context;
    this.#parts = parts;
  }

  get isIdle(): boolean {
    return this.#ready.length === 0 && !this.#claiming && !this.#wanted && !this.#parts.claimer.hasCandidates;
  }

  start(): void {
    const { clock, reporter } = this.#context;
    this.#loop = startLoop({
      name: "claim",
      clock,
      round: () => this.#round(),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("claim jobs", error);
      },
    });
  }

  take(accepts?: Acceptance, now = 0): Chain | undefined {
    const next = this.#ready[0];
    if (!next && (this.#wanted || this.#parts.claimer.hasCandidates)) this.#wakeSoon();
    if (!next || accepts?.(next, now) === false) return undefined;
    return this.#ready.shift();
  }

  pulse(announcement: Announcement): void {
    this.#parts.claimer.announce(announcement);
    this.#wanted = true;
    this.#wakeSoon();
  }

  distrust(): void {
    this.#parts.claimer.distrust();
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
    const { claimer, host } = this.#parts;
    // Slots may refuse to start for a while: what is at hand already waits for them.
    const quantity = host.room - this.#ready.length;
    // A slot that becomes free wakes the loop, and then a look is overdue.
    this.#wanted = true;
    if (quantity <= 0) return this.#context.settings.pollIntervalMs;
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
    if (this.#ready.length > 0) host.available();
    if (this.isIdle) host.drained();
    const isMoreWanted = (this.#wanted || claimer.hasCandidates) && host.room > this.#ready.length;
    return isMoreWanted ? 0 : Math.min(this.#context.settings.pollIntervalMs, claimer.restMs);
  }
}

/** What a direct source stands on. */
export type DirectSourceContext = Pick<WorkerContext, "clock" | "reporter"> & {
  readonly settings: Pick<WorkerSettings, "pollIntervalMs">;
};

/** Whom a direct source works with. */
export interface DirectSourceParts {
  readonly claimer: Claimer;
  readonly host: SourceHost;
}
