import { HowdahError } from "../../errors.ts";
import { isConnectionLoss, isTransient, sqlStateOf } from "../sqlstate.ts";
import { withDeadline } from "./deadline.ts";
import { allLeftOpen, MAX_TRIES } from "./left-open.ts";
import type { OwnPool, PgPool, PgPoolClient } from "./pg-pool.ts";
import { PgSession, type SessionOptions } from "./pg-session.ts";
import { giveBack, type LentClient, WarmClients } from "./pg-warm-clients.ts";
import { takeClient } from "./take-client.ts";
import { Turns } from "./turns.ts";

/** What lending needs beside the pool. */
export interface LendingOptions extends SessionOptions {
  /** So many connections at most are lent at once. */
  readonly limit: number;
  /** How long to wait for a connection; 0 means for ever. */
  readonly connectTimeoutMs: number;
  /** The pool when nobody else uses it. */
  readonly ownPool: OwnPool | undefined;
  /** Makes the error of a wait for a connection that others use. */
  exhausted(): HowdahError;
  /** Told of a connection that came out of the pool inside of a transaction; it is closed, and another one taken. */
  foundInside(): void;
  /** Told of a connection that was left with the rights of another role; it is closed. */
  foundForeign(): void;
  /** Makes a connection of our own fit for the next holder, while nobody holds it. */
  readonly cleanUp?: ((client: PgPoolClient, session: PgSession) => Promise<void>) | undefined;
}

/** Lends connections of a pool, one holder at a time, and knows when all of them are back. */
export class PgLending {
  readonly #pool: PgPool;
  readonly #options: LendingOptions;
  /** Those on clients of our own: nobody else sees how many listeners such a client has. */
  readonly #sessions = new WeakMap<PgPoolClient, PgSession>();
  readonly #warm: WarmClients;
  readonly #turns: Turns;

  constructor(pool: PgPool, options: LendingOptions) {
    const { clock, limit, connectTimeoutMs: timeoutMs, exhausted: error } = options;
    this.#pool = pool;
    this.#options = options;
    this.#warm = new WarmClients(clock);
    this.#turns = new Turns({ clock, limit, timeoutMs, error });
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
   * Runs `work` with a connection that nobody else uses meanwhile. Rejects with
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

  /** Takes a client for good: whoever takes it releases it. */
  async take(): Promise<PgPoolClient> {
    const { client, session } = await this.#lend();
    session.detach();
    return client;
  }

  /** Resolves when nobody holds a connection, and the pool has all of them. */
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
      if (session.isLeftInside) this.#options.foundInside();
      this.#giveBack(lent);
    }
    throw allLeftOpen();
  }

  async #connect(since: number): Promise<PgPoolClient> {
    const { clock, connectTimeoutMs } = this.#options;
    const isAtHand = this.#isAtHand;
    const isFull = this.#isFull;
    const connecting = takeClient(this.#pool);
    if (isAtHand) return connecting.catch(failUnreachable);
    let late = false;
    const error = (): HowdahError => {
      late = true;
      if (isFull) return this.#options.exhausted();
      return new HowdahError(
        "HOWDAH_DATABASE_UNREACHABLE",
        `Timed out after ${connectTimeoutMs} ms waiting for a database connection.`,
      );
    };
    void connecting.then(
      (client) => (late ? client.release() : undefined),
      () => undefined,
    );
    const leftMs = Math.max(1, connectTimeoutMs - (clock.monotonic() - since));
    const timeoutMs = connectTimeoutMs === 0 ? 0 : leftMs;
    return withDeadline(connecting, { clock, timeoutMs, error }).catch((reason: unknown) =>
      // The application's pool has a limit of its own for how long it waits.
      isFull && /timeout exceeded when trying to connect/.test(String(reason))
        ? Promise.reject(this.#options.exhausted())
        : failUnreachable(reason),
    );
  }

  /** True when a connection is open that nobody waits for: then there is no need to watch the time. */
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
    const { cleanUp } = this.#options;
    if (!cleanUp || !lent.session.isUsable) return this.#takeBack(lent);
    cleanUp(lent.client, lent.session).then(
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
    if (lent.session.isForeign) this.#options.foundForeign();
    giveBack(lent);
    if (!this.#options.ownPool) lent.session.detach();
  }
}

function failUnreachable(reason: unknown): never {
  throw unreachable(reason);
}

/**
 * The error of a connection that did not come about. What the server said
 * itself stays as it is, unless it reads as if a statement had been under way.
 */
export function unreachable(reason: unknown): unknown {
  if (reason instanceof HowdahError) return reason;
  if (sqlStateOf(reason) !== undefined && !isConnectionLoss(reason)) return reason;
  const { message, code } = reason as { message?: string; code?: string };
  if (!isTransient(reason) && !/time|terminated/i.test(message ?? "")) return reason;
  const found = message === undefined || message === "" ? code : message;
  return new HowdahError("HOWDAH_DATABASE_UNREACHABLE", `The database could not be reached: ${found}`, reason);
}
