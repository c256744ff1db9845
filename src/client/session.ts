import type { AddTarget } from "../job/add/add-jobs.ts";
import type { KnownTasks } from "../job/add/job-entry.ts";
import { laneOfKey } from "../job/add/add-waits.ts";
import type { Executor, Query, QueryResult } from "../postgres/driver.ts";
import { patiently } from "../postgres/queries/patience.ts";
import type { Schema } from "../postgres/schema.ts";
import { toHowdahError } from "./database-error.ts";

/** Where the methods of a client run their statements: its driver, or the transaction of a caller. */
export interface Session extends Executor {
  readonly schema: Schema;
  /** The tasks that may be added; `undefined` for any. */
  readonly tasks: KnownTasks | undefined;
  /** Tells workers of adds after their commit; `undefined` inside of a transaction, which tells them itself. */
  readonly announcer: AddTarget["announcer"];
  /** Those who have a say in what is added. */
  readonly hooks: AddTarget["hooks"];
  /** How adds wait for transactions of others; `undefined` inside of a transaction, which waits in its statement. */
  readonly waits: AddTarget["waits"];
}

/**
 * Runs statements that may have to wait for transactions of others, as changes
 * of jobs do: they keep no connection meanwhile. Those with the same job key
 * run in the order of their calls. Each has to begin with a value that
 * {@link patiently} can do with.
 */
export function changing(session: Session, jobKey?: string): Executor {
  const { waits } = session;
  if (!waits) return session;
  const lanes = jobKey === undefined ? {} : { inOrder: [laneOfKey(jobKey)] };
  return {
    query: (query) =>
      waits.lanes.run({
        lanes,
        attempt: ({ isRepeated, patienceMs }) =>
          (isRepeated ? waits.executor : session).query(patiently(query, patienceMs)),
      }),
  };
}

/** A {@link Session} on `executor`. Errors of PostgreSQL that users can act on get a code of ours. */
export function createSession(executor: Executor, rest: Omit<Session, "query">): Session {
  return {
    ...rest,
    async query(query: Query): Promise<QueryResult> {
      try {
        return await executor.query(query);
      } catch (error) {
        throw toHowdahError(error, rest.schema);
      }
    },
  };
}
