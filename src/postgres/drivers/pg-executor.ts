import type { CallerTransaction, Executor, Query, QueryResult } from "../driver.ts";
import { isChangedResult } from "../sqlstate.ts";
import type { PgQueryable } from "./pg-client.ts";
import {
  lastAnswer,
  type PgAnswer,
  type PgStatement,
  renameStatement,
  sendAsText,
  toPgStatement,
  toQueryResult,
} from "./pg-statement.ts";

/**
 * Makes an {@link Executor} of what the application has a transaction on: a
 * client of `pg`, or anything else with its `query`, or an {@link Executor}.
 * Values stay text, whatever type parsers the client has. `timeoutMs` is kept
 * by an {@link Executor} only: the connection of a client is not ours to end.
 */
export function executorOf(client: PgQueryable | Executor, options: ExecutorOptions = {}): Executor {
  const { preparedStatements = true } = options;
  return {
    async query(query: Query): Promise<QueryResult> {
      // An executor ignores what only `pg` knows, and the other way round.
      const statement = { ...toPgStatement(query, preparedStatements), timeoutMs: query.timeoutMs };
      try {
        const answer = await sendAsText(client as Anything, statement);
        return isQueryResult(answer) ? answer : toQueryResult(lastAnswer(answer));
      } catch (error) {
        // This transaction has failed; the next one on this connection must not.
        if (isChangedResult(error)) renameStatement(query, statement.name);
        throw error;
      }
    },
  };
}

/** How statements go through a client of the application. */
export interface ExecutorOptions {
  /** Switch off behind a transaction pooler. Default true. */
  preparedStatements?: boolean | undefined;
}

/** The transaction on a client of `pg`, or on anything else with its `query`; `undefined` for what has none. */
export function pgTransaction(given: unknown): CallerTransaction | undefined {
  const hasQuery = typeof (given as Partial<Executor> | null | undefined)?.query === "function";
  return hasQuery ? new PgCallerTransaction(given as PgQueryable | Executor) : undefined;
}

class PgCallerTransaction implements CallerTransaction {
  readonly #client: TellingState;
  readonly #executor: Executor;

  constructor(client: PgQueryable | Executor) {
    this.#client = client as TellingState;
    this.#executor = executorOf(client, { preparedStatements: false });
  }

  /** A client that tells that none has begun may have sent the `BEGIN` already. */
  get isOpen(): boolean | undefined {
    const client = this.#client;
    if (!client.getTransactionStatus) return client.isOpen;
    const state = client.getTransactionStatus();
    // In one that has failed PostgreSQL refuses what is sent.
    return state === "T" || state === "E";
  }

  query(query: Query): Promise<QueryResult> {
    return this.#executor.query(query);
  }
}

/** What clients of `pg` since 8.20 tell ("I" for no transaction, "T" for one, "E" for one that has failed), and what our own transactions do. */
interface TellingState extends Partial<Pick<CallerTransaction, "isOpen">> {
  getTransactionStatus?(): unknown;
}

interface Anything {
  query(statement: PgStatement & Pick<Query, "timeoutMs">): Promise<QueryResult | PgAnswer | PgAnswer[]>;
}

function isQueryResult(answer: QueryResult | PgAnswer | PgAnswer[]): answer is QueryResult {
  return "count" in answer;
}
