import { HowdahError } from "../errors.ts";
import type { Driver } from "../postgres/driver.ts";
import { awaitJobs, type EndedJob } from "../postgres/queries/await-jobs.ts";
import { isRefused, isTransient } from "../postgres/sqlstate.ts";
import type { Timer } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import { DoneListener, type DoneListenerContext, type DoneWatcher } from "./done-listener.ts";

/**
 * The jobs whose ends the callers of one client wait for. However many they are,
 * there is one connection that listens, and one statement a second that asks about
 * all of them. A notification only brings an answer sooner; one that is lost costs
 * up to that second.
 *
 *   what happens               is asked about       when
 *   a caller waits             that job             at once; of many, 25 ms after the last statement
 *   a job has ended            that job             the same
 *   a second has passed        all of them          at once
 *   it listens again           all of them          the same
 *
 * While nothing is awaited there is no statement, and after ten seconds no connection.
 */
export class AwaitedJobs implements DoneWatcher {
  readonly #context: AwaitedJobsContext;
  readonly #listener: DoneListener;
  readonly #waiting = new Map<string, Set<Waiter>>();
  /** To be asked about before the next second is over. */
  readonly #fresh = new Set<string>();
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  /** When a statement was sent last, and when one that asked about all, by the monotonic clock. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #polledAt = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  #failure: unknown;
  #isClosed = false;

  constructor(context: AwaitedJobsContext) {
    this.#context = context;
    this.#listener = new DoneListener(context, this);
  }

  /** How many jobs are awaited. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Why the last question was not answered; `undefined` when it was. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Resolves with what became of a job when that is known. Rejects when `signal` is aborted, with its reason, and when waiting is closed. */
  wait(jobId: string, signal: AbortSignal): Promise<EndedJob> {
    return new Promise((resolve, reject) => {
      const stop = (): void => this.#leave(jobId, waiter, signal.reason);
      const waiter: Waiter = {
        resolve,
        reject,
        forget: () => signal.removeEventListener("abort", stop),
      };
      if (signal.aborted) return reject(signal.reason as Error);
      if (this.#isClosed) return reject(closed());
      signal.addEventListener("abort", stop, { once: true });
      const waiters = this.#waiting.get(jobId);
      if (waiters) waiters.add(waiter);
      else this.#waiting.set(jobId, new Set([waiter]));
      this.#fresh.add(jobId);
      this.#listener.start();
      this.#plan();
    });
  }

  /** Rejects all that wait with `HOWDAH_CLIENT_CLOSED`, and ends the connection that listens. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    for (const jobId of this.#waiting.keys()) this.#fail(jobId, closed());
    await this.#listener.stop();
  }

  /** Jobs have ended, some of which may be awaited here. */
  ended(jobIds: readonly string[]): void {
    for (const jobId of jobIds) if (this.#waiting.has(jobId)) this.#fresh.add(jobId);
    this.#plan();
  }

  /** It listens again: all of them are asked about. */
  up(): void {
    this.#polledAt = Number.NEGATIVE_INFINITY;
    this.#plan();
  }

  #leave(jobId: string, waiter: Waiter, reason: unknown): void {
    const waiters = this.#waiting.get(jobId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#drop(jobId);
    waiter.forget();
    waiter.reject(reason);
  }

  #settle(ended: EndedJob): void {
    const waiters = this.#drop(ended.id);
    for (const { resolve, forget } of waiters) {
      forget();
      resolve(ended);
    }
  }

  #fail(jobId: string, error: unknown): void {
    const waiters = this.#drop(jobId);
    for (const { reject, forget } of waiters) {
      forget();
      reject(error);
    }
  }

  /** No caller waits for this job any longer. Returns those that did. */
  #drop(jobId: string): ReadonlySet<Waiter> {
    const waiters = this.#waiting.get(jobId) ?? new Set();
    this.#waiting.delete(jobId);
    this.#fresh.delete(jobId);
    if (this.#waiting.size === 0 && !this.#isClosed) {
      this.#cancel();
      this.#listener.rest();
    }
    return waiters;
  }

  #plan(): void {
    if (this.#isAsking || this.#waiting.size === 0) return;
    const { clock } = this.#context;
    const pollAt = this.#polledAt + POLL_MS;
    const at = Math.max(
      clock.monotonic(),
      this.#fresh.size > 0 ? Math.min(this.#askedAt + Math.min(PAUSE_MS, this.#waiting.size), pollAt) : pollAt,
    );
    if (at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = clock.setTimer(at - clock.monotonic(), () => {
      this.#cancel();
      void this.#ask();
    });
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { clock, driver, logger, schema } = this.#context;
    const now = clock.monotonic();
    const isPoll = now >= this.#polledAt + POLL_MS;
    const jobIds = isPoll ? [...this.#waiting.keys()] : [...this.#fresh];
    this.#askedAt = now;
    if (isPoll) this.#polledAt = now;
    this.#fresh.clear();
    this.#isAsking = true;
    try {
      for (const ended of await awaitJobs({ executor: driver, schema }, jobIds)) this.#settle(ended);
      this.#failure = undefined;
    } catch (error) {
      if (isRefused(error) && !isTransient(error)) for (const jobId of jobIds) this.#fail(jobId, error);
      else if (this.#failure === undefined)
        logger.debug("Asking for results failed; it goes on", { error: errorMessage(error) });
      this.#failure = error;
    }
    this.#isAsking = false;
    this.#plan();
  }
}

/** What waiting stands on. */
export interface AwaitedJobsContext extends DoneListenerContext {
  readonly driver: Pick<Driver, "query" | "listen" | "capabilities">;
}

interface Waiter {
  resolve(ended: EndedJob): void;
  reject(reason: unknown): void;
  /** It no longer listens to its signal. */
  forget(): void;
}

function closed(): HowdahError {
  return new HowdahError("HOWDAH_CLIENT_CLOSED", "The client was closed while it waited for the end of a job.");
}

/** Between two statements that ask about all jobs. */
const POLL_MS = 1_000;

/** Between two statements when many jobs are awaited: of few, each may be asked about as soon as it has ended. */
const PAUSE_MS = 25;
