import type { Executor } from "../../postgres/driver.ts";
import { deregisterWorkers } from "../../postgres/queries/liveness.ts";
import { isRefused } from "../../postgres/sqlstate.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { type ProcessMark, readProcessMark, writeProcessMark } from "../../runtime/process-mark.ts";
import type { IdentityWatcher } from "../identity.ts";
import type { WorkerContext } from "../worker-context.ts";
import { Contact, type ContactAttempt } from "./contact.ts";
import { LivenessLoop, type LivenessWatcher, type SelfReports } from "./liveness-loop.ts";
import type { RecoverySettings } from "./options.ts";
import { processSessions, SessionLockKeeper, type SessionHistory, type SessionLockWatcher } from "./session-lock.ts";
import { Sweeper } from "./sweeper.ts";

/**
 * The liveness of one worker during one run: it sends heartbeats, holds a lock
 * on its session, learns when others have declared it dead, and monitors them.
 */
export class Liveness implements IdentityWatcher, SessionLockWatcher {
  readonly #context: LivenessContext;
  readonly #parts: LivenessParts;
  readonly #sessionLock: SessionLockKeeper;
  readonly #contact: Contact;
  readonly #mark: ProcessMark = readProcessMark();
  /** For so long after a contact no other worker takes what this one has cached. */
  readonly #trustMs: number;
  #loop: LivenessLoop;
  #isStopped = false;

  constructor(context: LivenessContext, parts: LivenessParts) {
    this.#context = context;
    this.#parts = parts;
    const { settings, listens, sessions = processSessions } = parts;
    const { contactTimeoutMs, heartbeatTimeoutMs, lockLossTimeoutMs } = settings;
    const timeoutMs = Math.max(1_000, contactTimeoutMs / 4);
    const sessionLock = new SessionLockKeeper(context, { timeoutMs, listens, sessions, watcher: this });
    const contact = new Contact(context, { timeoutMs: heartbeatTimeoutMs, patienceMs: contactTimeoutMs, sessionLock });
    this.#trustMs = Math.min(lockLossTimeoutMs, contactTimeoutMs);
    this.#sessionLock = sessionLock;
    this.#contact = contact;
    this.#loop = this.#createLoop();
  }

  /** True while others watch the session that this worker listens on. */
  get isLocked(): boolean {
    return this.#sessionLock.lock !== undefined;
  }

  /**
   * True when no other worker needs this one: each that is registered was heard
   * of lately, and none is being recovered; and notifications arrive.
   */
  get isAtEase(): boolean {
    return this.isLocked && this.#loop.isAtEase;
  }

