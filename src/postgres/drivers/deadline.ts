import type { Clock } from "../../runtime/clock.ts";

/** How long to wait, and what to say afterwards. */
export interface Deadline {
  readonly clock: Clock;
  /** 0 waits for ever. */
  readonly timeoutMs: number;
  /** Makes the error; called only when time is up. */
  error(): Error;
}

/** Passes on what `promise` comes to, or rejects when time is up; then nobody looks at `promise` any more. */
export function withDeadline<T>(promise: Promise<T>, { clock, timeoutMs, error }: Deadline): Promise<T> {
  if (timeoutMs === 0) return promise;
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(timeoutMs, () => reject(error()));
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (reason: unknown) => {
        timer.cancel();
        reject(reason);
      },
    );
  });
}

/** Waits for `promise`, but not for longer than `ms`. Leaves no timer behind. */
export async function waitAtMost(ms: number, promise: Promise<unknown>, clock: Clock): Promise<void> {
  const done = new AbortController();
  try {
    await Promise.race([promise, clock.sleep(ms, done.signal)]);
  } finally {
    done.abort();
  }
}
