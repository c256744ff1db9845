/** How fast the delays between failures grow. */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
  /** The factor by which each failure multiplies the delay. Default 2. */
  readonly factor?: number | undefined;
}

/**
 * The delay after `failures` consecutive failures, the first being 1: doubled
 * each time and capped, then shortened at random to between half and all of it,
 * so that many workers do not retry at the same time. `random` returns 0 to 1.
 */
export function backoffMs(limits: BackoffLimits, failures: number, random: () => number = Math.random): number {
  const { firstMs, maxMs, factor = 2 } = limits;
  const fullMs = Math.min(maxMs, firstMs * factor ** Math.max(failures - 1, 0));
  return fullMs * (0.5 + random() / 2);
}
