import { backoffMs } from "../../runtime/backoff.ts";

/**
 * Jobs that cannot be locked, and that a worker's claims therefore leave alone
 * for a while: each claim that meets one of them fails as a whole.
 *
 *   job       is                          leaves when
 *   skipped   left alone by claims        its time is over              -> tried
 *   tried     claimed as any other        it is found again: for longer -> skipped
 *                                         it is claimed; or no claim of this
 *                                         worker meets it for a minute; or
 *                                         another needs its place       -> forgotten
 */
export class SkippedJobs {
  readonly #jobs = new Map<string, Skipped>();

  /** True when every job may be claimed. */
  get isEmpty(): boolean {
    return this.#jobs.size === 0;
  }

  /** Those to leave alone now. Forgets what was not met again: removed, or run by another worker. */
  at(nowMs: number): readonly string[] {
    if (this.isEmpty) return NONE;
    for (const [id, { untilMs }] of this.#jobs) if (nowMs - untilMs >= FORGOTTEN_MS) this.#jobs.delete(id);
    return [...this.#jobs].filter(([, { untilMs }]) => untilMs > nowMs).map(([id]) => id);
  }

  /** This job cannot be locked. Returns whether that is news. */
  found(id: string, nowMs: number): boolean {
    const known = this.#jobs.get(id);
    if (!known && this.#jobs.size >= MOST_SKIPPED && !this.#makeRoom(nowMs)) return false;
    const failures = (known?.failures ?? 0) + 1;
    this.#jobs.set(id, { failures, untilMs: nowMs + backoffMs(BACKOFF, failures) });
    return !known;
  }

  /** These jobs were locked after all. */
  claimed(ids: readonly string[]): void {
    if (this.isEmpty) return;
    for (const id of ids) this.#jobs.delete(id);
  }

  /** Forgets the one that has been tried for the longest, if there is one. */
  #makeRoom(nowMs: number): boolean {
    let oldest: string | undefined;
    let oldestMs = nowMs;
    for (const [id, { untilMs }] of this.#jobs) {
      if (untilMs > oldestMs || (untilMs === oldestMs && oldest !== undefined)) continue;
      oldest = id;
      oldestMs = untilMs;
    }
    return oldest !== undefined && this.#jobs.delete(oldest);
  }
}

/** No worker leaves more jobs alone than this. */
export const MOST_SKIPPED = 100;

const BACKOFF = { firstMs: 5_000, maxMs: 60_000 };

/** One that is not found again for a minute is gone, runs elsewhere, or can be locked again. */
const FORGOTTEN_MS = 60_000;

interface Skipped {
  readonly failures: number;
  /** By the monotonic clock: tried again from then on. */
  readonly untilMs: number;
}

const NONE: readonly string[] = [];
