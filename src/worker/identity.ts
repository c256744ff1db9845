import type { Clock } from "../runtime/clock.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";
import { createWorkerId } from "./worker-id.ts";

/** What an identity needs, and whom it tells. */
export interface IdentityOptions {
  readonly clock: Clock;
  /** Gives back what is still locked under this id. Resolves to the number of jobs. */
  recover(workerId: string): Promise<number>;
  /** Jobs were found that a lost claim had locked. */
  recovered(workerId: string, jobCount: number): void;
  /** Giving back failed, for the first time in a row; it is tried again. */
  failed(error: unknown): void;
}

/** Longer than a statement may take: a claim whose answer was lost has committed by then, or never will. */
const SETTLED_MS = 60_000;

/**
 * The id under which a worker locks jobs. A claim whose answer was lost may
 * have locked jobs that nobody will run; to find them, the worker goes on under
 * a new id. Once it holds nothing under the old one, and a statement cannot be
 * under way any more, whatever is locked there is given back.
 *
 *   current   a claim's answer was lost                     -> retired
 *   retired   a minute later, with nothing held, recovered  -> forgotten
 */
export class Identity {
  readonly #options: IdentityOptions;
  readonly #retiredAt = new Map<string, number>();
  /** How many jobs are held under each id. */
  readonly #held = new Map<string, number>();
  #current = createWorkerId();
  #loop: Loop | undefined;

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /** The id for new claims. */
  get current(): string {
    return this.#current;
  }

  /** So many jobs are held under an id from now on. */
  claimed(workerId: string, count: number): void {
    this.#held.set(workerId, (this.#held.get(workerId) ?? 0) + count);
  }

  /** A job is no longer held under an id. */
  ended(workerId: string): void {
    const left = (this.#held.get(workerId) ?? 0) - 1;
    if (left > 0) this.#held.set(workerId, left);
    else this.#held.delete(workerId);
  }

  /** Nobody knows what a claim under this id has locked. */
  distrust(workerId: string): void {
    if (workerId !== this.#current) return;
    this.#current = createWorkerId();
    this.#retiredAt.set(workerId, this.#options.clock.monotonic());
    this.#loop?.wake();
  }

  /** Begins to look after retired ids. Returns the end of it. */
  start(): () => Promise<void> {
    const { clock, failed } = this.#options;
    const loop = startLoop({
      name: "recover lost claims",
      clock,
      round: () => this.#recoverRetired(),
      onError(error, { failures }) {
        if (failures === 1) failed(error);
      },
    });
    this.#loop = loop;
    return () => loop.stop();
  }

  async #recoverRetired(): Promise<number> {
    const { clock, recover, recovered } = this.#options;
    for (const [workerId, retiredAt] of this.#retiredAt) {
      if (this.#held.has(workerId) || clock.monotonic() - retiredAt < SETTLED_MS) continue;
      const jobCount = await recover(workerId);
      this.#retiredAt.delete(workerId);
      if (jobCount > 0) recovered(workerId, jobCount);
    }
    return this.#retiredAt.size > 0 ? SETTLED_MS / 6 : Number.POSITIVE_INFINITY;
  }
}
