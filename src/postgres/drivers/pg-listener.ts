import type { Clock } from "../../runtime/clock.ts";
import { type Loop, startLoop } from "../../runtime/loop.ts";
import type { Executor, Listening, ListenHandlers, Query, QueryResult } from "../driver.ts";
import { quoteIdentifier } from "../schema.ts";
import { KEEPALIVE_MS, type WireStream } from "./connection-settings.ts";
import type { PgClient } from "./pg-client.ts";
import type { PgListenClient, PgListenWay } from "./pg-listen-way.ts";
import { connectionLost, PgSession, type SessionOptions } from "./pg-session.ts";

/**
 * LISTEN on a connection of its own, made again whenever it is lost. One loop
 * does both: with a connection it asks whether it is still there, without one
 * it connects.
 */
export class PgListener implements Listening, SessionWatcher {
  readonly #options: PgListenerOptions;
  readonly #closing = new AbortController();
  #session: ListenSession | undefined;
  #loop: Loop | undefined;
  #isQuiet = false;

  constructor(options: PgListenerOptions) {
    this.#options = options;
  }

  /** Resolves when it listens or was closed; rejects when it cannot connect. */
  async start(): Promise<void> {
    try {
      await this.#connect();
    } catch (error) {
      if (!this.#isClosed) throw error;
    }
    if (this.#isClosed) return;
    this.#loop = startLoop({
      name: "listen",
      clock: this.#options.clock,
      round: () => this.#round(),
      // The loss was reported; that it lasts is no news.
      onError: () => undefined,
    });
  }

  quiet(isQuiet: boolean): void {
    this.#isQuiet = isQuiet;
    if (!isQuiet) this.#loop?.wake();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    // The session first: a round may be waiting for its answer.
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
    await this.#loop?.stop();
  }

  async #round(): Promise<number> {
    if (!this.#session) await this.#connect();
    else if (this.#isQuiet) return Number.POSITIVE_INFINITY;
    else await this.#session.ping();
    return PING_MS;
  }

  async #connect(): Promise<void> {
    const { handlers, channels, way } = this.#options;
    const session = new ListenSession(await way.connect(this.#closing.signal), this.#options, this);
    try {
      if (channels.length > 0) await session.query({ text: channels.map(listenTo).join("; ") });
      if (session.lostBy !== undefined) throw connectionLost(session.lostBy);
      // Inside of a transaction it would not hear anything before the commit.
      if (!session.isOutside) throw connectionLost(new Error("it was inside of a transaction"));
    } catch (error) {
      await session.close();
      throw error;
    }
    if (this.#isClosed) return session.close();
    this.#session = session;
    handlers.up(session);
  }

  notified(channel: string, payload: string): void {
    if (!this.#isClosed) this.#options.handlers.notified(channel, payload);
  }

  lost(session: ListenSession, error: unknown): void {
    if (session !== this.#session) return;
    this.#session = undefined;
    this.#options.handlers.down(error);
    this.#loop?.wake();
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }
}

/** What a listener needs. */
export interface PgListenerOptions extends SessionOptions {
  readonly channels: readonly string[];
  readonly handlers: ListenHandlers;
  readonly way: PgListenWay;
}

/** A server that has vanished without a word is noticed after at most twice this. */
const PING_MS = 10_000;

interface SessionWatcher {
  notified(channel: string, payload: string): void;
  /** Called once, unless the session was closed. */
  lost(session: ListenSession, error: unknown): void;
}

class ListenSession implements Executor {
  readonly #connection: PgListenClient;
  readonly #session: PgSession;
  readonly #clock: Clock;
  readonly #watcher: SessionWatcher;
  #underWay = 0;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #isOver = false;
  #lostBy: unknown;

  constructor(connection: PgListenClient, options: SessionOptions, watcher: SessionWatcher) {
    this.#connection = connection;
    this.#session = new PgSession(connection.client, options);
    this.#clock = options.clock;
    this.#watcher = watcher;
    // A client of an application's pool has it, too, if it is one of `pg`.
    const { connection: wire } = connection.client as PgClient & { readonly connection?: { stream?: WireStream } };
    wire?.stream?.setKeepAlive?.(true, KEEPALIVE_MS);
    connection.client.on("notification", ({ channel, payload = "" }) => {
      if (!this.#isOver) watcher.notified(channel, payload);
    });
    connection.client.on("error", (error) => this.#lose(error));
    connection.client.on("end", () => this.#lose(new Error("the server closed it")));
  }

  get lostBy(): unknown {
    return this.#lostBy;
  }

  get isOutside(): boolean {
    return this.#session.isOutside;
  }

  async query(query: Query): Promise<QueryResult> {
    this.#underWay += 1;
    try {
      const answer = await this.#session.query(query);
      this.#answeredAt = this.#clock.monotonic();
      return answer;
    } catch (error) {
      if (this.#session.brokenBy !== undefined) this.#lose(error);
      throw error;
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Asks the server for a sign of life, unless it owes an answer anyway or has just given one. */
  async ping(): Promise<void> {
    if (this.#underWay > 0 || this.#clock.monotonic() - this.#answeredAt < PING_MS) return;
    try {
      await this.query({ text: "select 1", timeoutMs: PING_MS });
    } catch (error) {
      this.#lose(error);
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#connection.close();
  }

  #lose(error: unknown): void {
    if (this.#isOver) return;
    this.#lostBy = this.#session.brokenBy ?? error;
    this.#session.discard(error);
    // No caller waits for the rest of a connection that is gone.
    void this.close();
    this.#watcher.lost(this, error);
  }
}

function listenTo(channel: string): string {
  return `listen ${quoteIdentifier(channel)}`;
}
