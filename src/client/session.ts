import type { AddTarget } from "../job/add/prepare-and-add.ts";
import type { KnownTasks } from "../job/add/job-entry.ts";
import { laneOfKey } from "../job/add/add-waits.ts";
import type { Executor, Query, QueryResult } from "../postgres/driver.ts";
import { patiently } from "../postgres/queries/patience.ts";
import type { Schema } from "../postgres/schema.ts";
import { toHowdahError } from "./database-error.ts";
import type { TransactionGuard } from "./transaction-guard.ts";

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
  /** Inside of a transaction: how statements that change something are sent; otherwise like those that read. */
  readonly changing?: Executor;
  /** Inside of a transaction: the same for changes that are sent in a later turn than that of this call. */
  readonly later?: AddTarget["later"];
}

/**
 * Runs statements that may have to wait for transactions of others, as changes
 * of jobs do: they keep no connection meanwhile. Those with the same job key
 * run in the order of their calls. Each has to begin with a value that
 * {@link patiently} can do with.
 */
export function changing(session: Session, jobKey?: string): Executor {
  const { waits } = session;
  if (!waits) return session.changing ?? session;
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

/** A {@link Session} on `executor`. Its errors have a code of ours. */
export function createSession(executor: Executor, rest: Omit<Session, "query">): Session {
  return { ...rest, ...explained(executor, rest.schema) };
}

/** A {@link Session} in a transaction of the application. */
export function createInnerSession(
  guard: TransactionGuard,
  rest: Pick<Session, "schema" | "tasks" | "hooks">,
): Session {
  return createSession(guard.reading, {
    ...rest,
    announcer: undefined,
    waits: undefined,
    changing: explained(guard.changing, rest.schema),
    later: () => explained(guard.later(), rest.schema),
  });
}

function explained(executor: Executor, schema: Schema): Executor {
  return {
    async query(query: Query): Promise<QueryResult> {
      try {
        return await executor.query(query);
      } catch (error) {
        throw toHowdahError(error, schema);
      }
    },
  };
}
