import { backoffMs, type BackoffLimits } from "./backoff.ts";
import type { Clock } from "./clock.ts";

/** A background activity that runs until it is stopped. */
export interface Loop {
  readonly name: string;
  /**
   * Ends the current rest; during a round, the next one starts at once after
   * it. The rest after a failed round is not shortened.
   */
  wake(): void;
  /**
   * Aborts the signal of the round, starts no other, and resolves when the one
   * under way has ended. A round that awaits the end of its own loop never
   * ends.
   */
  stop(): Promise<void>;
}

/** A failed round: how many have failed in a row, and when the loop tries again. */
export interface LoopFailure {
  /** 1 for the first one after a successful round; log only that one. */
  readonly failures: number;
  /** How long the loop rests before it tries again. */
  readonly restMs: number;
}

/** Options of {@link startLoop}. */
export interface LoopOptions {
  readonly name: string;
  readonly clock: Clock;
  /**
   * Does the work once and returns how long to rest: 0 for no rest (such a
   * round must have waited for something), `Infinity` until `wake()`.
   */
  round(signal: AbortSignal): Promise<number>;
  /** Called for every failed round. The loop goes on. */
  onError(error: unknown, failure: LoopFailure): void;
  /** Default: 100 ms, doubling up to 10 s. */
  readonly backoff?: BackoffLimits;
  /** Gives 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

const DEFAULT_BACKOFF: BackoffLimits = { firstMs: 100, maxMs: 10_000 };

/**
 * Starts a loop; its first round begins after the present turn. Every
 * background activity is one of these, so that waking, stopping and failing
 * are decided here and nowhere else.
 */
export function startLoop(options: LoopOptions): Loop {
  const { name, clock, backoff = DEFAULT_BACKOFF, random } = options;
  const stopping = new AbortController();
  let woken = false;
  let failures = 0;
  let endRest: () => void = nothing;
  const done = Promise.resolve().then(run);

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      woken = false;
      const restMs = await runRound();
      const wakeable = failures === 0;
      if (stopping.signal.aborted || (wakeable && woken) || restMs <= 0) continue;
      await rest(restMs, wakeable);
    }
  }

  async function runRound(): Promise<number> {
    try {
      const restMs = await options.round(stopping.signal);
      failures = 0;
      return restMs;
    } catch (error) {
      return afterFailure(error);
    }
  }

  function afterFailure(error: unknown): number {
    // An error of a round that is being stopped is not a failure.
    if (stopping.signal.aborted) return 0;
    failures += 1;
    const restMs = backoffMs(backoff, failures, random);
    try {
      options.onError(error, { failures, restMs });
    } catch {
      // The failure of a reporter cannot be reported, and must not end the loop.
    }
    return restMs;
  }

  function rest(ms: number, wakeable: boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = clock.setTimer(ms, end);
      endRest = (): void => {
        if (wakeable || stopping.signal.aborted) end();
      };
      function end(): void {
        timer.cancel();
        endRest = nothing;
        resolve();
      }
    });
  }

  function wake(): void {
    woken = true;
    endRest();
  }

  async function stop(): Promise<void> {
    stopping.abort();
    wake();
    await done;
  }

  return { name, wake, stop };
}

function nothing(): void {}
