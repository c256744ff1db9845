import { HowdahError } from "../../errors.ts";
import { isConnectionLoss, isTransient, sqlStateOf } from "../sqlstate.ts";
import type { PgPool, PgPoolClient } from "./pg-pool.ts";

/**
 * Takes a client out of a pool. A pool of `pg` stops listening to the errors of a
 * client when it lends it, and the promise of it is heard when all has been read
 * that came in one piece with the answer before. The end of the connection may be
 * in the same piece, and an error without a listener ends the process. So the
 * client gets a listener in the callback, which comes at once, until the promise
 * is heard; what fails in between shows up again for the first statement.
 */
export async function takeClient(pool: PgPool): Promise<PgPoolClient> {
  const client = await new Promise<PgPoolClient>((resolve, reject) => {
    const lent = (client: PgPoolClient): void => {
      client.on("error", ignore);
      resolve(client);
    };
    const promise = (pool as CallingPool).connect((error, client) => (client ? lent(client) : reject(error)));
    if (promise) promise.then(lent, reject);
  });
  // The caller that awaits this listens before anything more is read.
  client.removeListener("error", ignore);
  return client;
}

/** A pool of `pg` calls back; wrappers that know no callback return a promise. */
interface CallingPool {
  connect(callback: (error: Error | undefined, client?: PgPoolClient) => void): Promise<PgPoolClient> | undefined;
}

function ignore(): void {}

/**
 * The error of a connection that did not come about. What the server said
 * itself stays as it is, unless it reads as if a statement had been under way.
 */
export function unreachable(reason: unknown): unknown {
  if (reason instanceof HowdahError) return reason;
  if (sqlStateOf(reason) !== undefined && !isConnectionLoss(reason)) return reason;
  const { message, code } = reason as { message?: string; code?: string };
  if (!isTransient(reason) && !/time|terminated/i.test(message ?? "")) return reason;
  const found = message === undefined || message === "" ? code : message;
  return new HowdahError("HOWDAH_DATABASE_UNREACHABLE", `The database could not be reached: ${found}`, reason);
}
