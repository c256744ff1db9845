import type { Clock, Timer } from "./clock.ts";
import { sharedWatch } from "./shared-watch.ts";

/** Notices when the event loop stands still for longer than a second. Costs a timer, and nothing for each job. */
export class LoopDelay {
  readonly #clock: Clock;
  readonly #worker: BusyWorker;
  readonly #listener: LoopDelayListener;
  #end: (() => void) | undefined;

  constructor(clock: Clock, worker: BusyWorker, listener: LoopDelayListener) {
    this.#clock = clock;
    this.#worker = worker;
    this.#listener = listener;
  }

  start(): void {
    this.#end = watch(this.#clock, (look) => {
      for (const task of this.#worker.busyTasks()) look.busy.add(task);
      look.listener ??= this.#listener;
    });
  }

  async stop(): Promise<void> {
    this.#end?.();
  }
}

/** When the event loop of this process last stood still for more than a second; `undefined` for never while it was watched. */
export function lastLoopBlock(): LoopBlock | undefined {
  return lastBlock;
}

/** A time in which the event loop did not turn. */
export interface LoopBlock {
  readonly blockedMs: number;
  /** By the monotonic clock. */
  readonly endedAt: number;
}

/** What may keep the event loop from turning. */
export interface BusyWorker {
  /** What it has done since the last check, or does. Asked at each check. */
  busyTasks(): readonly string[];
}

/** Is told when the event loop stood still. */
export interface LoopDelayListener {
  /**
   * The event loop did not turn, or the process stood still, for about this long;
   * all workers were busy with these tasks. Reported once: to the listener that
   * has been started for the longest.
   */
  blocked(blockedMs: number, tasks: readonly string[]): void;
}

/** How often to check: a timer is late by at least a second less this when the event loop was blocked for a second. */
const LOOK_MS = 250;
/** A check that is later than this means that the event loop was blocked for longer than a second. */
const BLOCKED_MS = 1_000 - LOOK_MS;

/** What the watchers report at one check. */
interface Look {
  readonly busy: Set<string>;
  listener?: LoopDelayListener;
}

/** The event loop is that of the process, so is this. */
let lastBlock: LoopBlock | undefined;

/** One timer for all watchers, because they share the event loop. */
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
      if (lateMs <= BLOCKED_MS) return;
      lastBlock = { blockedMs: lateMs, endedAt: clock.monotonic() };
      found.listener?.blocked(lateMs, [...found.busy]);
    }
    arm();
    return () => timer.cancel();
  },
  { once: false },
);
