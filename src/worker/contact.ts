import { HowdahError } from "../errors.ts";
import type { Driver, Executor } from "../postgres/driver.ts";
import type { PresenceTarget } from "../postgres/queries/presence.ts";
import type { Schema } from "../postgres/schema.ts";
import { isRefused, isSessionOver } from "../postgres/sqlstate.ts";
import type { Clock } from "../runtime/clock.ts";

/** What a contact is made of. */
export interface ContactParts {
  readonly clock: Clock;
  readonly driver: Driver;
  readonly schema: Schema;
  /** How long a statement may take before another way is tried. */
  readonly timeoutMs: number;
  /** The session of the listener while there is one: it is there for presence alone, whatever handlers use up. */
  session(): Executor | undefined;
}

/** One try over one way to the database. */
export interface Try {
  readonly target: PresenceTarget;
  /** It goes over a connection that was made for it, because the usual way gave no answer. */
  readonly isRepeated: boolean;
  /** Its time is up: whatever it comes to is no longer wanted. */
  isOver(): boolean;
}

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
 * Only for statements that may be carried out twice.
 */
export class Contact {
  readonly #parts: ContactParts;
  /** The pool gave no answer the last time: it is not asked again before something else has. */
  #isPoolSilent = false;

  constructor(parts: ContactParts) {
    this.#parts = parts;
  }

  /** Resolves to what the first way that answers came to. Rejects with the error of the usual way. */
  async reach<T>(work: (attempt: Try) => Promise<T>): Promise<T> {
    const session = this.#parts.session();
    if (!session && this.#isPoolSilent) return this.#overOwn(work);
    try {
      return await this.#within(1, (isOver) =>
        work({ target: this.#target(session ?? this.#parts.driver), isRepeated: false, isOver }),
      );
    } catch (error) {
      // What the server has refused it would refuse again.
      if (isRefused(error) && !isSessionOver(error)) throw error;
      this.#isPoolSilent = session === undefined;
      return this.#overOwn(work).catch(() => Promise.reject(error as Error));
    }
  }

  async #overOwn<T>(work: (attempt: Try) => Promise<T>): Promise<T> {
    const result = await this.#within(2, (isOver) =>
      this.#connect((target) => work({ target, isRepeated: true, isOver })),
    );
    this.#isPoolSilent = false;
    return result;
  }

  /** Listening to nothing is the way to have a session of one's own. */
  async #connect<T>(work: (target: PresenceTarget) => Promise<T>): Promise<T> {
    let session: Executor | undefined;
    const up = (opened: Executor): void => void (session = opened);
    const listening = await this.#parts.driver.listen([], { notified: ignore, up, down: ignore });
    try {
      return await work(this.#target(session ?? this.#parts.driver));
    } finally {
      // One that comes about too late is closed as well.
      void listening.close().catch(ignore);
    }
  }

  #target(executor: Executor): PresenceTarget {
    return { executor, schema: this.#parts.schema, timeoutMs: this.#parts.timeoutMs };
  }

  async #within<T>(times: number, work: (isOver: () => boolean) => Promise<T>): Promise<T> {
    const { clock, timeoutMs } = this.#parts;
    let isOver = false;
    return new Promise<T>((resolve, reject) => {
      const timer = clock.setTimer(times * timeoutMs, () => {
        isOver = true;
        reject(new HowdahError("HOWDAH_QUERY_TIMEOUT", `The database did not answer within ${times * timeoutMs} ms.`));
      });
      void work(() => isOver)
        .finally(() => timer.cancel())
        .then(resolve, reject);
    });
  }
}

function ignore(): void {}
