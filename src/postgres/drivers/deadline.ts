import type { Clock } from "../../runtime/clock.ts";

/** How long to wait, and what to say afterwards. */
export interface Deadline {
  readonly clock: Clock;
  /** 0 waits for ever. */
  readonly timeoutMs: number;
  /** Ends the wait at once. */
  readonly lost?: AbortSignal | undefined;
  /** Makes the error; called only when time is up, or the wait is ended. */
  error(): Error;
}

/** Passes on what `promise` comes to, or rejects when time is up; then nobody looks at `promise` any more. */
export function withDeadline<T>(promise: Promise<T>, { clock, timeoutMs, lost, error }: Deadline): Promise<T> {
  if (timeoutMs === 0 && lost === undefined) return promise;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(error());
    const timer = timeoutMs === 0 ? undefined : clock.setTimer(timeoutMs, giveUp);
    lost?.addEventListener("abort", giveUp);
    const end = (): void => {
      timer?.cancel();
      lost?.removeEventListener("abort", giveUp);
    };
    promise.then(
      (value) => {
        end();
        resolve(value);
      },
      (reason: unknown) => {
        end();
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
