import { HowdahError } from "../../errors.ts";
import { type Waiter, withDeadline } from "./deadline.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { type OwnPool, type PgPool, type PgPoolClient, resetSession } from "./pg-pool.ts";
import { PgSession, type SessionOptions } from "./pg-session.ts";
import { giveBack, type LentClient, WarmClients } from "./pg-warm-clients.ts";
import type { PoolWarnings } from "./pool-warnings.ts";
import { takeClient, unreachable } from "./take-client.ts";
import { Turns } from "./turns.ts";

/** Lends connections of a pool, one holder at a time, and knows when all of them are back. */
export class PgLending implements Waiter {
  readonly #pool: PgPool;
  readonly #options: LendingOptions;
  /** Those on clients of our own: no other code sees how many listeners such a client has. */
  readonly #sessions = new WeakMap<PgPoolClient, PgSession>();
  readonly #warm: WarmClients;
  readonly #turns: Turns;

  constructor(pool: PgPool, options: LendingOptions) {
    const { clock, limit, connectTimeoutMs: timeoutMs } = options;
    this.#pool = pool;
    this.#options = options;
    this.#warm = new WarmClients(clock);
    this.#turns = new Turns({ clock, limit, timeoutMs, waiter: this });
  }

  /** How many connections may be lent at once. */
  get limit(): number {
    return this.#turns.limit;
  }

  /** How many are lent. */
  get lent(): number {
    return this.#turns.taken;
  }

  /**
   * Runs `work` with a connection that nothing else uses meanwhile. Rejects with
   * `HOWDAH_CONNECTIONS_EXHAUSTED` when others use all of them for too long, and
   * with `HOWDAH_DATABASE_UNREACHABLE` when none comes about in time. The wait for
   * a turn and that for a connection have one limit together.
   */
  async hold<T>(work: (session: PgSession) => Promise<T>): Promise<T> {
    const turn = this.#turns.take();
    const since = turn && this.#options.clock.monotonic();
    if (turn) await turn;
    let lent: LentClient;
    try {
      lent = this.#warm.take() ?? (await this.#lend(since));
    } catch (error) {
      this.#turns.give();
      throw error;
    }
    try {
      return await work(lent.session);
    } finally {
      this.#end(lent);
    }
  }

  /** Takes a client that is not lent again: the caller releases it. */
  async take(): Promise<PgPoolClient> {
    const { client, session } = await this.#lend();
    session.detach();
    return client;
  }

  /** The error of a wait for a connection that others use. */
  overdue(): HowdahError {
    return this.#options.owner.exhausted(this);
  }

  /** Resolves when no connection is held, and the pool has all of them. */
  async settled(): Promise<void> {
    await this.#turns.settled();
    this.#warm.clear();
  }

  /** A client that is not known to be of no use, for which a caller has waited since then. */
  async #lend(since = this.#options.clock.monotonic()): Promise<LentClient> {
    for (let tries = 0; tries < MAX_TRIES;) {
      const client = await this.#connect(since);
      let session: PgSession;
      try {
        session = this.#sessionOn(client);
      } catch (error) {
        client.release();
        throw error;
      }
      const lent = { client, session, takenAt: this.#options.clock.monotonic() };
      // What is still under way may give the rights back, and must not be cut off.
      if (session.isForeign) await session.isAtRest();
      if (session.isUsable) return lent;
      // Those that are in doubt, or broken, come to an end by themselves.
      if (session.isLeftInside || session.isForeign) tries += 1;
      if (session.isLeftInside) this.#options.warnings.foundInside();
      this.#giveBack(lent);
    }
    throw allLeftOpen();
  }

