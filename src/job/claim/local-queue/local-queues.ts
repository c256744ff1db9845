import type { Acceptance, Chain, Removal } from "../../chain.ts";
import type { ClaimedJob } from "../../claimed-job.ts";
import type { Announcement } from "../notification.ts";
import type { Source } from "../source.ts";
import { LocalQueue, type LocalQueueContext, type LocalQueueParts, type LocalQueueSiblings } from "./local-queue.ts";

/**
 * The local queues of a worker as one source. Slots are served from each in
 * turn, and no slot goes empty while another local queue has jobs.
 */
export class LocalQueues implements Source, LocalQueueSiblings {
  readonly #parts: LocalQueuesParts;
  readonly #queues: readonly LocalQueue[];
  /** Which one is asked first. */
  #turn = 0;

  constructor(context: LocalQueueContext, parts: LocalQueuesParts) {
    this.#parts = parts;
    // More local queues than slots would hold jobs that no slot takes.
    const count = Math.min(parts.settings.queueCount, context.settings.concurrency);
    this.#queues = Array.from({ length: count }, (_, index) => {
      return new LocalQueue(context, { ...parts, index, siblings: this });
    });
  }

  get isIdle(): boolean {
    return this.#queues.every((queue) => queue.isIdle) && !this.#parts.claimer.hasCandidates;
  }

  get isAtRest(): boolean {
    const { claimer } = this.#parts;
    return this.#queues.every((queue) => queue.isAtRest) && !claimer.hasCandidates && !claimer.isMidScan;
  }

  suspend(): void {
    for (const queue of this.#queues) queue.suspend();
  }

  resume(): void {
    this.#parts.claimer.distrust();
    for (const queue of this.#queues) queue.resume();
  }

  start(): void {
    for (const queue of this.#queues) queue.start();
  }

  take(accepts?: Acceptance, now = 0): Chain | undefined {
    for (let tried = 0; tried < this.#queues.length; tried++) {
      const chain = this.#next().take(accepts, now);
      if (chain) return chain;
    }
    return undefined;
  }

  handlerEnded(durationMs: number): void {
    this.#parts.pace.note(durationMs);
  }

  pulse(announcement: Announcement): void {
    const { count = 0 } = announcement;
    this.#parts.claimer.announce(announcement);
    for (const queue of this.#queues) queue.announce(count);
    this.#wake(Math.max(1, Math.ceil(count / this.#parts.settings.size)));
  }

  foundMore(): void {
    this.#queues.find((queue) => queue.canFetch)?.pulse();
  }

  get slotsForRuled(): number {
    return this.#parts.host.room - this.#queues.reduce((sum, { ruledSlots }) => sum + ruledSlots, 0);
  }

  distrust(): void {
    this.#parts.claimer.distrust();
    this.#wake(1);
  }

  remove(matches: (job: ClaimedJob) => boolean): readonly Removal[] {
    return this.#queues.flatMap((queue) => queue.remove(matches));
  }

  async stop(): Promise<readonly Chain[]> {
    await Promise.all(this.#queues.map((queue) => queue.stop()));
    return [];
  }

  /** Lets as many local queues look for jobs as it takes: at once, or when the fetch under way is there. */
  #wake(wanted: number): void {
    const able = this.#queues.filter((queue) => queue.canFetch);
    const fetching = able.length > 0 ? able : this.#queues.filter((queue) => queue.isFetching);
    // Those in a refetch delay note that something was missed.
    const chosen = fetching.length > 0 ? fetching : this.#queues;
    for (const queue of chosen.slice(0, wanted)) queue.pulse();
  }

  #next(): LocalQueue {
    const queue = this.#queues[this.#turn] as LocalQueue;
    this.#turn = (this.#turn + 1) % this.#queues.length;
    return queue;
  }
}

/** Whom the local queues of a worker work with. */
export type LocalQueuesParts = Omit<LocalQueueParts, "index" | "siblings">;
