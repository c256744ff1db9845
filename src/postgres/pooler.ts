import { HowdahError } from "../errors.ts";
import { ownMessage } from "../runtime/error-message.ts";
import { sqlStateOf } from "./sqlstate.ts";

/**
 * The error that names a transaction pooler and the options for it, when a
 * statement failed because prepared statements do not stay with their
 * connection; `undefined` for any other error. A pooler says it itself (08P01),
 * or the server behind it does, which also says that the values do not fit when
 * the name stands for a statement of another program.
 */
export function poolerError(error: unknown): HowdahError | undefined {
  const state = sqlStateOf(error);
  const said = ownMessage(error);
  const isLost = LOST_STATEMENT_STATES.has(state ?? "") || (state === "08P01" && /prepared statement/i.test(said));
  if (!isLost) return undefined;
  return new HowdahError(
    "HOWDAH_TRANSACTION_POOLER",
    `Prepared statements do not stay with their connection, as behind a transaction pooler (${said}): ` +
      "set `preparedStatements: false`, and give a worker a `listenConnectionString` that leads past the pooler.",
    error,
  );
}

/** The error of a session on which nothing arrives that is sent to it. */
export function deafError(): HowdahError {
  return new HowdahError(
    "HOWDAH_TRANSACTION_POOLER",
    "Nothing arrives on the session that this worker listens on, as behind a transaction pooler: it polls for jobs, " +
      "cancellations and pauses, and others watch its heartbeats alone. " +
      "Give it a `listenConnectionString` that leads past the pooler, or set `useNotificationDelivery: false`.",
  );
}

/** A prepared statement is not there, or is there already. */
const LOST_STATEMENT_STATES = new Set(["26000", "42P05"]);
