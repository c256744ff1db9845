import { HowdahError } from "../errors.ts";
import { backoffMs } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";
import { LaneTable, type LanesToEnter, type Waiting } from "./lane-table.ts";

/**
 * Lets calls wait for other transactions without keeping a connection: a call is tried
 * for a short while, rests, and is tried again, until it gets through or its
 * time is over. A call that waits for something else is not held up, see
 * {@link LaneTable}; the more calls wait, the shorter is each try.
 */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #table: LaneTable;
  readonly #turns = new Map<Waiting, Turn>();
  #firstTries = 0;
  #timer: { readonly at: number; readonly timer: Timer } | undefined;

  constructor(options: LanesOptions) {
    this.#options = options;
    this.#table = new LaneTable(options.atOnce);
  }

  /** Whether any call waits at a gate. */
  get hasGates(): boolean {
    return this.#table.hasGates;
  }

  /** Whether a call waits at this gate. */
  hasGate(name: string): boolean {
    return this.#table.hasGate(name);
  }

  /** A first try begins: how long it may wait. {@link tried} has to follow. */
  trying(): number {
    this.#firstTries += 1;
    return this.#patienceMs();
  }

  /** A first try has ended, however. */
  tried(): void {
    this.#firstTries -= 1;
  }

  /** True for the error of a try that waited for so long, and may be repeated with {@link runAgain}. */
  isHeld(error: unknown, patienceMs: number, sentAt: number): boolean {
    // What failed sooner did so by itself: it was told not to wait.
    return this.#options.isHeld(error) && this.#options.clock.monotonic() - sentAt >= patienceMs / 2;
  }

  /**
   * Runs a call, which waits for those before it in its lanes. Rejects with
   * `HOWDAH_QUERY_TIMEOUT` when its time is over, and with what else it rejects with.
   */
  async run<T>(call: LaneCall<T>): Promise<T> {
    const waiting = this.#table.enter(call.lanes ?? {}, this.#deadline());
    try {
      if (waiting.state === "queued") await this.#turnOf(waiting, waiting.deadline, undefined);
      return await this.#firstTry(waiting, call);
    } finally {
      this.#leave(waiting);
    }
  }

  /** Goes on with a call whose first try failed. */
  async runAgain<T>(call: LaneCall<T>, error: unknown): Promise<T> {
    const waiting = this.#table.enter({}, this.#deadline());
    try {
      return await this.#goOn(waiting, call, error);
    } finally {
      this.#leave(waiting);
    }
  }

  async #firstTry<T>(waiting: Waiting, call: LaneCall<T>): Promise<T> {
    const sentAt = this.#options.clock.monotonic();
    const patienceMs = this.trying();
    let failure: unknown;
    try {
      return this.#gotThrough(waiting, await call.attempt({ patienceMs, isRepeated: false }));
    } catch (error) {
      if (!this.isHeld(error, patienceMs, sentAt)) throw error;
      failure = error;
    } finally {
      this.tried();
    }
    return this.#goOn(waiting, call, failure);
  }

  async #goOn<T>(waiting: Waiting, call: LaneCall<T>, firstFailure: unknown): Promise<T> {
    const { clock, random } = this.#options;
    let gates = await call.gates?.();
    for (let failure = firstFailure; ;) {
      const dueAt = clock.monotonic() + backoffMs(REST, waiting.failures + 1, random);
      this.#table.rest(waiting, dueAt, gates);
      gates = undefined;
      this.#startDue();
      if (waiting.state !== "trying") await this.#turnOf(waiting, dueAt, failure);
      const sentAt = clock.monotonic();
      const patienceMs = this.#patienceMs();
      try {
        return this.#gotThrough(waiting, await call.attempt({ patienceMs, isRepeated: true }));
      } catch (error) {
        if (!this.isHeld(error, patienceMs, sentAt)) throw error;
        failure = error;
      }
    }
  }

  #gotThrough<T>(waiting: Waiting, result: T): T {
    this.#start(this.#table.leave(waiting, { opens: true }));
    return result;
  }

  #leave(waiting: Waiting): void {
    this.#turns.delete(waiting);
    if (waiting.state !== "over") this.#start(this.#table.leave(waiting));
    this.#startDue();
    if (this.#table.isIdle) this.#disarm();
  }

  #turnOf(waiting: Waiting, wakeAt: number, failure: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#turns.set(waiting, { resolve, reject, failure });
      this.#arm(Math.min(wakeAt, waiting.deadline));
    });
  }

  #start(started: readonly Waiting[]): void {
    for (const waiting of started) {
      this.#turns.get(waiting)?.resolve();
      this.#turns.delete(waiting);
    }
  }

  #startDue(): void {
    if (this.#table.isIdle) return;
    const now = this.#options.clock.monotonic();
    for (let next = this.#table.again(now); next; next = this.#table.again(now)) this.#start([next]);
  }

  readonly #wake = (): void => {
    this.#timer = undefined;
    const now = this.#options.clock.monotonic();
    for (const waiting of this.#table.expired(now)) {
      const turn = this.#turns.get(waiting);
      turn?.reject(this.#tooLate(turn.failure));
      this.#start(this.#table.leave(waiting));
    }
    this.#startDue();
    this.#arm(this.#table.nextAt(now));
  };

  #arm(at: number): void {
    if (at === Number.POSITIVE_INFINITY || (this.#timer && this.#timer.at <= at)) return;
    this.#disarm();
    const { clock } = this.#options;
    this.#timer = { at, timer: clock.setTimer(Math.max(0, at - clock.monotonic()), this.#wake) };
  }

  #disarm(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #patienceMs(): number {
    const crowd = this.#firstTries + this.#table.held;
    return Math.max(SHORTEST_MS, Math.floor(Math.min(1, FEW / crowd) * PATIENCE_MS));
  }

  #deadline(): number {
    const { clock, timeoutMs } = this.#options;
    return timeoutMs === 0 ? Number.POSITIVE_INFINITY : clock.monotonic() + timeoutMs;
  }

  #tooLate(failure: unknown): HowdahError {
    return new HowdahError(
      "HOWDAH_QUERY_TIMEOUT",
      `Other transactions held what this call needs for ${this.#options.timeoutMs} ms, so nothing was changed: ` +
        "look for one that stays open, or call again.",
      failure,
    );
  }
}

