import type { AddTarget } from "../job/add/prepare-and-add.ts";
import type { KnownTasks } from "../job/add/job-entry.ts";
import { laneOfKey } from "../job/add/store-and-notify.ts";
import type { Executor, Query, QueryResult } from "../postgres/driver.ts";
import { patiently } from "../postgres/queries/patience.ts";
import type { Schema } from "../postgres/schema.ts";
import type { TransactionGuard } from "./transaction-guard.ts";

/** Where the methods of a client run their statements: its driver, or the transaction of a caller. */
export class Session implements Executor {
  readonly schema: Schema;
  /** The tasks that may be added; `undefined` for any. */
  readonly tasks: KnownTasks | undefined;
  /** Interceptors of what is added. */
  readonly hooks: AddTarget["hooks"];
  /** Notifies workers of adds after their commit; `undefined` inside of a transaction, which does that itself. */
  readonly announcer: AddTarget["announcer"];
  /** How adds wait for transactions of others; `undefined` inside of a transaction, which waits in its statement. */
  readonly waits: AddTarget["waits"];
  /** Inside of a transaction of a caller. */
  readonly guard: TransactionGuard | undefined;
  /** Runs lists and counts: by its own rules outside of a transaction of a caller, and like all else inside. */
  readonly reads: Executor;
  /** The same, never on a replica. */
  readonly primaryReads: Executor;
  readonly #executor: Executor;

  constructor({ executor, schema, tasks, hooks, announcer, waits, guard, reads, primaryReads }: SessionParts) {
    this.#executor = executor;
    this.schema = schema;
    this.tasks = tasks;
    this.hooks = hooks;
    this.announcer = announcer;
    this.waits = waits;
    this.guard = guard;
    this.reads = reads ?? this;
    this.primaryReads = primaryReads ?? this;
  }

  /** Runs what only reads, and what changes something and waits for no transaction of others. */
  query(query: Query): Promise<QueryResult> {
    return this.#executor.query(query);
  }

  /** Runs what changes something, without waiting for transactions of others first. */
  get changing(): Executor {
    return this.guard?.changing ?? this;
  }
}

/** What a {@link Session} is made of. */
export interface SessionParts
  extends
    Pick<Session, "schema" | "tasks" | "hooks">,
    Partial<Pick<Session, "announcer" | "waits" | "guard" | "reads" | "primaryReads">> {
  /** Runs what only reads; outside of a transaction of a caller also what changes something. */
  readonly executor: Executor;
}

/**
 * Runs statements that may have to wait for transactions of others, as changes
 * of jobs do: they keep no connection meanwhile. Those with the same job key
 * run in the order of their calls. Each has to begin with a value that
 * {@link patiently} can do with.
 */
export function changing(session: Session, jobKey?: string): Executor {
  const { waits } = session;
  if (!waits) return session.changing;
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
