/** Far more than a look takes that waits for nothing. */
const MOST_MS = 3_000;

/**
 * What a look cost the server, which says how long to rest before the next one.
 * One that took longer than three seconds has waited: for a lock on the table, or
 * for a machine without time to give. To rest in proportion to that would keep
 * jobs unseen for minutes after the cause is over.
 */
export function lookCost(tookMs: number): number {
  return Math.min(tookMs, MOST_MS);
}
