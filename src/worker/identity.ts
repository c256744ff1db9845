import type { HeldJobs } from "../job/held-jobs.ts";
import type { Clock } from "../runtime/clock.ts";
import { startLoop, type Loop } from "../runtime/loop.ts";
import { createWorkerId } from "./worker-id.ts";

/** What an identity needs, and whom it tells. */
export interface IdentityOptions {
  readonly clock: Clock;
  /** What is locked under its ids. */
  readonly held: HeldJobs;
  /** Whether its ids are registered, so that others find out when this worker dies. Default true. */
  readonly isRegistered?: boolean;
  /**
   * Longer than a statement may take, on its way and in the database: a claim
   * whose answer was lost has committed by then, or never will. Default 60 s.
   */
  readonly settledMs?: number | undefined;
  /** Gives back what is still locked under this id. Resolves to the number of jobs; `undefined` to be asked again later. */
  recover(workerId: string): Promise<number | undefined>;
  /** Jobs were found that a lost claim had locked. */
  recovered(workerId: string, jobCount: number): void;
  /** Giving back failed, for the first time in a row; it is tried again. */
  failed(error: unknown): void;
}

/** For workers whose statements have no limit. */
const SETTLED_MS = 60_000;

/**
 * The id under which a worker locks jobs. A claim whose answer was lost may
 * have locked jobs that nobody will run; to find them, the worker goes on under
 * a new id. Once it holds nothing under the old one, and a statement cannot be
 * under way any more, whatever is locked there is given back.
 *
 *   current   a claim's answer was lost                     -> retired
 *   current   a run ended with outcomes it could not write  -> retired
 *   retired   after `settledMs`, with nothing held          -> recovered, forgotten
 *   any       swept: others recover what is locked by it    -> forgotten
 */
export class Identity {
  readonly #options: IdentityOptions;
  readonly #retiredAt = new Map<string, number>();
  #current: string;
  #loop: Loop | undefined;
  /** Called when there is a new id. */
  changed: () => void = () => undefined;

  constructor(options: IdentityOptions) {
    this.#options = options;
    this.#current = this.#createId();
  }

  /** The id for new claims. */
  get current(): string {
    return this.#current;
  }

  /** Every id under which something may be locked, the current one first. */
  get all(): readonly string[] {
    return [this.#current, ...this.#retiredAt.keys()];
  }

  /** The ids under which nothing is locked, if no claim is under way: neither a row, nor a queue whose handler goes on. */
  get clean(): readonly string[] {
    return this.all.filter((id) => !this.#options.held.hasLocks(id) && !this.#retiredAt.has(id));
  }

  /** Nobody knows what a claim under this id has locked. */
  distrust(workerId: string): void {
    if (workerId !== this.#current) return;
    this.#current = this.#createId();
    this.#retiredAt.set(workerId, this.#options.clock.monotonic());
    this.#loop?.wake();
    this.changed();
  }

  /** These ids were declared dead: what is locked by them is given back by others, and the current one is replaced. */
  forget(workerIds: ReadonlySet<string>): void {
    for (const id of workerIds) this.#retiredAt.delete(id);
    if (workerIds.has(this.#current)) this.replace();
  }

  /** Takes another id for new claims. */
  replace(): void {
    this.#current = this.#createId();
    this.changed();
  }

  /** A run has ended: what is still held will not be released by it any more. */
  abandonHeld(): void {
    const { clock, held } = this.#options;
    const ids = this.all.filter((id) => held.hasRows(id));
    held.abandon();
    for (const id of ids) {
      if (!this.#retiredAt.has(id)) this.#retiredAt.set(id, clock.monotonic());
    }
    if (ids.includes(this.#current)) this.replace();
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

  #createId(): string {
    return createWorkerId(this.#options.isRegistered ?? true);
  }

  async #recoverRetired(): Promise<number> {
    const { clock, held, recover, recovered, settledMs = SETTLED_MS } = this.#options;
    const errors: unknown[] = [];
    for (const [workerId, retiredAt] of this.#retiredAt) {
      if (held.hasRows(workerId) || clock.monotonic() - retiredAt < settledMs) continue;
      // One that fails holds up no others.
      const jobCount = await recover(workerId).catch((error: unknown) => void errors.push(error));
      if (jobCount === undefined) continue;
      this.#retiredAt.delete(workerId);
      if (jobCount > 0) recovered(workerId, jobCount);
    }
    if (errors.length > 0) throw errors[0];
    return this.#retiredAt.size > 0 ? settledMs / 6 : Number.POSITIVE_INFINITY;
  }
}
