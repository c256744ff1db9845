import type { Clock, Timer } from "./clock.ts";
import { sharedWatch } from "./shared-watch.ts";

/** How often to look: whatever blocks for longer than a second is late here by at least a second less this. */
const LOOK_MS = 250;
/** The event loop was blocked for longer than a second, as far as looks can tell. */
const BLOCKED_MS = 1_000 - LOOK_MS;

/** One of those who watch the event loop of a process. */
export interface LoopDelayParts {
  readonly clock: Clock;
  /** What it has done since the last look, or does. Asked at each look. */
  busy(): readonly string[];
  /**
   * The event loop did not turn, or the process stood still, for about so long;
   * all who watch were busy with this. Said once: to the one that has watched for
   * the longest.
   */
  blocked(blockedMs: number, busy: readonly string[]): void;
}

/** What those who watch say at one look. */
interface Look {
  readonly busy: Set<string>;
  report?: LoopDelayParts["blocked"];
}

/** One timer, however many watch: they share the event loop. */
const watch = sharedWatch<Clock, Look>(
  (clock, tell) => {
    let timer: Timer;
    let dueAt = 0;
    function arm(): void {
      dueAt = clock.monotonic() + LOOK_MS;
      timer = clock.setTimer(LOOK_MS, look, true);
    }
    function look(): void {
      const lateMs = clock.monotonic() - dueAt;
      arm();
      const found: Look = { busy: new Set() };
      tell(found);
      if (lateMs > BLOCKED_MS) found.report?.(lateMs, [...found.busy]);
    }
    arm();
    return () => timer.cancel();
  },
  { once: false },
);

/** Notices when the event loop stands still for longer than a second. Costs a timer, and nothing for each job. Returns its end. */
export function watchLoopDelay({ clock, busy, blocked }: LoopDelayParts): () => void {
  return watch(clock, (look) => {
    for (const task of busy()) look.busy.add(task);
    look.report ??= blocked;
  });
}
