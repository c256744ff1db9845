import type { Clock, Timer } from "./clock.ts";

/** How often to look: whatever blocks for longer than a second is late here by at least a second less this. */
const LOOK_MS = 250;
/** The event loop was blocked for longer than a second, as far as looks can tell. */
const BLOCKED_MS = 1_000 - LOOK_MS;

/** What watching needs, and whom it tells. */
export interface LoopDelayParts {
  readonly clock: Clock;
  /** A look; `blockedMs` is there when the event loop did not turn, or the process stood still, for about so long before it. */
  looked(blockedMs: number | undefined): void;
}

/** Notices when the event loop stands still for longer than a second. Costs a timer, and nothing for each job. Returns its end. */
export function watchLoopDelay({ clock, looked }: LoopDelayParts): () => void {
  let timer: Timer;
  let dueAt = 0;
  function arm(): void {
    dueAt = clock.monotonic() + LOOK_MS;
    timer = clock.setTimer(LOOK_MS, look, true);
  }
  function look(): void {
    const lateMs = clock.monotonic() - dueAt;
    arm();
    looked(lateMs > BLOCKED_MS ? lateMs : undefined);
  }
  arm();
  return () => timer.cancel();
}
