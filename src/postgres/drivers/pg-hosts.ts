import pg from "pg";
import { HowdahError } from "../../errors.ts";
import { hostsOf, isTargetSession, pairHosts, TARGET_SESSIONS, type TargetSession } from "../hosts.ts";
import { type ClientLibrary, KEEPALIVE_MS, type WireClient } from "./connection-settings.ts";
import { type Host, HostChoice } from "./host-choice.ts";

/**
 * The hosts that a connection string names, or without one the environment, as
 * `pg` is told of each. Where there are several, one has to be able to write
 * unless `target_session_attrs` says otherwise. Throws `HOWDAH_OPTION_INVALID`
 * for what cannot be meant in the environment.
 */
export function pgHosts(config: Readonly<Record<string, unknown>>, connectionString: string | undefined): HostChoice {
  if (connectionString === undefined) return new HostChoice(hostsOfEnvironment(config));
  const named = hostsOf(connectionString);
  // It was read before.
  const { texts, wanted } = typeof named === "string" ? { texts: [connectionString], wanted: undefined } : named;
  return new HostChoice(
    texts.map((text) => ({
      name: nameIn(text),
      config: { ...config, connectionString: text },
      wanted: wanted ?? wantedOf(texts.length),
    })),
  );
}

/** The library `pg`. */
export const PG: ClientLibrary = {
  create: (config, timeoutMs): WireClient => new pg.Client({ ...ALIVE, ...config, connectionTimeoutMillis: timeoutMs }),
};

const ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: KEEPALIVE_MS };

function hostsOfEnvironment(config: Readonly<Record<string, unknown>>): Host[] {
  const names = process.env["PGHOST"] ?? "";
  if ("host" in config || !names.includes(",")) return [{ name: "", config, wanted: wantedOf(1) }];
  const pairs = pairHosts(names.split(","), (process.env["PGPORT"] ?? "").split(","));
  if (typeof pairs === "string") throw invalid(`PGHOST ${pairs}`);
  return pairs.map(({ host, port }) => ({
    name: port === "" ? host : `${host}:${port}`,
    config: { ...config, host, port: port === "" ? undefined : Number(port) },
    wanted: wantedOf(pairs.length),
  }));
}

function wantedOf(count: number): TargetSession {
  const text = process.env["PGTARGETSESSIONATTRS"]?.trim();
  if (!text) return count > 1 ? "read-write" : "any";
  if (isTargetSession(text)) return text;
  throw invalid(`PGTARGETSESSIONATTRS is not known; it may be ${TARGET_SESSIONS.join(", ")}.`);
}

function invalid(message: string): HowdahError {
  return new HowdahError("HOWDAH_OPTION_INVALID", message);
}

/** The host in the text of one, which has been found to be unambiguous. */
function nameIn(text: string): string {
  const [, host = ""] = /^[^/]*\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(text) ?? [];
  return host.replaceAll(/%2f/gi, "/");
}
