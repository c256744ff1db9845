import { systemClock } from "../../src/runtime/clock.ts";

/** How long {@link until} tries and what it says when that failed. */
export interface UntilOptions {
  /** Default 10 seconds: far more than any promise, so that a slow machine does not fail a test. */
  readonly deadlineMs?: number | undefined;
  /** What was waited for, as the end of "gave up waiting for …". */
  readonly message?: string;
}

/** How long to rest between two looks. */
const REST_MS = 20;

/**
 * Waits for `condition` to be truthy and returns what it gave. An error of the
 * condition counts as "not yet"; the last one is the cause when the deadline is over.
 */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<NonNullable<T>> {
  const { deadlineMs = 10_000, message = String(condition) } = options;
  const deadline = systemClock.monotonic() + deadlineMs;
  for (;;) {
    let error: unknown;
    try {
      const value = await condition();
      if (value) return value;
    } catch (thrown) {
      error = thrown;
    }
    if (systemClock.monotonic() > deadline) {
      throw new Error(`Gave up waiting for ${message} after ${deadlineMs} ms`, { cause: error });
    }
    await systemClock.sleep(REST_MS);
  }
}
