import { custom, integer, list, required, string } from "../runtime/option-kinds.ts";

/** What a look says about the lock that a worker's session should hold. */
export type LockSighting = "held" | "lost" | "none";

const FLAGS = list(required(string({ maxLength: 128 })));

/** Which jobs give their worker more time, unless it is said. */
export const RESILIENT_JOB_FLAGS: readonly string[] = ["infrastructure_resilient"];

/** How it is read which jobs give their worker more time, and how much. */
export const RESILIENCE = {
  resilientJobFlags: custom((given, place) => FLAGS.read(given, place)),
  resilientSweepThresholdMultiplier: integer({ min: 1, default: 3 }),
};

/** What a silence is measured against. */
export interface SilenceLimits {
  readonly sweepThresholdMs: number;
  /** How much more time resilient jobs give. */
  readonly resilientFactor: number;
}

/** A worker that holds its lock has a reason for its silence: a blocked event loop, a stopped process. */
const HELD_FACTOR = 6;

/**
 * How long a silence makes a worker dead, whatever its lock says.
 * Sweepers count what they see; the sweep of an operator goes by what is stored.
 */
export function longestSilenceMs(
  { lock, isResilient }: { readonly lock: LockSighting; readonly isResilient: boolean },
  { sweepThresholdMs, resilientFactor }: SilenceLimits,
): number {
  switch (lock) {
    case "held":
      return sweepThresholdMs * HELD_FACTOR;
    case "none":
      return sweepThresholdMs * (isResilient ? resilientFactor : 1);
    case "lost":
      return sweepThresholdMs;
    default:
      return lock satisfies never;
  }
}
