import { HowdahError } from "../../errors.ts";
import { isConnectionLoss, isTransient, sqlStateOf } from "../sqlstate.ts";
import { withDeadline } from "./deadline.ts";
import type { PgPool, PgPoolClient } from "./pg-pool.ts";
import { PgSession, type SessionOptions } from "./pg-session.ts";

/** What lending needs beside the pool. */
export interface LendingOptions extends SessionOptions {
  /** How long to wait for a connection; 0 means for ever. */
  readonly connectTimeoutMs: number;
}

/** Lends connections of a pool, one holder at a time, and knows when all of them are back. */
export class PgLending {
  readonly #pool: PgPool;
  readonly #options: LendingOptions;
  readonly #waiting = new Set<() => void>();
  #held = 0;

  constructor(pool: PgPool, options: LendingOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /**
   * Runs `work` with a connection that nobody else uses meanwhile. Rejects with
   * `HOWDAH_DATABASE_UNREACHABLE` when there is none in time.
   */
  async hold<T>(work: (session: PgSession) => Promise<T>): Promise<T> {
    this.#held += 1;
    try {
      const client = await this.take();
      const session = new PgSession(client, this.#options);
      try {
        return await work(session);
      } finally {
        client.release(session.brokenBy !== undefined);
        session.detach();
      }
    } finally {
      this.#held -= 1;
      if (this.#held === 0) for (const resolve of this.#waiting) resolve();
    }
  }

  /** Takes a client for good: whoever takes it releases it. */
  async take(): Promise<PgPoolClient> {
    const { clock, connectTimeoutMs: timeoutMs } = this.#options;
    const connecting = this.#pool.connect();
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
    return withDeadline(connecting, { clock, timeoutMs, error }).catch((reason: unknown) => {
      throw unreachable(reason);
    });
  }

  /** Resolves when nobody holds a connection. */
  async settled(): Promise<void> {
    if (this.#held > 0) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }
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
