import type { ConnectionSettings, WireClient } from "./connection-settings.ts";
import { waitAtMost } from "./deadline.ts";
import type { Callback } from "./host-choice.ts";
import { newClient } from "./new-client.ts";
import type { PgClient } from "./pg-client.ts";
import { GOODBYE_MS, type PgPoolClient, prepareSession } from "./pg-pool.ts";
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
    const { clock, hosts } = this.#settings;
    const client = await new Promise<WireClient>((resolve, reject) => {
      hosts.connect<WireClient>(
        (tell) => void this.#connectAndTell(signal, tell),
        (error, one) => (one ? resolve(one) : reject(unreachable(error))),
      );
    });
    return {
      client,
      async close() {
        await waitAtMost(GOODBYE_MS, client.end(), clock);
        client.connection.stream.destroy();
      },
    };
  }

  async #connectAndTell(signal: AbortSignal, tell: Callback<WireClient>): Promise<void> {
    let client: WireClient;
    try {
      client = await this.#connectOne(signal);
    } catch (error) {
      return tell(error, undefined);
    }
    tell(undefined, client);
  }

  async #connectOne(signal: AbortSignal): Promise<WireClient> {
    const client = newClient(this.#settings);
    const destroy = (): unknown => client.connection.stream.destroy();
    // An error after the end concerns no caller any more, and would end the process.
    client.on("error", () => undefined);
    signal.addEventListener("abort", destroy, { once: true });
    try {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => client.connect((error) => (error ? reject(error) : resolve())));
      await prepareSession(client, this.#settings);
      return client;
    } catch (error) {
      destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", destroy);
    }
  }
}

/** Takes a connection out of a pool; it does not go back. */
export class PoolListenWay implements PgListenWay {
  readonly #source: ClientSource;

  constructor(source: ClientSource) {
    this.#source = source;
  }

  async connect(signal: AbortSignal): Promise<PgListenClient> {
    const taking = this.#source.take();
    let abort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason as Error);
      signal.addEventListener("abort", abort, { once: true });
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
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

interface ClientSource {
  /** Takes a client that is not lent again: the caller releases it. */
  take(): Promise<PgPoolClient>;
}
