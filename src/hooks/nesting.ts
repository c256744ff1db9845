import { AsyncLocalStorage } from "node:async_hooks";
import { HowdahError } from "../errors.ts";

/** Deeper than this nobody adds jobs on purpose. */
const DEEPEST = 20;

const depths = new AsyncLocalStorage<number>();

/**
 * Asks about a job to add, unless that is the work of an interceptor that is
 * asked about a job that it adds itself, and so on without end. Rejects with
 * `HOWDAH_HOOK_FAILED` then.
 */
export async function withinDepth<T>(ask: () => Promise<T>): Promise<T> {
  const depth = depths.getStore() ?? 0;
  if (depth < DEEPEST) return depths.run(depth + 1, ask);
  throw new HowdahError(
    "HOWDAH_HOOK_FAILED",
    "An interceptor of `beforeJobSchedule` adds a job each time it is asked about one, also about its own: " +
      "it has to return before that for the tasks that it adds.",
  );
}
