import { hostname } from "node:os";
import { HowdahError } from "../errors.ts";
import type { HookEmitter } from "../hooks/hooks.ts";
import { Heartbeat } from "../job/recover/heartbeat.ts";
import type { RecoverySettings } from "../job/recover/options.ts";
import type { Refusals } from "../job/recover/refusals.ts";
import { SessionLockKeeper } from "../job/recover/session-lock.ts";
import { processSessions, type SessionHistory } from "../job/recover/first-session.ts";
import { Sweeper } from "../job/recover/sweeper.ts";
import type { Driver, Executor } from "../postgres/driver.ts";
import { migrations } from "../postgres/migrations.generated.ts";
import {
  beat,
  beatAndLook,
  deregisterWorkers,
  LOCK_TO_COME,
  registerWorkers,
  type SessionLock,
} from "../postgres/queries/presence.ts";
import type { Schema } from "../postgres/schema.ts";
import type { Clock } from "../runtime/clock.ts";
import { errorMessage } from "../runtime/error-message.ts";
import type { Logger } from "../runtime/logger.ts";
import { isProcessGone, readProcessMark, writeProcessMark } from "../runtime/process-mark.ts";
import { Contact, type ContactAttempt } from "./contact.ts";
import type { Engine } from "./engine.ts";
import type { Identity } from "../job/identity.ts";
import { packageVersion } from "./package-version.ts";
import type { Reporter } from "../job/reporter.ts";

/** What the presence of a worker is made of. */
export interface PresenceParts {
  readonly settings: RecoverySettings;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly schema: Schema;
  readonly hooks: HookEmitter;
  readonly logger: Logger;
  readonly identity: Identity;
  readonly reporter: Reporter;
  readonly engine: Engine;
  /** What cannot be given back. */
  readonly refusals: Refusals;
  /** False when it only polls: there is no session to be watched by. */
  readonly listens: boolean;
  /** Nothing arrives on the session that the worker listens on. */
  deaf(): void;
  /** What else others may like to know about this worker. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What became of earlier sessions. Default: those of this process. */
  readonly sessions?: SessionHistory;
}

/** How long a worker may take to have its first session locked. */
const STARTING_MS = 10_000;

/** How long the end of a run waits for a statement of presence. */
const END_MS = 1_000;

