import pg from "pg";
import { waitAtMost } from "./deadline.ts";
import { unreachable } from "./pg-lending.ts";
import type { PgListenClient } from "./pg-listener.ts";
import { clientConfig, type ConnectionSettings, GOODBYE_MS, type PgPoolClient, prepareSession } from "./pg-pool.ts";

/** Makes a connection of our own to listen on. Gives up at once when the signal is aborted. */
export async function openListenClient(settings: ConnectionSettings, signal: AbortSignal): Promise<PgListenClient> {
  const client = new pg.Client(clientConfig(settings));
  const destroy = (): unknown => (client as unknown as WithSocket).connection.stream.destroy();
  // An error after the end has nobody left to tell, and would end the process.
  client.on("error", () => undefined);
  signal.addEventListener("abort", destroy, { once: true });
  try {
    signal.throwIfAborted();
    await client.connect();
    await prepareSession(client, settings);
  } catch (error) {
    destroy();
    throw unreachable(error);
  } finally {
    signal.removeEventListener("abort", destroy);
  }
  return {
    client,
    async close() {
      await waitAtMost(GOODBYE_MS, client.end(), settings.clock);
      destroy();
    },
  };
}

/** Takes a connection out of a pool to listen on; it does not go back. Gives up at once when the signal is aborted. */
export async function takeListenClient(
  pool: { take(): Promise<PgPoolClient> },
  signal: AbortSignal,
): Promise<PgListenClient> {
  const taking = pool.take();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  try {
    signal.throwIfAborted();
    const client = await Promise.race([taking, aborted]);
    let isOut = true;
    return {
      client,
      close() {
        if (isOut) client.release(true);
        isOut = false;
        return Promise.resolve();
      },
    };
  } catch (error) {
    void taking.then(
      (client) => client.release(true),
      () => undefined,
    );
    throw error;
  }
}

/** What `pg` has no method for: ending a connection that has not come about. */
interface WithSocket {
  readonly connection: { readonly stream: { destroy(): unknown } };
}
