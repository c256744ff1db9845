import { backoffMs, type BackoffLimits } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";

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

/**
 * Starts a loop; its first round begins after the present turn. Every
 * background activity is one of these, so that waking, stopping and failing
 * are decided here and nowhere else.
 */
export function startLoop(options: LoopOptions): Loop {
  return new RunningLoop(options);
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

class RunningLoop implements Loop {
  readonly #options: LoopOptions;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #woken = false;
  #failures = 0;
  #rest: Rest | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#done = Promise.resolve().then(() => this.#run());
  }

  get name(): string {
    return this.#options.name;
  }

  wake(): void {
    this.#woken = true;
    if (this.#rest?.isWakeable || this.#isStopping) this.#rest?.end();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#done;
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      this.#woken = false;
      const restMs = await this.#runRound();
      const isWakeable = this.#failures === 0;
      if (this.#isStopping || (isWakeable && this.#woken) || restMs <= 0) continue;
      this.#rest = new Rest(this.#options.clock, restMs, isWakeable);
      await this.#rest.ended;
      this.#rest = undefined;
    }
  }

  async #runRound(): Promise<number> {
    try {
      const restMs = await this.#options.round(this.#stopping.signal);
      this.#failures = 0;
      return restMs;
    } catch (error) {
      return this.#afterFailure(error);
    }
  }

  #afterFailure(error: unknown): number {
    // An error of a round that is being stopped is not a failure.
    if (this.#isStopping) return 0;
    const { backoff = DEFAULT_BACKOFF, random } = this.#options;
    this.#failures += 1;
    const restMs = backoffMs(backoff, this.#failures, random);
    try {
      this.#options.onError(error, { failures: this.#failures, restMs });
    } catch {
      // The failure of a reporter cannot be reported, and must not end the loop.
    }
    return restMs;
  }
}

/** The time between two rounds. */
class Rest {
  /** Not after a failed round. */
  readonly isWakeable: boolean;
  readonly ended: Promise<void>;
  readonly #timer: Timer;
  #resolve: (() => void) | undefined;

  constructor(clock: Clock, ms: number, isWakeable: boolean) {
    this.isWakeable = isWakeable;
    this.ended = new Promise((resolve) => (this.#resolve = resolve));
    this.#timer = clock.setTimer(ms, () => this.end());
  }

  end(): void {
    this.#timer.cancel();
    this.#resolve?.();
  }
}