  async #connect(since: number): Promise<PgPoolClient> {
    const { clock, connectTimeoutMs } = this.#options;
    if (this.#isAtHand) return takeClient(this.#pool).catch(failUnreachable);
    const isFull = this.#isFull;
    const waiter = new ClientWait(isFull ? this : undefined, connectTimeoutMs);
    const connecting = takeClient(this.#pool);
    void connecting.then(
      (client) => (waiter.isLate ? client.release() : undefined),
      () => undefined,
    );
    const leftMs = Math.max(1, connectTimeoutMs - (clock.monotonic() - since));
    const timeoutMs = connectTimeoutMs === 0 ? 0 : leftMs;
    return withDeadline(connecting, { clock, timeoutMs, waiter }).catch((reason: unknown) =>
      // The application's pool has a limit of its own for how long it waits.
      isFull && /timeout exceeded when trying to connect/.test(String(reason))
        ? Promise.reject(this.overdue())
        : failUnreachable(reason),
    );
  }

  /** True when more connections are open than callers wait for: then there is no need to watch the time. */
  get #isAtHand(): boolean {
    const { ownPool } = this.#options;
    return ownPool !== undefined && ownPool.idleCount > ownPool.waitingCount;
  }

  /** True when the pool can only wait for others to give a connection back. */
  get #isFull(): boolean {
    const { totalCount = 0, idleCount = 0, waitingCount = 0, options } = this.#pool;
    return totalCount >= (options?.max ?? Number.POSITIVE_INFINITY) && idleCount <= waitingCount;
  }

  #sessionOn(client: PgPoolClient): PgSession {
    const known = this.#sessions.get(client);
    if (known) return known;
    const session = new PgSession(client, this.#options);
    if (this.#options.ownPool) this.#sessions.set(client, session);
    return session;
  }

  /** The turn ends when the connection is ready for the next holder. */
  #end(lent: LentClient): void {
    const { resetWith } = this.#options;
    if (!resetWith || !lent.session.isUsable) return this.#takeBack(lent);
    resetSession(lent.client, resetWith).then(
      () => this.#takeBack(lent),
      (error: unknown) => {
        lent.session.discard(error);
        this.#takeBack(lent);
      },
    );
  }

  /** Of a pool that others use, too, nothing is kept. */
  #takeBack(lent: LentClient): void {
    if (this.#options.ownPool) this.#warm.keep(lent);
    else this.#giveBack(lent);
    this.#turns.give();
  }

  #giveBack(lent: LentClient): void {
    if (lent.session.isForeign) this.#options.warnings.foundForeign();
    giveBack(lent);
    if (!this.#options.ownPool) lent.session.detach();
  }
}

/** What lending needs in addition to the pool. */
export interface LendingOptions extends SessionOptions {
  /** How many connections may be lent at once. */
  readonly limit: number;
  /** How long to wait for a connection; 0 means for ever. */
  readonly connectTimeoutMs: number;
  /** The pool when it is used for nothing else. */
  readonly ownPool: OwnPool | undefined;
  /** Knows what else connections are used for. */
  readonly owner: LendingOwner;
  readonly warnings: PoolWarnings;
  /** How a connection of our own is reset for the next holder, while it is not held; `undefined` for not at all. */
  readonly resetWith?: ConnectionSettings | undefined;
}

/** What has connections lent, in one or several parts. */
export interface LendingOwner {
  /** Makes the error of a wait for a connection of one part. */
  exhausted(lending: PgLending): HowdahError;
}

/** The wait for a client that a pool is to lend. */
class ClientWait implements Waiter {
  readonly #full: PgLending | undefined;
  readonly #connectTimeoutMs: number;
  /** True when the wait is over, and a client that comes now goes back. */
  isLate = false;

  /** `full`: others use all clients of the pool. */
  constructor(full: PgLending | undefined, connectTimeoutMs: number) {
    this.#full = full;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  overdue(): HowdahError {
    this.isLate = true;
    if (this.#full) return this.#full.overdue();
    return new HowdahError(
      "HOWDAH_DATABASE_UNREACHABLE",
      `Timed out after ${this.#connectTimeoutMs} ms waiting for a database connection.`,
    );
  }
}

/** This many connections in a row may be found as other code has left them. */
export const MAX_TRIES = 20;

/** The error of a pool that lends nothing else. */
export function allLeftOpen(): HowdahError {
  return new HowdahError(
    "HOWDAH_TRANSACTION_LEFT_OPEN",
    `Each of ${MAX_TRIES} connections came out of the pool inside of a transaction that other code has begun, ` +
      "or with the rights of another role. Nothing was done. Look for what leaves them so in this pool.",
  );
}

function failUnreachable(reason: unknown): never {
  throw unreachable(reason);
}
