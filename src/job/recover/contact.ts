import { HowdahError } from "../../errors.ts";
import type { Executor } from "../../postgres/driver.ts";
import type { LivenessTarget } from "../../postgres/queries/liveness.ts";
import { isRefused, isSessionOver } from "../../postgres/sqlstate.ts";
import type { WorkerContext } from "../worker-context.ts";
import type { SessionLockKeeper } from "./session-lock.ts";

/**
 * The ways by which a worker says that it lives. A network may lose a connection
 * without a word: then the session, and whatever connections lie idle, answer
 * nothing, while a new one would. So a statement that has no answer in time is
 * sent again, over a connection that is made for it and closed afterwards.
 *
 *   the session, or without one a connection of the pool   `timeoutMs`
 *   no answer, or the connection is lost: one of its own   2 x `timeoutMs`, one of them to connect
 *   no answer: the caller tries again
 *
 * A server that is slow looks the same at first, and must not lose the sessions
 * of all its workers for it. So the first statement stays where it is:
 *
 *   it is answered            that counts, and its connection is kept
 *   the new one is answered,
 *   and it is not, not even
 *   a moment later            its connection is dead, and those that lie idle may
 *                             be: none of them is used again
 *   neither                   it goes on waiting, and its way is not asked again
 *                             meanwhile
 *
 * On a living connection the new one does not come first: it changes the same
 * rows, and waits for the one that has them.
 *
 * A driver that cannot listen has no other way than the usual one, nor has one
 * whose database runs inside of this process: that is waited for as long as an
 * answer is waited for at all.
 *
 * Only for statements that may be carried out twice.
 */
export class Contact {
  readonly #context: ContactContext;
  readonly #parts: ContactParts;
  /** The ways that owe an answer, and what tells that none will come. */
  readonly #owing = new Map<Executor, AbortController>();
  readonly #ended = new AbortController();

  constructor(context: ContactContext, parts: ContactParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Resolves to what the first way that answers came to. Rejects with the error of the usual way. */
  async reach<T>(work: (attempt: ContactAttempt) => Promise<T>): Promise<T> {
    const { driver } = this.#context;
    if (driver.capabilities?.listen === false) {
      return work({ target: this.#target(driver, this.#ended.signal), isRepeated: false });
    }
    const way = this.#parts.sessionLock.session ?? driver;
    if (driver.capabilities?.inProcess) return work({ target: this.#target(way), isRepeated: false });
    if (this.#owing.has(way)) return this.#overOwn(work);
    const usual = this.#overUsual(way, (target) => work({ target, isRepeated: false }));
    try {
      return await this.#within(1, usual);
    } catch (error) {
      // What the server has refused it would refuse again.
      if (isRefused(error) && !isSessionOver(error)) throw error;
      return await lateOr(usual, this.#overOwn(work)).catch(() => Promise.reject(error as Error));
    }
  }

  /** Waits for no answer any more. */
  end(): void {
    this.#ended.abort();
    for (const lost of this.#owing.values()) lost.abort();
  }

  async #overUsual<T>(way: Executor, work: (target: LivenessTarget) => Promise<T>): Promise<T> {
    const lost = new AbortController();
    this.#owing.set(way, lost);
    try {
      return await work(this.#target(way, lost.signal));
    } finally {
      this.#owing.delete(way);
    }
  }

  /** Listening to nothing is the way to have a session of one's own. */
  async #overOwn<T>(work: (attempt: ContactAttempt) => Promise<T>): Promise<T> {
    const { driver } = this.#context;
    const askedBefore = [...this.#owing];
    const over = new AbortController();
    let session: Executor | undefined;
    const up = (opened: Executor): void => void (session = opened);
    const connect = async (): Promise<T> => {
      const listening = await driver.listen([], { notified: ignore, up, down: ignore });
      const close = (): void => void listening.close().catch(ignore);
      over.signal.addEventListener("abort", close);
      if (over.signal.aborted) close();
      over.signal.throwIfAborted();
      return work({ target: this.#target(session ?? driver), isRepeated: true });
    };
    try {
      const result = await this.#within(2, connect());
      this.#doubt(askedBefore.filter(([way, lost]) => this.#owing.get(way) === lost));
      return result;
    } finally {
      over.abort();
    }
  }

  /** These were asked before another one that was answered, and have not answered yet. */
  #doubt(silent: readonly (readonly [Executor, AbortController])[]): void {
    if (silent.length === 0) return;
    const { clock } = this.#context;
    const { timeoutMs } = this.#parts;
    // Two answers may have been on their way at once.
    clock.setTimer(timeoutMs / 10, () => {
      for (const [way, lost] of silent) if (this.#owing.get(way) === lost) lost.abort();
    });
  }

  #target(executor: Executor, lost?: AbortSignal): LivenessTarget {
    return { executor, schema: this.#context.schema, timeoutMs: this.#parts.patienceMs, lost };
  }

  async #within<T>(times: number, promise: Promise<T>): Promise<T> {
    const { clock } = this.#context;
    const { timeoutMs } = this.#parts;
    const error = (): HowdahError =>
      new HowdahError("HOWDAH_QUERY_TIMEOUT", `The database did not answer within ${times * timeoutMs} ms.`);
    return new Promise<T>((resolve, reject) => {
      const timer = clock.setTimer(times * timeoutMs, () => reject(error()));
      void promise.finally(() => timer.cancel()).then(resolve, reject);
    });
  }
}

type ContactContext = Pick<WorkerContext, "clock" | "driver" | "schema">;

/** What a contact waits for, and where it begins. */
export interface ContactParts {
  /** How long a statement may take before another way is tried. */
  readonly timeoutMs: number;
  /** How long an answer is waited for at all. */
  readonly patienceMs: number;
  /** Has the session of the listener while there is one: it is there for liveness alone, whatever handlers use up. */
  readonly sessionLock: Pick<SessionLockKeeper, "session">;
}

/** One try over one way to the database. */
export interface ContactAttempt {
  readonly target: LivenessTarget;
  /** It goes over a connection that was made for it, because the usual way gave no answer. */
  readonly isRepeated: boolean;
}

/** What `late` comes to if that is something and comes first, else what `other` comes to. */
function lateOr<T>(late: Promise<T>, other: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    late.then(resolve, ignore);
    other.then(resolve, reject);
  });
}

function ignore(): void {}
