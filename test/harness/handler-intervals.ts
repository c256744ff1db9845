import { systemClock } from "../../src/runtime/clock.ts";

/** One call of a handler, by one clock for all workers. */
export interface HandlerInterval {
  /** What has a limit: a queue, a pool, a task. */
  readonly key: string;
  readonly from: number;
  /** `undefined` while it runs. */
  until: number | undefined;
}

/** Writes down when handlers run. Times are milliseconds of the monotonic clock. */
export class HandlerIntervals {
  readonly all: HandlerInterval[] = [];

  /** A handler begins. Returns what ends it. */
  begin(key: string): HandlerInterval {
    const interval: HandlerInterval = { key, from: systemClock.monotonic(), until: undefined };
    this.all.push(interval);
    return interval;
  }

  /** The same handler ends. */
  end(interval: HandlerInterval): void {
    interval.until = systemClock.monotonic();
  }

  /** How many of those that fit ran at once at most. One that ends when another begins does not overlap it. */
  mostAtOnce(fits: (interval: HandlerInterval) => boolean = () => true): number {
    return mostAtOnce(this.all.filter(fits));
  }

  /** The keys, each once. */
  get keys(): string[] {
    return [...new Set(this.all.map(({ key }) => key))];
  }
}

/** How many of these ran at once at most, computed over all of them. */
function mostAtOnce(intervals: readonly Pick<HandlerInterval, "from" | "until">[]): number {
  const changes = intervals.flatMap(({ from, until = Number.POSITIVE_INFINITY }) => [
    { at: from, by: 1 },
    { at: until, by: -1 },
  ]);
  changes.sort((a, b) => a.at - b.at || a.by - b.by);
  let most = 0;
  let count = 0;
  for (const { by } of changes) {
    count += by;
    most = Math.max(most, count);
  }
  return most;
}

/** A rate, as rules say it. */
export interface CheckedRate {
  readonly limit: number;
  readonly perMs: number;
  readonly burst: number;
}

/**
 * By how many starts the worst window of any length was beyond what a rate
 * allows, which is `burst` and one for each token that comes back; 0 or less
 * when none was.
 */
export function beyondRate(starts: readonly number[], { limit, perMs, burst }: CheckedRate): number {
  const sorted = starts.toSorted((a, b) => a - b);
  const tokenMs = perMs / limit;
  let worst = Number.NEGATIVE_INFINITY;
  for (const [first, from] of sorted.entries()) {
    for (let last = first; last < sorted.length; last++) {
      worst = Math.max(worst, last - first + 1 - burst - ((sorted[last] ?? 0) - from) / tokenMs);
    }
  }
  return worst;
}
