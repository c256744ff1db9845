import type { Executor, Query, QueryResult } from "../driver.ts";
import { isChangedResult } from "../sqlstate.ts";
import type { PgQueryable } from "./pg-session.ts";
import {
  lastAnswer,
  type PgAnswer,
  type PgStatement,
  renameStatement,
  sendAsText,
  toPgStatement,
  toQueryResult,
} from "./pg-statement.ts";

/** How statements go through a client of the application. */
export interface ExecutorOptions {
  /** Switch off behind a transaction pooler. Default true. */
  preparedStatements?: boolean | undefined;
}

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
        // This transaction has failed; the next one on this connection shall not.
        if (isChangedResult(error)) renameStatement(query, statement.name);
        throw error;
      }
    },
  };
}

interface Anything {
  query(statement: PgStatement & Pick<Query, "timeoutMs">): Promise<QueryResult | PgAnswer | PgAnswer[]>;
}

function isQueryResult(answer: QueryResult | PgAnswer | PgAnswer[]): answer is QueryResult {
  return "count" in answer;
}
