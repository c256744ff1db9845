import { HowdahError } from "../errors.ts";
import type { KnownTasks } from "../job/add/job-entry.ts";
import type { Executor, Query, QueryResult } from "../postgres/driver.ts";
import type { Schema } from "../postgres/schema.ts";
import { toHowdahError } from "./database-error.ts";

/** Where the methods of a client run their statements: its driver, or the transaction of a caller. */
export interface Session extends Executor {
  readonly schema: Schema;
  /** The tasks that may be added; `undefined` for any. */
  readonly tasks: KnownTasks | undefined;
}

/** Whether a client still answers; shared by everything that came from it. */
export class OpenState {
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
  }

  /** Throws `HOWDAH_CLIENT_CLOSED` after `close`. */
  check(): void {
    if (this.#closed) throw new HowdahError("HOWDAH_CLIENT_CLOSED", "The client was closed; create another one.");
  }
}

/** The same methods, which reject with `HOWDAH_CLIENT_CLOSED` once `open` has ended, whatever they are given. */
export function whileOpen<Methods extends object>(open: OpenState, methods: Methods): Methods {
  const guarded = Object.entries(methods as Record<string, (...given: unknown[]) => Promise<unknown>>).map(
    ([name, method]) => [
      name,
      async (...given: unknown[]) => {
        open.check();
        return method(...given);
      },
    ],
  );
  return Object.fromEntries(guarded) as Methods;
}

/** A {@link Session} on `executor` until `open` ends. Errors of PostgreSQL that users can act on get a code of ours. */
export function createSession(executor: Executor, context: Omit<Session, "query">, open: OpenState): Session {
  return {
    schema: context.schema,
    tasks: context.tasks,
    async query(query: Query): Promise<QueryResult> {
      open.check();
      try {
        return await executor.query(query);
      } catch (error) {
        throw toHowdahError(error, context.schema);
      }
    },
  };
}
