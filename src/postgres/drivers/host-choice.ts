import { HowdahError } from "../../errors.ts";
import { ownMessage } from "../../runtime/error-message.ts";
import type { TargetSession } from "../hosts.ts";
import { isTransient, sqlStateOf } from "../sqlstate.ts";

/**
 * The hosts that the connections of a driver may lead to, and the one that they
 * are made to: the first in order that can be used, until a connection to it
 * cannot be made, or leads to a server of another kind than is wanted. Then it
 * is the next one, and after the last one the first.
 */
export class HostChoice {
  readonly #hosts: readonly Host[];
  #at = 0;

  constructor(hosts: readonly Host[]) {
    // Any will do where no standby is to be found.
    const anyAfterwards = hosts.filter(({ wanted }) => wanted === "prefer-standby");
    this.#hosts = [...hosts, ...anyAfterwards.map((host): Host => ({ ...host, wanted: "any" }))];
  }

  get current(): Host {
    return this.#hosts[this.#at] as Host;
  }

  /** How many there are to try. */
  get count(): number {
    return this.#hosts.length;
  }

  /** A connection to this host was not made. Others may have found that out before. */
  failed(host: Host, error: unknown): void {
    if (host === this.current && isFaultOfHost(error)) this.#at = (this.#at + 1) % this.count;
  }

  /** Tries one host after another with `connect`, which calls back at once or later, and makes one error of all. */
  connect<T>(connect: (callback: Callback<T>) => void, callback: Callback<T>): void {
    const failures: string[] = [];
    const next = (): void => {
      const { name } = this.current;
      connect((error, connected) => {
        if (connected !== undefined || this.count === 1) return callback(error, connected);
        failures.push(`${name}: ${ownMessage(error)}`);
        if (!isFaultOfHost(error)) return callback(error, undefined);
        if (failures.length === this.count) return callback(noneOf(failures), undefined);
        next();
      });
    };
    next();
  }
}

/** A host that connections may lead to. */
export interface Host {
  /** For messages. */
  readonly name: string;
  /** What the client library is told of it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What a server there has to be. */
  readonly wanted: TargetSession;
}

/** What is called with either of them. */
export type Callback<T> = (error: unknown, connected: T | undefined) => void;

/** What a server says of itself: see {@link unwanted}. */
export const ASK_ABOUT_HOST =
  "select pg_catalog.pg_is_in_recovery()::pg_catalog.text, pg_catalog.current_setting('transaction_read_only')";

/** The error of a server that is not what is wanted; `undefined` for one that is. */
export function unwanted({ wanted }: Host, [recovering, readonly]: readonly string[]): HowdahError | undefined {
  const isStandby = recovering === "true";
  const isReadOnly = readonly === "on";
  const fault = {
    any: undefined,
    "read-write": isReadOnly ? "it is read-only" : undefined,
    "read-only": isReadOnly ? undefined : "it is not read-only",
    primary: isStandby ? "it is a standby" : undefined,
    standby: isStandby ? undefined : "it is no standby",
    "prefer-standby": isStandby ? undefined : "it is no standby",
  }[wanted];
  if (fault === undefined) return undefined;
  return new HowdahError("HOWDAH_DATABASE_UNREACHABLE", `${fault}, and target_session_attrs=${wanted} is wanted`);
}

/** True unless another host would say the same: that the password is wrong, or that there is no such database. */
function isFaultOfHost(error: unknown): boolean {
  return sqlStateOf(error) === undefined || isTransient(error);
}

function noneOf(failures: readonly string[]): HowdahError {
  return new HowdahError(
    "HOWDAH_DATABASE_UNREACHABLE",
    `None of the hosts can be used: ${[...new Set(failures)].join("; ")}`,
  );
}
