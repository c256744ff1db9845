import { randomBytes } from "node:crypto";
import type { Clock } from "../runtime/clock.ts";
import type { HeldJobs } from "./held-jobs.ts";

/**
 * The id under which a worker locks jobs. A claim whose answer was lost may
 * have locked jobs that no worker runs; to find them, the worker goes on under
 * a new id. Once it holds nothing under the old one, and a statement cannot be
 * under way any more, `LostClaims` returns whatever is locked there.
 *
 *   current   a claim's answer was lost                     -> retired
 *   current   a run ended with outcomes it could not write  -> retired
 *   retired   after `settledMs`, with nothing held          -> recovered, forgotten
 *   any       declared dead: others recover its locks       -> forgotten
 */
export class Identity {
  readonly #clock: Clock;
  readonly #held: HeldJobs;
  readonly #isRegistered: boolean;
  readonly #retiredAt = new Map<string, number>();
  readonly #watchers = new Set<IdentityWatcher>();
  #current: string;

  /** Only ids that are registered let others find out when their worker dies. */
  constructor(clock: Clock, held: HeldJobs, { isRegistered = true }: { readonly isRegistered?: boolean } = {}) {
    this.#clock = clock;
    this.#held = held;
    this.#isRegistered = isRegistered;
    this.#current = createWorkerId(isRegistered);
  }

  /** The id for new claims. */
  get current(): string {
    return this.#current;
  }

  /** Every id under which something may be locked, the current one first. */
  get all(): readonly string[] {
    return [this.#current, ...this.#retiredAt.keys()];
  }

  /** The ids that are not claimed under any more, and since when, by the monotonic clock. */
  get retired(): readonly (readonly [workerId: string, retiredAt: number])[] {
    return [...this.#retiredAt];
  }

  /** The ids under which nothing is locked, if no claim is under way: neither a row, nor a queue whose handler goes on. */
  get clean(): readonly string[] {
    return this.all.filter((id) => !this.#held.hasLocks(id) && !this.#retiredAt.has(id));
  }

  /** What a claim under this id has locked is not known. */
  distrust(workerId: string): void {
    if (workerId !== this.#current) return;
    this.#retiredAt.set(workerId, this.#clock.monotonic());
    this.replace();
  }

  /** These ids were declared dead: other workers return what is locked by them, and the current one is replaced. */
  forget(workerIds: ReadonlySet<string>): void {
    for (const id of workerIds) this.#retiredAt.delete(id);
    if (workerIds.has(this.#current)) this.replace();
  }

  /** Takes another id for new claims. */
  replace(): void {
    this.#current = createWorkerId(this.#isRegistered);
    for (const watcher of this.#watchers) watcher.identityChanged();
  }

  /** A run has ended: what is still held will not be released by it any more. */
  abandonHeld(): void {
    const ids = this.all.filter((id) => this.#held.hasRows(id));
    this.#held.abandon();
    for (const id of ids) {
      if (!this.#retiredAt.has(id)) this.#retiredAt.set(id, this.#clock.monotonic());
    }
    if (ids.includes(this.#current)) this.replace();
  }

  /** From now on `watcher` is notified of each new id. */
  watch(watcher: IdentityWatcher): void {
    this.#watchers.add(watcher);
  }

  /** Ends {@link watch}. */
  unwatch(watcher: IdentityWatcher): void {
    this.#watchers.delete(watcher);
  }
}

/** Wants to know when a worker has a new id. */
export interface IdentityWatcher {
  /** There is a new id. */
  identityChanged(): void;
}

/**
 * A new id to lock jobs under, unique everywhere. Its 25 characters are what
 * the free space of a page is reckoned with: a longer id would make claims
 * slower. A lock of the first form without a registration says that its worker
 * is dead, so a worker without recovery has the other form.
 */
export function createWorkerId(isRegistered = true): string {
  return `howdah${isRegistered ? "_" : "-"}${randomBytes(9).toString("hex")}`;
}
