import { HowdahError } from "../../../errors.ts";
import type { Clock } from "../../../runtime/clock.ts";
import type {
  Driver,
  DriverCapabilities,
  DriverShare,
  Executor,
  Listening,
  ListenHandlers,
  Query,
  QueryResult,
  ShareName,
} from "../../driver.ts";
import { type Deadline, type Waiter, withDeadline } from "../deadline.ts";
import { PGliteListener } from "./listener.ts";
import { type PGliteDatabase, PGliteSession } from "./session.ts";
import { inPGliteTransaction } from "./transaction.ts";
import { leftOpen } from "../pg-share.ts";
import { Turns } from "../turns.ts";

/** The driver over PGlite: one connection, on which statements and transactions take turns. */
export class PGliteDriver implements Driver, Waiter {
  readonly capabilities: DriverCapabilities = { listen: true, connections: 1, inProcess: true };
  readonly #parts: PGliteDriverParts;
  readonly #session: PGliteSession;
  readonly #turns: Turns;
  readonly #listeners = new Set<PGliteListener>();
  #closed: Promise<void> | undefined;

  constructor(parts: PGliteDriverParts) {
    const { db, clock, connectTimeoutMs: timeoutMs } = parts;
    this.#parts = parts;
    this.#session = new PGliteSession(db);
    this.#turns = new Turns({ clock, limit: 1, timeoutMs, waiter: { overdue: exhausted } });
  }

  query(query: Query): Promise<QueryResult> {
    return this.#inTurn(() => this.#answered(query));
  }

  transaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const { clock, connectTimeoutMs: timeoutMs } = this.#parts;
      const deadline = new BeginDeadline();
      const { begun, done } = inPGliteTransaction(this.#session, work, deadline);
      await withDeadline(begun, { clock, timeoutMs, waiter: deadline });
      return done;
    });
  }

  share(name: ShareName): DriverShare {
    return name === "handlers" ? new HandlersShare(this, (query) => this.#handled(query)) : new WholeShare(this);
  }

  async listen(channels: readonly string[], handlers: ListenHandlers): Promise<Listening> {
    this.#checkOpen();
    const listener = new PGliteListener({ db: this.#parts.db, executor: this, channels, handlers });
    this.#listeners.add(listener);
    await listener.start();
    return {
      close: () => {
        this.#listeners.delete(listener);
        return listener.close();
      },
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#turns.settled();
    await Promise.all(Array.from(this.#listeners, (listener) => listener.close(this.#session)));
  }

  overdue({ timeoutMs }: Pick<Deadline, "timeoutMs">): HowdahError {
    return new HowdahError(
      "HOWDAH_QUERY_TIMEOUT",
      `PGlite did not run the statement within ${timeoutMs} ms. ${ADVICE}`,
    );
  }

  /** A statement of a handler, which may be several, and may hold a whole transaction, but not a part of one. */
  #handled(query: Query): Promise<QueryResult> {
    return this.#inTurn(async () => {
      let failure: unknown;
      try {
        const answer = await this.#answered(query);
        if (!this.#session.isLeftOpenBy(query)) return answer;
      } catch (error) {
        if (!this.#session.isLeftOpenBy(query)) throw error;
        failure = error;
      }
      await this.#session.query({ text: "rollback" });
      throw leftOpen(failure);
    });
  }

  #answered(query: Query): Promise<QueryResult> {
    const { clock, statementTimeoutMs } = this.#parts;
    const timeoutMs = query.timeoutMs ?? statementTimeoutMs;
    const answer = this.#session.prepare().then(() => this.#session.query(query));
    return withDeadline(answer, { clock, timeoutMs, waiter: this });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const turn = this.#turns.take();
    if (turn) await turn;
    try {
      return await work();
    } finally {
      this.#turns.give();
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The database driver was closed.");
  }
}

/** What the driver is made of, read and checked. */
export interface PGliteDriverParts {
  readonly db: PGliteDatabase;
  readonly clock: Clock;
  /** How long to wait for a turn, and for transactions of the application. */
  readonly connectTimeoutMs: number;
  /** How long to wait for an answer; 0 means for ever. */
  readonly statementTimeoutMs: number;
}

/** The one connection, for whatever. */
class WholeShare implements DriverShare {
  readonly connections = 1;
  protected readonly driver: PGliteDriver;

  constructor(driver: PGliteDriver) {
    this.driver = driver;
  }

  query(query: Query): Promise<QueryResult> {
    return this.driver.query(query);
  }

  transaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T> {
    return this.driver.transaction(work);
  }
}

/** The one connection, for handlers. */
class HandlersShare extends WholeShare {
  readonly #query: Executor["query"];

  constructor(driver: PGliteDriver, query: Executor["query"]) {
    super(driver);
    this.#query = query;
  }

  override query(query: Query): Promise<QueryResult> {
    return this.#query(query);
  }
}

/** The wait for a transaction of our own to begin. */
class BeginDeadline implements Waiter {
  /** True when the wait is over: what begins now ends at once. */
  isOver = false;

  overdue({ timeoutMs }: Pick<Deadline, "timeoutMs">): HowdahError {
    this.isOver = true;
    return new HowdahError(
      "HOWDAH_CONNECTIONS_EXHAUSTED",
      `No transaction began within ${timeoutMs} ms, because the application has one open. ${ADVICE}`,
    );
  }
}

function exhausted({ timeoutMs }: Pick<Deadline, "timeoutMs">): HowdahError {
  return new HowdahError(
    "HOWDAH_CONNECTIONS_EXHAUSTED",
    `The one connection of PGlite did not become free within ${timeoutMs} ms. A handler that calls \`query\` inside of ` +
      "`withTransaction` waits for itself: call the transaction's own `query`.",
  );
}

const ADVICE =
  "PGlite has one connection, which a transaction of the application keeps until its end: inside of `db.transaction` " +
  "use `client.inTransaction(tx)`.";