  /** When the last heartbeat was sent that was answered, and when the last one ended that was tried. */
  get heartbeats(): { readonly answeredAt: number; readonly triedAt: number } {
    return { answeredAt: this.#loop.contactAt, triedAt: this.#loop.triedAt };
  }

  /** Until when no other worker can have taken what this one has cached, by the monotonic clock. */
  get startUntil(): number {
    return this.#loop.contactAt + this.#trustMs;
  }

  /** Begins. Resolves when the worker is registered, or that has failed once. */
  async start(): Promise<void> {
    this.#context.identity.watch(this);
    await this.#loop.start();
    if (!this.#isStopped) this.#sessionLock.start();
  }

  /**
   * Takes the worker off the register; until {@link resume} it sends nothing and
   * monitors no other worker. Only while nothing is locked by it and nothing is
   * claimed. Resolves to false when the database did not confirm that. A statement
   * without an answer may arrive when the worker is back: it goes on under another
   * id then, which that does not take off the register.
   */
  async suspend(): Promise<boolean> {
    const { identity, reporter } = this.#context;
    await this.#loop.stop();
    const { all, current } = identity;
    let isAnswered = true;
    const leave = ({ target, isRepeated }: ContactAttempt): Promise<void> => {
      if (isRepeated) isAnswered = false;
      return deregisterWorkers(target, all);
    };
    try {
      await this.#contact.reach(leave);
      if (!isAnswered) identity.replace();
      return true;
    } catch (error) {
      // It may be registered still, until that is certain.
      if (!isAnswered || !isRefused(error)) identity.distrust(current);
      reporter.failure("take itself off the register", error);
      return false;
    }
  }

  /** Begins anew after {@link suspend}. Resolves when the worker is registered, or that has failed once. */
  async resume(): Promise<void> {
    if (this.#isStopped) return;
    // What it has seen of the others is too old.
    this.#loop = this.#createLoop();
    await this.#loop.start();
  }

  /**
   * Ends it. Ids under which nothing is locked are unregistered; the others
   * stay, so that another worker recovers what they hold.
   */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#context.identity.unwatch(this);
    await this.#stopWithin(END_MS);
    await this.#deregister();
    this.#contact.end();
  }

  /** The worker listens, over this session. */
  up(session: Executor): void {
    this.#sessionLock.up(session);
    this.#loop.sessionOpened();
  }

  /** The session is lost. */
  down(): void {
    this.#sessionLock.down();
    this.#loop.beat();
  }

  /** A notification has arrived on a channel of liveness. */
  heard(channel: string): void {
    this.#sessionLock.heard(channel);
  }

  identityChanged(): void {
    this.#loop.beat();
  }

  lockChanged(): void {
    this.#loop.beat();
  }

  lockUnusable({ receives }: { readonly receives: boolean }): void {
    this.#loop.beat();
    if (!receives) return this.#parts.session.deaf();
    const { logger, identity } = this.#context;
    logger.info("Others can watch this worker's heartbeat only: it does not listen on a session of its own", {
      worker: identity.current,
    });
  }

  #createLoop(): LivenessLoop {
    const context = this.#context;
    const { settings, watcher, reports } = this.#parts;
    const [contact, sessionLock, mark] = [this.#contact, this.#sessionLock, this.#mark];
    const sweeper = new Sweeper(context, { settings, sessionLock, mark });
    const process = writeProcessMark(mark);
    return new LivenessLoop(context, { settings, process, reports, contact, sessionLock, sweeper, watcher });
  }

  /** Statements under way are not waited for when the database does not answer; they do no harm. */
  async #stopWithin(limitMs: number): Promise<void> {
    const stopped = new AbortController();
    void Promise.all([this.#loop.stop(), this.#sessionLock.stop()]).then(() => stopped.abort());
    await this.#context.clock.sleep(limitMs, stopped.signal);
  }

  /** A database that is away is not waited for: other workers will find that nothing is locked by these ids. */
  async #deregister(): Promise<void> {
    const { clock, identity, logger } = this.#context;
    const { clean } = identity;
    const silentMs = clock.monotonic() - this.#loop.contactAt;
    if (clean.length === 0 || silentMs > 2 * this.#parts.settings.heartbeatIntervalMs) return;
    const answered = new AbortController();
    void this.#contact
      .reach(({ target }) => deregisterWorkers(target, clean))
      .catch((error: unknown) =>
        logger.debug("The worker could not be taken off the register", { error: errorMessage(error) }),
      )
      .finally(() => answered.abort());
    // The usual way, and another one; a driver that has only one would wait for that much longer.
    await clock.sleep(3 * this.#parts.settings.heartbeatTimeoutMs, answered.signal);
  }
}

type LivenessContext = Omit<WorkerContext, "settings">;

/** What a worker's liveness is about, and what depends on it. */
export interface LivenessParts {
  readonly settings: RecoverySettings;
  /** False when it only polls: there is no session to be watched by. */
  readonly listens: boolean;
  /** Is told what claims are worth. */
  readonly watcher: LivenessWatcher;
  readonly reports: SelfReports;
  /** Is told what the session is worth. */
  readonly session: SessionWatcher;
  /** What became of earlier sessions. Default: those of this process. */
  readonly sessions?: SessionHistory;
}

/** Depends on notifications. */
export interface SessionWatcher {
  /** Nothing arrives on the session that the worker listens on. */
  deaf(): void;
}

/** How long the end of a run waits for statements of its liveness. */
const END_MS = 1_000;
