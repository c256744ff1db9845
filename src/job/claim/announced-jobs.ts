/**
 * Which jobs were announced by their ids since the last look everywhere. While
 * these are all there can be, a claim takes them by id and looks for nothing
 * else. Anything less certain, such as an announcement without ids, an answer
 * of "more", or a claim that failed, asks for a look everywhere, and so does
 * time: what is not announced is found within the interval.
 */
export class AnnouncedJobs {
  readonly #intervalMs: number;
  readonly #ids = new Set<string>();
  #isMore = true;
  #lookDueAt = 0;

  /** @param intervalMs - the longest time between two looks everywhere */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Jobs were announced; without `jobIds`, or with too many, a search has to find them. */
  announced(jobIds: readonly string[] | undefined): void {
    for (const jobId of jobIds ?? []) this.#ids.add(jobId);
    if (jobIds === undefined || this.#ids.size > MOST_NAMES) this.lookEverywhere();
  }

  /** There may be jobs that were not named. */
  lookEverywhere(): void {
    this.#isMore = true;
    this.#ids.clear();
  }

  /** Whether everything there was has been seen, and nothing was announced since. */
  isQuiet(nowMs: number): boolean {
    return !this.#isMore && this.#ids.size === 0 && nowMs < this.#lookDueAt;
  }

  /**
   * A claim of up to `most` jobs begins. Returns the ids to take, or `undefined`
   * when it has to look everywhere; its answer is for `looked`.
   */
  take(most: number, nowMs: number): readonly string[] | undefined {
    const ids = [...this.#ids];
    this.#ids.clear();
    if (!this.#isMore && nowMs < this.#lookDueAt && ids.length > 0 && ids.length <= most) return ids;
    this.#isMore = false;
    return undefined;
  }

  /** A look everywhere was answered; with `more` something is left. */
  looked(more: boolean, nowMs: number): void {
    if (more) this.lookEverywhere();
    this.#lookDueAt = nowMs + this.#intervalMs;
  }

  /** How long until a look everywhere is due. */
  restMs(nowMs: number): number {
    return Math.max(0, this.#lookDueAt - nowMs);
  }
}

/** More jobs than this are found as fast by looking for them. */
const MOST_NAMES = 50;