/** How calls wait. */
export interface LanesOptions {
  readonly clock: Clock;
  /** How long a call waits in all; 0 means for ever. */
  readonly timeoutMs: number;
  /** At most this many calls that had to wait are tried again at the same time. */
  readonly atOnce: number;
  /** Whether a try changed nothing, because another transaction held what it needs. */
  readonly isHeld: (error: unknown) => boolean;
  /** Gives 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** How a call is tried. */
export interface Try {
  /** How long it may wait for a transaction that holds what it needs. */
  readonly patienceMs: number;
  /** True for one whose earlier try failed. */
  readonly isRepeated: boolean;
}

/** A call that may have to wait for other transactions. */
export interface LaneCall<T> {
  readonly lanes?: LanesToEnter;
  /** Tries it once. */
  attempt(how: Try): Promise<T>;
  /** Asked once, when it had to wait: the gates that it waits at. */
  gates?(): Promise<readonly string[]>;
}

/** How long a first try waits, as long as few others wait. */
export const PATIENCE_MS = 100;
/** With more calls than this under way or waiting, patience is divided among them. */
const FEW = 3;
/** Less would be too short for a transaction that just commits. */
const SHORTEST_MS = 10;
const REST = { firstMs: 50, maxMs: 1_000 };

interface Turn {
  resolve(): void;
  reject(error: HowdahError): void;
  /** Why the last try failed. */
  readonly failure: unknown;
}
