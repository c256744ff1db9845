import { randomInt } from "node:crypto";
import type { Executor, Query, QueryResult } from "../../postgres/driver.ts";
import {
  isSessionLocked,
  lockSession,
  notifyChannel,
  type PresenceTarget,
  type SessionLock,
} from "../../postgres/queries/presence.ts";
import type { Clock } from "../../runtime/clock.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";

/** What a session lock needs, and whom it tells. */
export interface SessionLockOptions {
  readonly clock: Clock;
  /** Another way to the database than the session. */
  readonly target: PresenceTarget;
  /** The lock counts from now on, or no longer does. */
  changed(): void;
  /**
   * The session cannot stand for the worker: it is not a session of its own, but
   * one of a transaction pooler. `isDeaf` when nothing that was sent to it has
   * arrived.
   */
  unusable(found: { readonly isDeaf: boolean }): void;
  /** It could not be found out, for the first time in a row; it is tried again. */
  failed(error: unknown): void;
}

/** A channel of ours begins like this. */
const PRESENCE_CHANNEL = "howdah_presence_";

/** How long a notification to oneself may take. */
const ECHO_MS = 10_000;

/** The largest number of a lock. */
const MAX_KEY = 2 ** 31 - 1;

/**
 * An advisory lock on the session that a worker listens on: it is gone a moment
 * after the process is. It counts only when a notification that came over
 * another connection has arrived here, and the server shows the lock under this
 * session's process: behind a transaction pooler neither would be so.
 *
 *   up       the lock is asked for, and a sign is sent   -> asked
 *   asked    the sign has arrived, the server shows it    -> counts
 *   asked    no sign within ten seconds                   -> unusable until the next session
 *   any      the session is lost                          -> down
 */
export class SessionLockKeeper {
  readonly #options: SessionLockOptions;
  #session: OneAtATime | undefined;
  #lock: SessionLock | undefined;
  /** The channel of the sign that is waited for, and what its arrival does. */
  #awaited: { readonly channel: string; arrived(): void } | undefined;
  #loop: Loop | undefined;

  constructor(options: SessionLockOptions) {
    this.#options = options;
  }

  /** The lock, if it counts. */
  get lock(): SessionLock | undefined {
    return this.#lock;
  }

  /** The session while it lasts. Another object means another session. */
  get session(): Executor | undefined {
    return this.#session;
  }

  /** Begins; returns the end of it. The lock goes with its session. */
  start(): () => Promise<void> {
    const { clock, failed } = this.#options;
    const loop = startLoop({
      name: "session lock",
      clock,
      round: (signal) => this.#round(signal),
      onError(error, { failures }) {
        if (failures === 1) failed(error);
      },
    });
    this.#loop = loop;
    return () => loop.stop();
  }

  /** There is a session, the first one or another one. */
  up(session: Executor): void {
    this.#session = new OneAtATime(session);
    this.#drop();
    this.#loop?.wake();
  }

  /** The session is lost. */
  down(): void {
    this.#session = undefined;
    this.#drop();
  }

  /** Something arrived on a channel that begins as those of presence do. */
  heard(channel: string): void {
    if (this.#awaited?.channel === channel) this.#awaited.arrived();
  }

  #drop(): void {
    const counted = this.#lock !== undefined;
    this.#lock = undefined;
    if (counted) this.#options.changed();
  }

  async #round(stopping: AbortSignal): Promise<number> {
    const session = this.#session;
    if (session && !this.#lock) await this.#acquire(session, stopping);
    return Number.POSITIVE_INFINITY;
  }

  async #acquire(session: Executor, stopping: AbortSignal): Promise<void> {
    const { target, changed, unusable } = this.#options;
    const { executor, timeoutMs } = target;
    const key = randomInt(1, MAX_KEY);
    const channel = `${PRESENCE_CHANNEL}${key}`;
    let lock: SessionLock | undefined;
    let counts = false;
    let isHeard = false;
    try {
      lock = await lockSession(session, { key, channel, timeoutMs });
      isHeard = await this.#echo(channel, stopping);
      await session.query({ text: `unlisten ${channel}`, timeoutMs });
      counts = lock !== undefined && isHeard && (await isSessionLocked(executor, lock, timeoutMs));
    } catch (error) {
      // A session that is lost meanwhile is no failure: the next one is on its way.
      if (session !== this.#session) return;
      throw error;
    }
    if (stopping.aborted || session !== this.#session) return;
    if (!counts) return unusable({ isDeaf: !isHeard });
    this.#lock = lock;
    changed();
  }

  /** Whether a sign that is sent over another connection arrives on the session. */
  async #echo(channel: string, stopping: AbortSignal): Promise<boolean> {
    const { clock, target } = this.#options;
    const arrival = new AbortController();
    this.#awaited = { channel, arrived: () => arrival.abort() };
    try {
      await notifyChannel(target.executor, channel, target.timeoutMs);
      await clock.sleep(ECHO_MS, AbortSignal.any([arrival.signal, stopping]));
      return arrival.signal.aborted;
    } finally {
      this.#awaited = undefined;
    }
  }
}

/**
 * A session runs one statement at a time; several have a use for this one. Who
 * says that it is lost is right if nothing has been answered since it was asked,
 * be it the statement of another that has kept it waiting.
 */
class OneAtATime implements Executor {
  readonly #session: Executor;
  readonly #lost = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  #answers = 0;

  constructor(session: Executor) {
    this.#session = session;
  }

  query(query: Query): Promise<QueryResult> {
    const before = this.#answers;
    const given = (): void => (before === this.#answers ? this.#lost.abort() : undefined);
    query.lost?.addEventListener("abort", given, { once: true });
    const result = this.#last.then(() => {
      query.lost?.throwIfAborted();
      return this.#session.query({ ...query, lost: this.#lost.signal });
    });
    this.#last = result.then(this.#answered, this.#answered);
    return result;
  }

  readonly #answered = (): void => void (this.#answers += 1);
}
