/** How fast the rests between failures grow. */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
  /** What each failure multiplies the rest by. Default 2. */
  readonly factor?: number | undefined;
}

/**
 * How long to rest after so many `failures` in a row, the first being 1: doubled
 * each time and capped, then shortened at random to between half and all of it,
 * so that many workers do not come back at the same moment. `random` gives 0
 * to 1.
 */
export function backoffMs(limits: BackoffLimits, failures: number, random: () => number = Math.random): number {
  const { firstMs, maxMs, factor = 2 } = limits;
  const fullMs = Math.min(maxMs, firstMs * factor ** Math.max(failures - 1, 0));
  return fullMs * (0.5 + random() / 2);
}
