import pg from "pg";
import { waitAtMost } from "./deadline.ts";
import type { PgClient } from "./pg-client.ts";
import { clientConfig, type ConnectionSettings, GOODBYE_MS, type PgPoolClient, prepareSession } from "./pg-pool.ts";
import { unreachable } from "./take-client.ts";

/** The way to a connection that a driver listens on. */
export interface PgListenWay {
  /** Connects; gives up at once when the signal is aborted. */
  connect(signal: AbortSignal): Promise<PgListenClient>;
}

/** A connection that a driver listens on. */
export interface PgListenClient {
  readonly client: PgClient;
  /** Ends the connection, at once if it does not answer. */
  close(): Promise<void>;
}

/** Makes a connection of our own. */
export class OwnListenWay implements PgListenWay {
  readonly #settings: ConnectionSettings;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  async connect(signal: AbortSignal): Promise<PgListenClient> {
    const client = new pg.Client(clientConfig(this.#settings));
    const destroy = (): unknown => (client as unknown as WithSocket).connection.stream.destroy();
    // An error after the end concerns no caller any more, and would end the process.
    client.on("error", () => undefined);
    signal.addEventListener("abort", destroy, { once: true });
    try {
      signal.throwIfAborted();
      await client.connect();
      await prepareSession(client, this.#settings);
    } catch (error) {
      destroy();
      throw unreachable(error);
    } finally {
      signal.removeEventListener("abort", destroy);
    }
    const { clock } = this.#settings;
    return {
      client,
      async close() {
        await waitAtMost(GOODBYE_MS, client.end(), clock);
        destroy();
      },
    };
  }
}

/** What `pg` has no method for: ending a connection that has not come about. */
interface WithSocket {
  readonly connection: { readonly stream: { destroy(): unknown } };
}

/** Takes a connection out of a pool; it does not go back. */
export class PoolListenWay implements PgListenWay {
  readonly #source: ClientSource;

  constructor(source: ClientSource) {
    this.#source = source;
  }

  async connect(signal: AbortSignal): Promise<PgListenClient> {
    const taking = this.#source.take();
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
}

interface ClientSource {
  /** Takes a client that is not lent again: the caller releases it. */
  take(): Promise<PgPoolClient>;
}
