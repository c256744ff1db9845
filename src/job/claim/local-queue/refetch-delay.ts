import type { Timer } from "../../../runtime/clock.ts";
import type { WorkerContext } from "../../worker-context.ts";
import type { RefetchDelaySettings } from "./options.ts";

/**
 * The wait after a fetch that brought little. It is cut short when enough jobs
 * have been announced, counted from the beginning of that fetch.
 *
 *   idle      a fetch brings little, not enough announced   -> waiting
 *   waiting   the time is over, or enough announced         -> idle
 */
export class RefetchDelay {
  readonly #context: RefetchDelayContext;
  readonly #parts: RefetchDelayParts;
  #announced = 0;
  #abortThreshold = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(context: RefetchDelayContext, parts: RefetchDelayParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** A fetch begins: counting starts anew. */
  fetching(): void {
    this.#announced = 0;
  }

  /** A fetch brought `count` of the `asked` jobs. Returns true when a wait begins. */
  fetched(count: number, asked: number): boolean {
    const { clock, hooks, random } = this.#context;
    const { settings, size } = this.#parts;
    const { threshold, durationMs, maxAbortThreshold = 5 * size } = settings;
    if (count >= asked || count > threshold) return false;
    const abortThreshold = Math.max(1, Math.floor(random() * maxAbortThreshold));
    const waitMs = Math.floor(durationMs * (0.5 + random() / 2));
    hooks.emit("localQueueRefetchDelayStart", { ...this.#who, durationMs: waitMs, threshold, abortThreshold });
    if (this.#announced >= abortThreshold) {
      this.#abort(abortThreshold);
      return false;
    }
    this.#abortThreshold = abortThreshold;
    this.#timer = clock.setTimer(waitMs, () => this.#expire());
    return true;
  }

  /** Jobs were announced. */
  pulse(count: number): void {
    this.#announced += count;
    if (!this.#timer || this.#announced < this.#abortThreshold) return;
    const abortThreshold = this.#abortThreshold;
    this.stop();
    this.#abort(abortThreshold);
  }

  /** Ends the wait without a word. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#abortThreshold = Number.POSITIVE_INFINITY;
  }

  #expire(): void {
    this.stop();
    this.#context.hooks.emit("localQueueRefetchDelayExpired", this.#who);
    this.#parts.owner.delayOver();
  }

  #abort(abortThreshold: number): void {
    const { hooks } = this.#context;
    hooks.emit("localQueueRefetchDelayAbort", { ...this.#who, count: this.#announced, abortThreshold });
    this.#parts.owner.delayOver();
  }

  /** What hooks call its local queue. */
  get #who() {
    return { workerId: this.#context.identity.current, queue: this.#parts.index };
  }
}

/** What a refetch delay stands on. */
export type RefetchDelayContext = Pick<WorkerContext, "clock" | "hooks" | "identity" | "random">;

/** Whom a refetch delay works for. */
export interface RefetchDelayParts {
  readonly settings: RefetchDelaySettings;
  /** The `size` of the local queue. */
  readonly size: number;
  /** Which one of its worker's local queues it delays. */
  readonly index: number;
  readonly owner: RefetchDelayOwner;
}

/** The local queue that waits. */
export interface RefetchDelayOwner {
  /** The wait has ended, or ended before it began. */
  delayOver(): void;
}