/** A worker that says it lives, learns when others think otherwise, and watches them, for one run. */
export class Presence {
  readonly #parts: PresenceParts;
  readonly #keeper: SessionLockKeeper;
  readonly #heartbeat: Heartbeat;
  readonly #contact: Contact;
  #ends: readonly (() => Promise<void>)[] = [];
  readonly #metadata: Readonly<Record<string, unknown>>;
  #startsUntil = Number.NEGATIVE_INFINITY;
  #isEnded = false;
  #sweeper: Sweeper | undefined;
  readonly #mark = readProcessMark();
  readonly #sessions: SessionHistory;
  #isFirstSession = false;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#sessions = parts.sessions ?? processSessions;
    const { clock, settings, identity, reporter, listens, metadata } = parts;
    this.#metadata = {
      pid: process.pid,
      host: hostname(),
      version: packageVersion(),
      revision: migrations.at(-1)?.id,
      ...metadata,
    };
    const { driver: executor, schema } = parts;
    this.#keeper = new SessionLockKeeper({
      clock,
      target: { executor, schema, timeoutMs: Math.max(1_000, settings.contactTimeoutMs / 4) },
      changed: () => this.#sessionKnown(),
      unusable: ({ isDeaf }) => {
        this.#sessionKnown();
        if (isDeaf) return parts.deaf();
        parts.logger.info("Others can watch this worker's heartbeat only: it does not listen on a session of its own", {
          worker: identity.current,
        });
      },
      failed: (error) => reporter.failure("lock its session", error),
    });
    this.#contact = new Contact({
      ...parts,
      timeoutMs: settings.heartbeatTimeoutMs,
      patienceMs: settings.contactTimeoutMs,
      session: () => this.#keeper.session,
    });
    this.#heartbeat = new Heartbeat({
      clock,
      ...settings,
      ids: () => identity.all,
      isDeaf: () => listens && this.#keeper.session === undefined,
      register: (ids) => this.#contact.reach(({ target }) => registerWorkers(target, ids, this.#registration)),
      beat: (ids, nextMs) => this.#beat(ids, nextMs),
      swept: (ids) => this.#swept(ids),
      outOfContact: (silentMs) => this.#outOfContact(silentMs),
      heard: () => parts.engine.slots.fill(),
      failed: (error) => reporter.failure("say that it lives", error),
    });
  }

  /** True while others watch the session that this worker listens on. */
  get isLocked(): boolean {
    return this.#keeper.lock !== undefined;
  }

  /** Until when nobody can have taken what this worker has cached, by the monotonic clock. */
  get startUntil(): number {
    const { lockLossTimeoutMs, contactTimeoutMs } = this.#parts.settings;
    return this.#heartbeat.contactAt + Math.min(lockLossTimeoutMs, contactTimeoutMs);
  }

  /** Begins. Resolves when the worker is registered, or that has failed once. */
  async start(): Promise<void> {
    const { identity, settings, reporter, driver, schema } = this.#parts;
    const sweeper = new Sweeper({
      ...this.#parts,
      target: { executor: driver, schema },
      recoveryDelayMs: settings.recoveryDelayMs,
      workerId: () => identity.current,
      own: () => identity.all,
      session: () => this.#keeper.session,
      isFirstSession: () => this.#isFirstSession,
      isProcessGone: (stored) => isProcessGone(stored, this.#mark),
      failed: (error) => reporter.failure("ask a hook about a job to recover", error),
      refused: (row) => reporter.unrecovered(row),
      heldUp: (workerIds, error) => reporter.failure(`recover what worker ${workerIds.join(", ")} held`, error),
      sweepFailed: (error) => reporter.failure("look whether others live", error),
    });
    identity.watch(this);
    if (this.#parts.listens) this.#startsUntil = this.#parts.clock.monotonic() + STARTING_MS;
    await this.#heartbeat.start();
    this.#sweeper = sweeper;
    if (!this.#isEnded) this.#ends = [sweeper.start(), this.#keeper.start()];
  }

  /** The worker listens, over this session. */
  up(session: Executor): void {
    this.#isFirstSession = this.#sessions.isUnbroken;
    this.#keeper.up(session);
    this.#heartbeat.wake();
    this.#sweeper?.lookNow();
  }

  /** The session is lost. */
  down(): void {
    this.#sessions.lost();
    this.#isFirstSession = false;
    this.#keeper.down();
    this.#heartbeat.wake();
  }

  /** Something arrived on a channel of presence. */
  heard(channel: string): void {
    this.#keeper.heard(channel);
  }

  identityChanged(): void {
    this.#heartbeat.wake();
  }

  /**
   * Ends it. Ids under which nothing is locked are taken off the register; the
   * others stay there, so that somebody recovers what they hold.
   */
  async end(): Promise<void> {
    const { identity } = this.#parts;
    this.#isEnded = true;
    identity.unwatch(this);
    await this.#stopWithin(END_MS);
    await this.#deregister();
    this.#contact.end();
  }

  /** Ids under which something is locked stay. */
  async #deregister(): Promise<void> {
    const { identity, settings } = this.#parts;
    const { clean } = identity;
    // A database that is away is not waited for: whoever finds the ids there finds nothing locked by them.
    if (clean.length === 0 || this.#heartbeat.silentMs > 2 * settings.heartbeatIntervalMs) return;
    try {
      await this.#contact.reach(({ target }) => deregisterWorkers(target, clean));
    } catch (error) {
      this.#parts.logger.debug("The worker could not be taken off the register", { error: errorMessage(error) });
    }
  }

  /** A heartbeat takes the look along that would be due before the next one, unless its usual way does not answer. */
  async #beat(ids: readonly string[], nextMs: number): Promise<ReadonlySet<string>> {
    const sweeper = this.#sweeper?.wantsLook(nextMs) ? this.#sweeper : undefined;
    try {
      return await this.#contact.reach((attempt) => {
        if (sweeper && !attempt.isRepeated) return this.#beatAndLook(ids, sweeper, attempt);
        sweeper?.missed();
        return beat(attempt.target, ids, this.#shownLock);
      });
    } catch (error) {
      sweeper?.missed();
      throw error;
    }
  }

  async #beatAndLook(
    ids: readonly string[],
    sweeper: Sweeper,
    { target, isOver }: ContactAttempt,
  ): Promise<ReadonlySet<string>> {
    const { clock } = this.#parts;
    const sentAt = clock.monotonic();
    const { alive, sightings } = await beatAndLook(target, ids, this.#shownLock);
    if (!isOver()) sweeper.bring({ executor: target.executor, sentAt, answeredAt: clock.monotonic(), sightings });
    return alive;
  }

  get #registration(): { readonly process: string; readonly metadata: Readonly<Record<string, unknown>> } {
    return { process: writeProcessMark(this.#mark), metadata: this.#metadata };
  }

  /** A worker that dies right after its start, before its lock counts, shall not be missed for minutes. */
  get #shownLock(): SessionLock | undefined {
    const isStarting = this.#parts.clock.monotonic() < this.#startsUntil;
    return this.#keeper.lock ?? (isStarting ? LOCK_TO_COME : undefined);
  }

  #sessionKnown(): void {
    this.#startsUntil = Number.NEGATIVE_INFINITY;
    this.#heartbeat.wake();
  }

  /** What is under way is not waited for when the database does not answer; it does no harm. */
  async #stopWithin(limitMs: number): Promise<void> {
    const stopped = new AbortController();
    const stopping = Promise.all([this.#heartbeat.stop(), ...this.#ends.map((end) => end())]);
    void stopping.then(() => stopped.abort());
    await this.#parts.clock.sleep(limitMs, stopped.signal);
  }

  #swept(ids: ReadonlySet<string>): void {
    const { engine, identity, reporter } = this.#parts;
    const names = [...ids].join(", ");
    const reason = new HowdahError(
      "HOWDAH_ABORTED_LOST",
      `Worker ${names} was taken for dead, and its jobs were given to others. It goes on under another id.`,
    );
    engine.lose(ids, { queuedOnly: false }, reason);
    identity.forget(ids);
    reporter.failure("keep its registration", reason);
  }

  #outOfContact(silentMs: number): void {
    const reason = new HowdahError(
      "HOWDAH_ABORTED_LOST",
      `No heartbeat has reached the database for ${Math.round(silentMs)} ms; others may take over the job's queue.`,
    );
    this.#parts.engine.lose("all", { queuedOnly: true }, reason);
  }
}
