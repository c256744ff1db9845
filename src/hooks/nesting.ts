import { AsyncLocalStorage } from "node:async_hooks";
import { HowdahError } from "../errors.ts";

/**
 * Calls `ask` about a job to add, but limits how deep interceptors may be
 * called for jobs that interceptors add. Rejects with `HOWDAH_HOOK_FAILED`
 * beyond the limit.
 */
export async function withinDepth<T>(ask: () => Promise<T>): Promise<T> {
  const depth = depths.getStore() ?? 0;
  if (depth < DEEPEST) return depths.run(depth + 1, ask);
  throw new HowdahError(
    "HOWDAH_HOOK_FAILED",
    "An interceptor of `beforeJobSchedule` adds a job each time it is called, also for its own jobs: " +
      "it must return before that for the tasks that it adds.",
  );
}

/** Deeper nesting is a mistake, not a purpose. */
const DEEPEST = 20;

const depths = new AsyncLocalStorage<number>();
