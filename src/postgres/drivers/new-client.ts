import type { ConnectionSettings, WireClient } from "./connection-settings.ts";
import type { Host } from "./host-choice.ts";

/** Makes a client that will connect to the host that is chosen now. */
export function newClient(settings: ConnectionSettings): WireClient {
  const { library, hosts, connectTimeoutMs } = settings;
  const host = hosts.current;
  const client = library.create(host.config, Math.ceil(connectTimeoutMs / hosts.count));
  hostsOfClients.set(client, host);
  const connect = client.connect.bind(client);
  client.connect = (callback) =>
    connect((error) => {
      if (error) hosts.failed(host, error);
      callback(error);
    });
  return client;
}

/** The host that a client of our own leads to. */
export function hostOf(client: object): Host | undefined {
  return hostsOfClients.get(client);
}

const hostsOfClients = new WeakMap<object, Host>();
