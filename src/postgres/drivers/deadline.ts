import type { HowdahError } from "../../errors.ts";
import type { Clock } from "../../runtime/clock.ts";

/** How long to wait, and for whom. */
export interface Deadline {
  readonly clock: Clock;
  /** 0 waits for ever. */
  readonly timeoutMs: number;
  /** Ends the wait at once. */
  readonly lost?: AbortSignal | undefined;
  readonly waiter: Waiter;
}

/** What waits, and knows the error of a wait that failed. */
export interface Waiter {
  /** Makes that error; called only when time is up, or the wait is ended. */
  overdue(deadline: Pick<Deadline, "timeoutMs" | "lost">): HowdahError;
}

/** Passes on what `promise` comes to, or rejects when time is up; what `promise` comes to later is not looked at. */
export function withDeadline<T>(promise: Promise<T>, deadline: Deadline): Promise<T> {
  const { clock, timeoutMs, lost } = deadline;
  if (timeoutMs === 0 && lost === undefined) return promise;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(deadline.waiter.overdue(deadline));
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
