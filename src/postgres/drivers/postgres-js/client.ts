import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../../runtime/clock.ts";
import type { WireClient } from "../connection-settings.ts";
import type { PgAnswer, PgStatement } from "../pg-statement.ts";
import { openSocket, type SocketTarget } from "./socket.ts";
import { WireTap } from "./wire-tap.ts";

/**
 * One connection of postgres.js, as a client of `pg`.
 *
 * postgres.js keeps its connections to itself: one cannot be ended, and the
 * process ends when a statement is sent on one that was lost. So each connection
 * is an instance of its own with `max: 1`, over a stream that is made here. That
 * says when it is lost, from when on nothing is given to postgres.js any more, and
 * it can be destroyed. What postgres.js does not tell of an answer is read along.
 */
export class PostgresJsClient extends EventEmitter implements WireClient {
  readonly connection = {
    stream: {
      destroy: (): void => this.#cutOff(),
      setKeepAlive: (isOn: boolean, initialDelayMs: number): void => {
        for (const stream of this.#streams) (stream as Partial<Socket>).setKeepAlive?.(isOn, initialDelayMs);
      },
    },
  };
  readonly #settings: PostgresJsSettings;
  readonly #tap = new WireTap();
  readonly #sql: PostgresJs;
  readonly #streams: Duplex[] = [];
  /** The end of the statement that was sent last: one at a time. */
  #last: Promise<unknown> = Promise.resolve();
  #underWay = 0;
  #reject: ((error: unknown) => void) | undefined;
  #isConnected = false;
  #failure: unknown;
  #lostBy: Error | undefined;
  /** A pool of `pg` asks for both. */
  _ending = false;
  _queryable = true;

  constructor(postgres: CreatePostgresJs, settings: PostgresJsSettings) {
    super();
    this.#settings = settings;
    this.#sql = postgres({
      ...settings.options,
      ...ALONE,
      socket: () => this.#open(),
      onnotify: (channel: string, payload: string) => this.emit("notification", { channel, payload }),
    });
  }

  connect(tell: (error?: unknown) => void): void {
    void this.#connectAndTell(tell);
  }

  query(statement: PgStatement): Promise<PgAnswer> {
    this.#underWay += 1;
    const answer = this.#last
      .then(() => this.#send(statement))
      .finally(() => {
        this.#underWay -= 1;
      });
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  getTransactionStatus(): string | undefined {
    return this.#tap.status;
  }

  get readyForQuery(): boolean {
    return this.#underWay === 0;
  }

  async end(tell?: () => void): Promise<void> {
    this._ending = true;
    const ended = new Promise<void>((resolve) => {
      if (this.#lostBy || this.#streams.length === 0) resolve();
      else this.once("end", resolve);
    });
    if (this.#underWay > 0 || !this._queryable) this.#destroy();
    else this.#streams.at(-1)?.end(GOODBYE);
    await ended;
    tell?.();
  }

  /** From now on the connection does not keep the process from its end. */
  unref(): void {
    for (const stream of this.#streams) (stream as Partial<Socket>).unref?.();
  }

  /** From now on it does. */
  ref(): void {
    for (const stream of this.#streams) (stream as Partial<Socket>).ref?.();
  }

  async #connectAndTell(tell: (error?: unknown) => void): Promise<void> {
    const { clock, timeoutMs } = this.#settings;
    const timer = clock.setTimer(timeoutMs, () => {
      this.#failure ??= new Error("timeout expired");
      this.#cutOff();
    });
    try {
      await this.query({ text: "select 1" });
    } catch (error) {
      this.#destroy();
      return tell(this.#failure ?? error);
    } finally {
      timer.cancel();
    }
    this.#isConnected = true;
    tell();
  }

  async #send({ text, values, name }: PgStatement): Promise<PgAnswer> {
    // In this very run of microtasks postgres.js gives it to the connection, which is not lost in between.
    if (this.#lostBy) throw this.#lostBy;
    const isSimple = values === undefined && name === undefined;
    const answered = await new Promise<PostgresJsAnswer>((resolve, reject) => {
      this.#reject = reject;
      this.#sql
        .unsafe(text, (values ?? []) as (string | null)[], { prepare: name !== undefined, simple: isSimple })
        .values()
        .then(resolve, reject);
    });
    // Where a statement of several had no columns, postgres.js has its answer in that of the one before.
    const { tag, rows } = this.#tap;
    const last = (isManyAnswers(answered) ? answered.at(-1) : answered) ?? [];
    const count = /\d+$/.exec(tag)?.[0];
    return {
      command: tag.split(" ", 1)[0] ?? "",
      rowCount: count === undefined ? null : Number(count),
      rows: rows === 0 ? [] : last.slice(-rows),
    };
  }

  /** Makes the stream; a second time only after the first was closed at once. */
  async #open(): Promise<Duplex> {
    if (this.#lostBy) throw this.#lostBy;
    if (this.#streams.length > 0) throw new Error("Connection terminated unexpectedly", { cause: this.#failure });
    const stream = await openSocket(this.#settings.target, (opened) => this.#watch(opened)).catch((error: unknown) => {
      this.#failure ??= error;
      throw error;
    });
    stream.on("data", this.#tap.read);
    return stream;
  }

  #watch(stream: Duplex): void {
    this.#streams.push(stream);
    stream.on("error", (error) => {
      this.#failure ??= error;
    });
    stream.once("close", () => this.#lose());
    if (this.#lostBy) stream.destroy();
  }

  #lose(): void {
    if (this.#lostBy) return;
    const words = this._ending ? "Connection terminated" : "Connection terminated unexpectedly";
    const error = new Error(words, { cause: this.#failure });
    this.#lostBy = error;
    this._queryable = false;
    this.#reject?.(error);
    if (!this._ending && this.#isConnected) this.emit("error", error);
    process.nextTick(() => this.emit("end"));
  }

  /** Also before there is a stream. */
  #cutOff(): void {
    this.#destroy();
    this.#lose();
  }

  #destroy(): void {
    const error = new Error("Connection terminated", { cause: this.#failure });
    for (const stream of this.#streams) stream.destroy(error);
  }
}

/** How one connection is made. */
export interface PostgresJsSettings {
  /** What postgres.js is told. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly target: SocketTarget;
  /** How long connecting may take. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** The function that postgres.js is. */
export type CreatePostgresJs = (options: Readonly<Record<string, unknown>>) => PostgresJs;

/** What is used of an instance of postgres.js. */
export interface PostgresJs {
  unsafe(
    text: string,
    values: (string | null)[],
    options: { readonly prepare: boolean; readonly simple: boolean },
  ): { values(): PromiseLike<PostgresJsAnswer> };
  /** What it was made with, read. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Rows, or those of several statements. */
type PostgresJsAnswer = unknown[] | unknown[][];

function asItIs(value: string): string {
  return value;
}

/** The types that postgres.js would read and write: they stay text. */
const TEXT = {
  to: 25,
  from: [16, 17, 20, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802],
  serialize: asItIs,
  parse: asItIs,
};

/** One connection, for as long as it lasts, which changes no values. */
const ALONE = {
  // Read anew.
  shared: undefined,
  no_subscribe: true,
  max: 1,
  idle_timeout: null,
  max_lifetime: null,
  connect_timeout: null,
  fetch_types: false,
  target_session_attrs: null,
  // The stream is already what it has to be.
  ssl: false,
  sslnegotiation: null,
  path: undefined,
  debug: false,
  types: { text: TEXT },
  transform: { undefined },
  onnotice: (): void => undefined,
  onclose: (): void => undefined,
  onparameter: undefined,
};

/** Each answer of several is one of postgres.js, which has a `count`. */
function isManyAnswers(answer: PostgresJsAnswer): answer is unknown[][] {
  return !("count" in answer);
}

/** The message that ends a session. */
const GOODBYE = Buffer.from([88, 0, 0, 0, 4]);
