import type { Duplex } from "node:stream";
import { isTargetSession } from "../../hosts.ts";
import { HostChoice } from "../host-choice.ts";
import type { SocketTarget } from "./socket.ts";

/** The hosts of an instance of postgres.js. Where there are several, one has to be able to write unless it says otherwise. */
export function postgresJsHosts({
  host: hosts,
  port: ports,
  path,
  target_session_attrs: wanted,
}: PostgresJsOptions): HostChoice {
  // A socket of the file system is one host.
  const names = path ? [path] : hosts;
  return new HostChoice(
    names.map((host, index) => ({
      name: path ? host : `${host}:${ports[index]}`,
      config: { host: hosts[index], port: ports[index] },
      wanted: wanted && isTargetSession(wanted) ? wanted : names.length > 1 ? "read-write" : "any",
    })),
  );
}

/** Where a connection to one of them leads. */
export function targetOf(options: PostgresJsOptions, config: Readonly<Record<string, unknown>>): SocketTarget {
  const { socket, path, ssl, sslnegotiation } = options;
  const host = config["host"] as string;
  const port = config["port"] as number;
  return {
    host,
    port,
    // A host that is a folder has a socket in it.
    path: path || (host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : undefined),
    socket: socket && (() => socket(options)),
    ssl: ssl === "disable" ? false : ssl,
    sslnegotiation,
  };
}

/** What postgres.js makes of the options that it is given, as far as it is needed here. */
export interface PostgresJsOptions extends Readonly<Record<string, unknown>> {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false | undefined;
  readonly ssl?: unknown;
  readonly sslnegotiation?: unknown;
  readonly socket?: ((options: object) => Duplex | Promise<Duplex>) | undefined;
  readonly prepare?: boolean | undefined;
  readonly target_session_attrs?: string | null | undefined;
  readonly connection?: Readonly<Record<string, unknown>> | undefined;
}
