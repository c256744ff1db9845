import { randomInt } from "node:crypto";
import type { Executor } from "../../postgres/driver.ts";
import {
  isSessionLocked,
  LOCK_TO_COME,
  lockSession,
  notifyChannel,
  type SessionLock,
} from "../../postgres/queries/liveness.ts";
import { startLoop, type Loop } from "../../runtime/loop.ts";
import type { WorkerContext } from "../worker-context.ts";
import { OneAtATime } from "./one-at-a-time.ts";

/**
 * An advisory lock on the session that a worker listens on: it is gone a moment
 * after the process is. It counts only when a notification that came over
 * another connection has arrived here, and the server shows the lock under this
 * session's process: behind a transaction pooler neither would be so.
 *
 *   up       the lock is asked for, and a notification is sent -> asked
 *   asked    that has arrived, and the server shows the lock   -> counts
 *   asked    nothing arrives within ten seconds                -> unusable until the next session
 *   any      the session is lost                               -> down
 */
export class SessionLockKeeper {
  readonly #context: SessionLockContext;
  readonly #parts: SessionLockParts;
  #session: OneAtATime | undefined;
  #isFirstSession = false;
  #lock: SessionLock | undefined;
  /** Until when a lock may be expected that does not count yet. */
  #expectedUntil: number;
  /** The channel of the notification that is waited for, and what its arrival ends. */
  #awaited: { readonly channel: string; readonly arrival: AbortController } | undefined;
  #loop: Loop | undefined;

  constructor(context: SessionLockContext, parts: SessionLockParts) {
    this.#context = context;
    this.#parts = parts;
    this.#expectedUntil = parts.listens ? context.clock.monotonic() + STARTING_MS : Number.NEGATIVE_INFINITY;
  }

  /** The lock, if it counts. */
  get lock(): SessionLock | undefined {
    return this.#lock;
  }

  /** What heartbeats show: a worker that dies right after its start, before its lock counts, must not be missed for minutes. */
  get shownLock(): SessionLock | undefined {
    return this.#lock ?? (this.#context.clock.monotonic() < this.#expectedUntil ? LOCK_TO_COME : undefined);
  }

  /** The session while it lasts. Another object means another session. */
  get session(): Executor | undefined {
    return this.#session;
  }

  /** Whether {@link session} is the first one that its process has ever had. */
  get isFirstSession(): boolean {
    return this.#isFirstSession;
  }

  /** The worker should listen, and has no session. */
  get isMissing(): boolean {
    return this.#parts.listens && this.#session === undefined;
  }

  /** Begins to lock sessions. */
  start(): void {
    const { clock, reporter } = this.#context;
    this.#loop = startLoop({
      name: "session lock",
      clock,
      round: (signal) => this.#round(signal),
      onError(error, { failures }) {
        if (failures === 1) reporter.failure("lock its session", error);
      },
    });
  }

  /** Locks no other session. A lock goes with its session. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  /** There is a session, the first one or another one. */
  up(session: Executor): void {
    this.#session = new OneAtATime(session);
    this.#isFirstSession = this.#parts.sessions.isUnbroken;
    this.#drop();
    this.#loop?.wake();
  }

  /** The session is lost. */
  down(): void {
    this.#parts.sessions.lost();
    this.#session = undefined;
    this.#isFirstSession = false;
    this.#drop();
  }

  /** A notification has arrived on a channel that begins as those of liveness do. */
  heard(channel: string): void {
    if (this.#awaited?.channel === channel) this.#awaited.arrival.abort();
  }

  #drop(): void {
    const counted = this.#lock !== undefined;
    this.#lock = undefined;
    if (!counted) return;
    this.#expectedUntil = Number.NEGATIVE_INFINITY;
    this.#parts.watcher.lockChanged();
  }

  async #round(stopping: AbortSignal): Promise<number> {
    const session = this.#session;
    if (session && !this.#lock) await this.#acquire(session, stopping);
    return Number.POSITIVE_INFINITY;
  }

  async #acquire(session: Executor, stopping: AbortSignal): Promise<void> {
    const { timeoutMs, watcher } = this.#parts;
    const key = randomInt(1, MAX_KEY);
    const channel = `${PRESENCE_CHANNEL}${key}`;
    let lock: SessionLock | undefined;
    let counts = false;
    let isHeard = false;
    try {
      lock = await lockSession(session, this.#context.schema, { key, channel, timeoutMs });
      isHeard = await this.#hears(channel, stopping);
      await session.query({ text: `unlisten ${channel}`, timeoutMs });
      counts = lock !== undefined && isHeard && (await isSessionLocked(this.#context.driver, lock, timeoutMs));
    } catch (error) {
      // A session that is lost meanwhile is no failure: the next one is on its way.
      if (session !== this.#session) return;
      throw error;
    }
    if (stopping.aborted || session !== this.#session) return;
    this.#expectedUntil = Number.NEGATIVE_INFINITY;
    if (!counts) return watcher.lockUnusable({ receives: isHeard });
    this.#lock = lock;
    watcher.lockChanged();
  }

  /**
   * Whether all notifications that are sent over another connection arrive on the session. Behind a transaction
   * pooler a single one may, if a statement of the session is under way at that moment.
   */
  async #hears(channel: string, stopping: AbortSignal): Promise<boolean> {
    for (let heard = 0; heard < ECHOES; heard += 1) {
      if (!(await this.#echo(channel, stopping))) return false;
    }
    return true;
  }

  async #echo(channel: string, stopping: AbortSignal): Promise<boolean> {
    const { clock, driver } = this.#context;
    const arrival = new AbortController();
    this.#awaited = { channel, arrival };
    try {
      await notifyChannel(driver, channel, this.#parts.timeoutMs);
      await clock.sleep(ECHO_MS, AbortSignal.any([arrival.signal, stopping]));
      return arrival.signal.aborted;
    } finally {
      this.#awaited = undefined;
    }
  }
}

type SessionLockContext = Pick<WorkerContext, "clock" | "driver" | "reporter" | "schema">;

/** What a session lock needs to know, and who is told of it. */
export interface SessionLockParts {
  /** How long a statement may take. */
  readonly timeoutMs: number;
  /** False when the worker only polls: there is no session to lock. */
  readonly listens: boolean;
  /** What became of earlier sessions. */
  readonly sessions: SessionHistory;
  readonly watcher: SessionLockWatcher;
}

/** Wants to know whether the lock counts. */
export interface SessionLockWatcher {
  /** The lock counts from now on, or no longer does. */
  lockChanged(): void;
  /**
   * The session cannot stand for the worker: it is not a session of its own, but
   * one of a transaction pooler. It `receives` what is sent to it, or not even that.
   */
  lockUnusable(found: { readonly receives: boolean }): void;
}

/**
 * Whether the process has ever lost a session that it listened on. One that has
 * may have been cut off together with others, and come back before them. A
 * process has one of these for all of its workers.
 */
export class SessionHistory {
  #hasLost = false;

  /** No session was lost so far. */
  get isUnbroken(): boolean {
    return !this.#hasLost;
  }

  /** A session was lost, or could not be opened. */
  lost(): void {
    this.#hasLost = true;
  }
}

/** That of this process. */
export const processSessions = new SessionHistory();

/** How long a worker may take to have its first session locked. */
const STARTING_MS = 10_000;

/** Channels of liveness begin like this. */
const PRESENCE_CHANNEL = "howdah_presence_";

/** How many notifications to oneself have to arrive. */
const ECHOES = 3;

/** How long a notification to oneself may take. */
const ECHO_MS = 10_000;

/** The largest number of a lock. */
const MAX_KEY = 2 ** 31 - 1;
