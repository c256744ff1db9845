import { HowdahError } from "../../errors.ts";
import type { DriverShare, Executor, Query, QueryResult } from "../driver.ts";
import { isConnectionSuspect, isStalePlan } from "../sqlstate.ts";
import { allLeftOpen, MAX_TRIES, type PgLending } from "./pg-lending.ts";
import type { PgPoolClient } from "./pg-pool.ts";
import { type PgSession, UNDONE } from "./pg-session.ts";
import { inPgTransaction } from "./pg-transaction.ts";
import type { PoolWarnings } from "./pool-warnings.ts";

/** The connections that the engine uses: no answer counts that was given inside of a transaction that is not ours. */
export class PgShare implements DriverShare {
  protected readonly options: PgShareOptions;

  constructor(options: PgShareOptions) {
    this.options = options;
  }

  get connections(): number {
    return this.options.lending.limit;
  }

  query(query: Query): Promise<QueryResult> {
    return this.untilOurs(async (session) => {
      try {
        return await (session.isPlain ? session.alone(query) : runAlone(session, query));
      } catch (error) {
        if (await forgetPlans(session, error)) return runAnew(session, query);
        throw error;
      }
    });
  }

  transaction<T>(work: (transaction: Executor) => Promise<T>): Promise<T> {
    return this.untilOurs(async (session) => {
      try {
        return await runInTransaction(session, work);
      } catch (error) {
        // It cannot be repeated here; the next one on this connection finds fresh plans.
        await forgetPlans(session, error);
        throw error;
      }
    });
  }

  /** Takes a client that is not lent again: the caller releases it. */
  take(): Promise<PgPoolClient> {
    return this.options.lending.take();
  }

  /** Takes another connection as long as `work` was undone, or not begun, because of a transaction that is not ours. */
  protected async untilOurs<T>(work: (session: PgSession) => Promise<T | typeof UNDONE>): Promise<T> {
    const { lending, driver, warnings } = this.options;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      driver.checkOpen();
      const answer = await lending.hold(work);
      if (answer !== UNDONE) return answer;
      warnings.foundInside();
    }
    throw allLeftOpen();
  }
}

/** What a share needs. */
export interface PgShareOptions {
  readonly lending: PgLending;
  /** Refuses what comes after its end. */
  readonly driver: Closable;
  readonly warnings: PoolWarnings;
}

/** What throws `HOWDAH_CLIENT_CLOSED` once it is closed. */
export interface Closable {
  checkOpen(): void;
}

/** The connections that handlers use: a statement that leaves a transaction open is undone, and rejects. */
export class PgHandlersShare extends PgShare {
  readonly #closesAfter: boolean;

  constructor(options: PgHandlersShareOptions) {
    super(options);
    this.#closesAfter = options.closesAfter;
  }

  override query(query: Query): Promise<QueryResult> {
    return this.untilOurs((session) => runAndLeave(session, query));
  }

  protected override untilOurs<T>(work: (session: PgSession) => Promise<T | typeof UNDONE>): Promise<T> {
    const workAtRest = async (session: PgSession): Promise<T | typeof UNDONE> => {
      if (!(await session.isAtRest())) return undone(session);
      session.endSetUp();
      return work(session);
    };
    if (!this.#closesAfter) return super.untilOurs(workAtRest);
    return super.untilOurs((session) =>
      workAtRest(session).finally(() => session.discard(new Error("a handler has used it"))),
    );
  }
}

/** What the share of handlers needs. */
export interface PgHandlersShareOptions extends PgShareOptions {
  /** Closes each connection that a handler has used, because there is none apart from the engine's. */
  readonly closesAfter: boolean;
}

async function runAlone(session: PgSession, query: Query): Promise<QueryResult | typeof UNDONE> {
  if (session.isPlain === undefined) {
    if (!(await session.isAtRest())) return undone(session);
    await session.askWhetherPlain();
  }
  if (session.isPlain) return session.alone(query);
  return runInTransaction(session, (transaction) => transaction.query(query));
}

/**
 * Lets the session plan everything anew when `error` may be that of a stale plan.
 * Resolves to true when it will: what was refused has changed nothing, and can be
 * sent again; refused with fresh plans, it will always be refused. Never rejects.
 *
 * Every session keeps plans, of prepared statements and inside of functions.
 * After a column was added or a function replaced, some of them may fail until
 * the session ends or is told to forget them.
 */
async function forgetPlans(session: PgSession, error: unknown): Promise<boolean> {
  if (!isStalePlan(error) || session.brokenBy !== undefined) return false;
  return session.query({ text: "discard plans" }).then(
    () => true,
    () => false,
  );
}

/** What is refused with fresh plans, too, may be the fault of the connection. */
async function runAnew(session: PgSession, query: Query): Promise<QueryResult | typeof UNDONE> {
  try {
    return await runAlone(session, query);
  } catch (error) {
    if (query.name !== undefined && isConnectionSuspect(error)) session.discard(error);
    throw error;
  }
}

/** Begins nothing inside of a transaction that is not ours, whose work the commit would then commit. */
async function runInTransaction<T>(
  session: PgSession,
  work: (transaction: Executor) => Promise<T>,
): Promise<T | typeof UNDONE> {
  return (await session.isAtRest()) ? inPgTransaction(session, work) : undone(session);
}

/** Runs a statement of a handler, which may be several, and may hold a whole transaction, but not a part of one. */
async function runAndLeave(session: PgSession, query: Query): Promise<QueryResult> {
  let answer: QueryResult | undefined;
  let failure: unknown;
  try {
    answer = await session.query(query);
  } catch (error) {
    failure = error;
  }
  if (session.brokenBy === undefined && !(await session.isAtRest())) {
    await session.query({ text: "rollback" }).catch(() => undefined);
    session.discard(new Error("a transaction was left open"));
    throw leftOpen(failure);
  }
  if (answer === undefined) throw failure;
  return answer;
}

function undone(session: PgSession): typeof UNDONE {
  session.discard(new Error("it was inside of a transaction"));
  return UNDONE;
}

/** The error of a statement of a handler that left a transaction open, for the reason that is given if it failed. */
export function leftOpen(cause: unknown): HowdahError {
  return new HowdahError(
    "HOWDAH_TRANSACTION_LEFT_OPEN",
    "This statement left a transaction open, which was rolled back: each `query` may run on another connection. " +
      "Use `withTransaction`, whose statements share one, or send the transaction whole, in one text.",
    cause,
  );
}
