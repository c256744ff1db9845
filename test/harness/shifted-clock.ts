import { type Clock, sleepOn, systemClock, type Timer } from "../../src/runtime/clock.ts";

/** The machine's time, which a test can put forward: for waits that are too long for a test. */
export interface ShiftedClock extends Clock {
  /** Puts `monotonic()` forward and fires the timers that have come due by that. */
  skip(ms: number): void;
  /** Sets `now()` forward or back, as when a machine's clock is set. Nothing else notices. */
  jump(ms: number): void;
}

interface Pending extends Timer {
  readonly dueMs: number;
  fire(): void;
}

/** Creates a clock that goes like the machine's until it is moved. */
export function createShiftedClock(): ShiftedClock {
  const pending = new Set<Pending>();
  let skippedMs = 0;
  let jumpedMs = 0;
  const clock: ShiftedClock = {
    now: () => systemClock.now() + skippedMs + jumpedMs,
    monotonic: () => systemClock.monotonic() + skippedMs,
    setTimer(ms, callback, background) {
      const timer = systemClock.setTimer(ms, fire, background);
      const entry: Pending = { dueMs: clock.monotonic() + ms, fire, cancel };
      pending.add(entry);
      function fire(): void {
        cancel();
        callback();
      }
      function cancel(): void {
        timer.cancel();
        pending.delete(entry);
      }
      return entry;
    },
    sleep: (ms, signal) => sleepOn(clock, ms, signal),
    skip(ms) {
      skippedMs += ms;
      const due = [...pending].filter(({ dueMs }) => dueMs <= clock.monotonic());
      for (const { fire } of due.sort((a, b) => a.dueMs - b.dueMs)) fire();
    },
    jump(ms) {
      jumpedMs += ms;
    },
  };
  return clock;
}
