import type { Clock, Timer } from "../../runtime/clock.ts";
import type { PgPoolClient } from "./pg-pool.ts";
import type { PgSession } from "./pg-session.ts";

/**
 * Clients that were used a moment ago and will be used again in a moment. The
 * pool sets two timers and changes four listeners each time that it lends one.
 */
export class WarmClients {
  readonly #clock: Clock;
  #clients: LentClient[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The one that was used last, if there is one that still works. */
  take(): LentClient | undefined {
    for (let lent = this.#clients.pop(); lent; lent = this.#clients.pop()) {
      if (lent.session.isUsable) return lent;
      giveBack(lent);
    }
    return undefined;
  }

  /** Keeps a client that works, for a while, or gives it back to its pool. */
  keep(lent: LentClient): void {
    if (!lent.session.isUsable || this.#clock.monotonic() - lent.takenAt > LONGEST_MS) giveBack(lent);
    else {
      this.#clients.push(lent);
      this.#timer ??= this.#clock.setTimer(KEPT_MS, () => this.clear(), true);
    }
  }

  /** Gives all back. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const lent of this.#clients.splice(0)) giveBack(lent);
  }
}

/** Gives a client back to its pool, which closes it when it must not be lent again. */
export function giveBack({ client, session }: LentClient): void {
  client.release(!session.isUsable);
}

/** A client that was taken out of a pool, and what is done with it. */
export interface LentClient {
  readonly client: PgPoolClient;
  readonly session: PgSession;
  /** When the pool gave it, by the monotonic clock. */
  readonly takenAt: number;
}

/** How long an unused client is kept. An idle process may end only when the pool has it back. */
const KEPT_MS = 100;

/** The pool sees each client so often at least, because it may have to retire it. */
const LONGEST_MS = 1_000;
