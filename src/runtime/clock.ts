/**
 * The only source of time and timers. Production code gets the machine's own time,
 * tests a manual one, so nothing ever has to wait for real time to pass.
 */
export interface Clock {
  /** Milliseconds since 1970 by the machine's clock; may jump. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. Use it to measure. */
  monotonic(): number;
  /** Calls `callback` once after `ms`, never before. Does not keep the process alive when `background` is true. */
  setTimer(ms: number, callback: () => void, background?: boolean): Timer;
  /** Resolves after `ms`, or at once when `signal` is or becomes aborted. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A timer that has not fired yet can be cancelled; afterwards `cancel` does nothing. */
export interface Timer {
  /** Keeps it from firing. */
  cancel(): void;
}

/** The longest delay a timer of Node.js can hold; longer ones would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(ms, callback, background = false) {
    const dueAt = performance.now() + ms;
    let timer = arm(ms);
    return { cancel: () => clearTimeout(timer) };

    function arm(leftMs: number): NodeJS.Timeout {
      const armed = setTimeout(fire, Math.min(Math.max(Math.ceil(leftMs), 0), MAX_TIMER_MS));
      return background ? armed.unref() : armed;
    }

    // Node counts from the beginning of the turn, so a timer may fire before its time by `performance.now()`.
    function fire(): void {
      const leftMs = dueAt - performance.now();
      if (leftMs > 0) timer = arm(leftMs);
      else callback();
    }
  },
  sleep(ms, signal) {
    return sleepOn(systemClock, ms, signal);
  },
};

/** `sleep` in terms of `setTimer`, the same for every clock. */
export function sleepOn(clock: Pick<Clock, "setTimer">, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, finish);
    signal?.addEventListener("abort", finish, { once: true });
    function finish(): void {
      timer.cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    }
  });
}
