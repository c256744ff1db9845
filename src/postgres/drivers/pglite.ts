import { HowdahError } from "../../errors.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import { describeValue } from "../../runtime/describe-value.ts";
import type { Duration } from "../../runtime/duration.ts";
import { duration, object } from "../../runtime/option-kinds.ts";
import { readOptions } from "../../runtime/options.ts";
import type { Driver } from "../driver.ts";
import { PGliteDriver } from "./pglite/driver.ts";
import type { PGliteDatabase } from "./pglite/session.ts";
export type { PGliteAnswer, PGliteDatabase, PGliteExecutor, PGliteQueryOptions } from "./pglite/session.ts";

/**
 * The driver over PGlite, a PostgreSQL inside of this process. `db` is an
 * instance of the application, which stays the application's to close. Throws
 * `HOWDAH_OPTION_UNKNOWN` and `HOWDAH_OPTION_INVALID`.
 *
 * PGlite has one connection, which the application, clients, workers and their
 * handlers share: what one of them does in a transaction, the others wait for.
 * A wait for longer than `connectTimeout` rejects with
 * `HOWDAH_CONNECTIONS_EXHAUSTED`, or, where the application holds the connection
 * with a transaction of its own, with `HOWDAH_QUERY_TIMEOUT`. A statement that
 * has begun is waited for: nothing can stop it.
 *
 * Transactions of `db.transaction` go to `client.inTransaction` and `context.complete`.
 */
export function pgliteDriver(db: PGliteDatabase, options: PGliteDriverOptions = {}): Driver {
  const read = readOptions("driver", options, {
    connectTimeout: duration({ min: 1, default: "10s" }),
    statementTimeout: duration({ default: "30s" }),
    clock: object<Clock>(["now", "monotonic", "setTimer", "sleep"]),
  });
  if (!isDatabase(db))
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `pgliteDriver() takes a database of PGlite, as \`await PGlite.create()\` returns it, found ${describeValue(db)}.`,
    );
  const { connectTimeoutMs, statementTimeoutMs, clock = systemClock } = read;
  return new PGliteDriver({ db, clock, connectTimeoutMs, statementTimeoutMs });
}

/** What the driver over PGlite can be told. */
export interface PGliteDriverOptions {
  /** How long to wait for the connection while clients, workers and handlers use it. Default 10s. */
  connectTimeout?: Duration | undefined;
  /** How long to wait for the answer to a statement unless it says otherwise; 0 means for ever. Default 30s. */
  statementTimeout?: Duration | undefined;
  /** The source of time. Default: the machine's. */
  clock?: Clock | undefined;
}

/** A transaction of PGlite has a `rollback`. */
function isDatabase(given: Partial<PGliteDatabase> | null | undefined): given is PGliteDatabase {
  const methods = [given?.query, given?.exec, given?.transaction, given?.onNotification];
  return methods.every((method) => typeof method === "function") && !("rollback" in (given as object));
}
