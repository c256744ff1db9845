import type { Clock } from "../../runtime/clock.ts";
import type { HostChoice } from "./host-choice.ts";
import type { PgClient } from "./pg-client.ts";

/** Settings that every connection of our own gets. */
export interface ConnectionSettings {
  readonly clock: Clock;
  /** What makes the connections. */
  readonly library: ClientLibrary;
  /** Where they lead. */
  readonly hosts: HostChoice;
  readonly connectTimeoutMs: number;
  /** 0 means for ever. */
  readonly statementTimeoutMs: number;
  /** False behind a transaction pooler: there nothing may be set for a session either. */
  readonly preparedStatements: boolean;
}

/** What makes connections: `pg`, or what looks like it. */
export interface ClientLibrary {
  /** Makes a client that gives up connecting after `timeoutMs`. */
  create(config: Readonly<Record<string, unknown>>, timeoutMs: number): WireClient;
}

/** A client of `pg`, or what looks like one, to a pool of `pg`, too. */
export interface WireClient extends PgClient {
  connect(callback: (error?: unknown) => void): void;
  /** Says goodbye; resolves when the connection has ended. */
  end(): Promise<void>;
  /** Has `stream` for what `pg` has no method for: ending a connection that has not come about. */
  readonly connection: { readonly stream: WireStream };
}

/** What a connection goes over: a socket. */
export interface WireStream {
  /** Ends the connection, whatever is under way. */
  destroy(): unknown;
  /** Has TCP ask whether the other end is there, after so long without a word. */
  setKeepAlive?(isOn: boolean, initialDelayMs: number): unknown;
}

/** After so long without a word TCP asks whether the other end is there; it asks ten times, a second apart. */
export const KEEPALIVE_MS = 10_000;
