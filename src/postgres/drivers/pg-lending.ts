import { HowdahError } from "../../errors.ts";
import { isConnectionLoss, isTransient, sqlStateOf } from "../sqlstate.ts";
import { withDeadline } from "./deadline.ts";
import type { OwnPool, PgPool, PgPoolClient } from "./pg-pool.ts";
import { PgSession, type SessionOptions } from "./pg-session.ts";
import { giveBack, type LentClient, WarmClients } from "./pg-warm-clients.ts";

/** What lending needs beside the pool. */
export interface LendingOptions extends SessionOptions {
  /** How long to wait for a connection; 0 means for ever. */
  readonly connectTimeoutMs: number;
  /** The pool when nobody else uses it. */
  readonly ownPool: OwnPool | undefined;
}

/** Lends connections of a pool, one holder at a time, and knows when all of them are back. */
export class PgLending {
  readonly #pool: PgPool;
  readonly #options: LendingOptions;
  readonly #waiting = new Set<() => void>();
  /** Those on clients of our own: nobody else sees how many listeners such a client has. */
  readonly #sessions = new WeakMap<PgPoolClient, PgSession>();
  readonly #warm: WarmClients;
  #held = 0;

  constructor(pool: PgPool, options: LendingOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#warm = new WarmClients(options.clock);
  }

  /**
   * Runs `work` with a connection that nobody else uses meanwhile. Rejects with
   * `HOWDAH_DATABASE_UNREACHABLE` when there is none in time.
   */
  async hold<T>(work: (session: PgSession) => Promise<T>): Promise<T> {
    this.#held += 1;
    try {
      const lent = this.#warm.take() ?? (await this.#lend());
      try {
        return await work(lent.session);
      } finally {
        this.#takeBack(lent);
      }
    } finally {
      this.#held -= 1;
      if (this.#held === 0) for (const resolve of this.#waiting) resolve();
    }
  }

  /** Takes a client for good: whoever takes it releases it. */
  async take(): Promise<PgPoolClient> {
    const { clock, connectTimeoutMs: timeoutMs } = this.#options;
    const isAtHand = this.#isAtHand;
    const connecting = this.#pool.connect();
    if (isAtHand) return connecting.catch(failUnreachable);
    let late = false;
    const error = (): HowdahError => {
      late = true;
      return new HowdahError(
        "HOWDAH_DATABASE_UNREACHABLE",
        `No database connection was to be had within ${timeoutMs} ms.`,
      );
    };
    void connecting.then(
      (client) => (late ? client.release() : undefined),
      () => undefined,
    );
    return withDeadline(connecting, { clock, timeoutMs, error }).catch(failUnreachable);
  }

  /** True when a connection is open that nobody waits for: then there is no need to watch the time. */
  get #isAtHand(): boolean {
    const { ownPool } = this.#options;
    return ownPool !== undefined && ownPool.idleCount > ownPool.waitingCount;
  }

  async #lend(): Promise<LentClient> {
    const client = await this.take();
    return { client, session: this.#sessionOn(client), takenAt: this.#options.clock.monotonic() };
  }

  #sessionOn(client: PgPoolClient): PgSession {
    const known = this.#sessions.get(client);
    if (known) return known;
    const session = new PgSession(client, this.#options);
    if (this.#options.ownPool) this.#sessions.set(client, session);
    return session;
  }

  /** Of a pool that others use, too, nothing is kept. */
  #takeBack(lent: LentClient): void {
    const { ownPool } = this.#options;
    if (ownPool?.waitingCount === 0) return this.#warm.keep(lent);
    giveBack(lent);
    if (!ownPool) lent.session.detach();
  }

  /** Resolves when nobody holds a connection, and the pool has all of them. */
  async settled(): Promise<void> {
    if (this.#held > 0) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    this.#warm.clear();
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
