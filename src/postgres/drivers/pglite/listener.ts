import type { Executor, Listening, ListenHandlers } from "../../driver.ts";
import { quoteIdentifier } from "../../schema.ts";
import type { PGliteDatabase } from "./session.ts";

/**
 * LISTEN on the session that everything shares. It hears its own channels, and
 * those that others than listeners have made the session listen to.
 */
export class PGliteListener implements Listening {
  readonly #options: PGliteListenerOptions;
  readonly #counts: Map<string, number>;
  #stopHearing: (() => void) | undefined;
  #isOpen = false;

  constructor(options: PGliteListenerOptions) {
    this.#options = options;
    this.#counts = countsOf(options.db);
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const { db, executor, channels, handlers } = this.#options;
    for (const channel of channels) this.#counts.set(channel, this.#countOf(channel) + 1);
    this.#isOpen = true;
    this.#stopHearing = db.onNotification((channel, payload) => {
      const isOurs = channels.includes(channel) || this.#countOf(channel) === 0;
      // One may be on its way.
      if (isOurs && this.#isOpen) handlers.notified(channel, payload);
    });
    try {
      if (channels.length > 0) await executor.query({ text: statements("listen", channels) });
    } catch (error) {
      await this.close();
      throw error;
    }
    if (this.#isOpen) handlers.up(executor);
  }

  async close(executor: Executor = this.#options.executor): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stopHearing?.();
    const { channels } = this.#options;
    for (const channel of channels) this.#counts.set(channel, this.#countOf(channel) - 1);
    const unheard = channels.filter((channel) => this.#countOf(channel) === 0);
    // A database that was closed listens no more.
    if (unheard.length > 0) await executor.query({ text: statements("unlisten", unheard) }).catch(() => undefined);
  }

  #countOf(channel: string): number {
    return this.#counts.get(channel) ?? 0;
  }
}

/** What a listener needs. */
export interface PGliteListenerOptions {
  readonly db: PGliteDatabase;
  readonly executor: Executor;
  readonly channels: readonly string[];
  readonly handlers: ListenHandlers;
}

/** How many listeners, of all drivers, want the channels of a database. */
const counts = new WeakMap<PGliteDatabase, Map<string, number>>();

function countsOf(db: PGliteDatabase): Map<string, number> {
  const known = counts.get(db) ?? new Map<string, number>();
  counts.set(db, known);
  return known;
}

function statements(verb: string, channels: readonly string[]): string {
  return channels.map((channel) => `${verb} ${quoteIdentifier(channel)}`).join("; ");
}
