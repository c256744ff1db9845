import pg from "pg";
import { HowdahError } from "../../errors.ts";
import { object } from "../../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type Option } from "../../runtime/options.ts";
import { waitAtMost, type Waiter, withDeadline } from "./deadline.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { ASK_ABOUT_HOST, type Callback, unwanted } from "./host-choice.ts";
import { hostOf, newClient } from "./new-client.ts";
import type { PgClient, PgQueryable } from "./pg-client.ts";
import { lastAnswer } from "./pg-statement.ts";

/** The part of a `pg` pool that is needed here. */
export interface PgPool {
  /** Takes a client out; it has to be released. */
  connect(): Promise<PgPoolClient>;
  /** Reports errors of idle clients; without a listener they would end the process. */
  on?(event: "error", listener: (error: Error) => void): unknown;
  /** Ends what `on` began. */
  removeListener?(event: "error", listener: (error: Error) => void): unknown;
  readonly options?: { readonly max?: number | undefined } | undefined;
  /** How many clients are open, or about to be. */
  readonly totalCount?: number | undefined;
  /** How many of them are not lent. */
  readonly idleCount?: number | undefined;
  /** How many wait for one. */
  readonly waitingCount?: number | undefined;
}

/** The option `pool`: anything that lends clients as a `pg` pool does. A `pg` client has a `connect`, too, and lends nothing. */
export const POOL: Option<PgPool | undefined> = {
  suffix: "",
  read(given, place) {
    if (isClient(given))
      throw invalidOption(place, "must be a `Pool` of `pg`, not a `Client`: `new pg.Pool(...)`", given);
    return object<PgPool>(["connect"]).read(given, place);
  },
};

function isClient(given: unknown): boolean {
  return isOptionsObject(given) && ("connectionParameters" in given || "processID" in given);
}

/** A client that was taken out of a pool. */
export interface PgPoolClient extends PgClient {
  /** Gives it back; with `true` it is closed instead. */
  release(destroy?: boolean): void;
}

/** A pool of our own, which lets the process exit while it is idle. */
export interface OwnPool extends PgPool {
  /** How many clients are open and not lent. */
  readonly idleCount: number;
  /** How many wait for one. */
  readonly waitingCount: number;
  /** Waits for the clients that are out, then closes all; resolves when the server knows. */
  end(): Promise<void>;
}

/** Opens a pool of at most `max` connections; none is made before it is needed. */
export function createPool(settings: ConnectionSettings, max: number): OwnPool {
  const onConnect = (client: PgQueryable): Promise<void> => prepareSession(client, settings);
  // Its pool makes clients with `new`.
  const Client = function create(): object {
    return newClient(settings);
  };
  const connectionTimeoutMillis = settings.connectTimeoutMs;
  const pool = new pg.Pool({
    ...settings.hosts.current.config,
    max,
    allowExitOnIdle: true,
    onConnect,
    Client,
    connectionTimeoutMillis,
  } as object);
  const open = new Set<unknown>();
  pool.on("connect", (client) => open.add(client));
  pool.on("remove", (client) => open.delete(client));
  // The error of an idle client would end the process; the lost connection shows up again for its next user.
  pool.on("error", () => undefined);
  const end = pool.end.bind(pool);
  const connect = pool.connect.bind(pool) as unknown as (callback: Callback<PgPoolClient>) => void;
  return Object.assign(pool as unknown as OwnPool, {
    connect: (callback: Callback<PgPoolClient>) => settings.hosts.connect(connect, callback),
    async end() {
      await end();
      // The pool forgets its clients before the server has seen them go.
      const gone = new Promise<void>((resolve) => {
        const look = (): void => (open.size === 0 ? resolve() : undefined);
        pool.on("remove", look);
        look();
      });
      await waitAtMost(GOODBYE_MS, gone, settings.clock);
    },
  });
}

/** A server that has vanished never answers a goodbye, so closing does not wait for longer. */
export const GOODBYE_MS = 1_000;

/**
 * Makes a new session behave the same whatever the defaults of the role and the
 * database are. Rejects with `HOWDAH_DATABASE_UNREACHABLE` when the server takes
 * the connection and then says nothing: nothing else watches over this moment.
 */
export async function prepareSession(client: PgQueryable, settings: ConnectionSettings): Promise<void> {
  const { clock, preparedStatements, connectTimeoutMs: timeoutMs } = settings;
  const host = hostOf(client);
  const asks = host !== undefined && host.wanted !== "any";
  const texts = [preparedStatements ? settingsOf(settings) : [], asks ? ASK_ABOUT_HOST : []].flat();
  if (texts.length === 0) return;
  try {
    const answer = client.query({ text: texts.join("; "), rowMode: "array" });
    const { rows } = lastAnswer(await withDeadline(answer, { clock, timeoutMs, waiter: PREPARING }));
    const fault = asks ? unwanted(host, rows[0] as [string, string]) : undefined;
    if (fault) throw fault;
  } catch (error) {
    if (host) settings.hosts.failed(host, error);
    throw error;
  }
}

const PREPARING: Waiter = {
  overdue: ({ timeoutMs }) =>
    new HowdahError(
      "HOWDAH_DATABASE_UNREACHABLE",
      `The database took the connection and did not answer within ${timeoutMs} ms.`,
    ),
};

function settingsOf({ statementTimeoutMs }: ConnectionSettings): string {
  return (
    "set default_transaction_isolation = 'read committed'; set array_nulls = on; " +
    `set statement_timeout = ${Math.ceil(statementTimeoutMs)}`
  );
}

/** What `discard all` does, which may not be sent together with anything else. */
const DISCARD_ALL =
  "close all; set session authorization default; reset all; deallocate all; unlisten *; " +
  "select pg_catalog.pg_advisory_unlock_all(); discard plans; discard temp; discard sequences";

/** Makes a session what it was when it was new, whatever was done to it, all in one text, for one round trip. */
export async function resetSession(client: PgQueryable, settings: ConnectionSettings): Promise<void> {
  const { clock, connectTimeoutMs: timeoutMs } = settings;
  const text = `${DISCARD_ALL}; ${settingsOf(settings)}`;
  await withDeadline(client.query({ text }), { clock, timeoutMs, waiter: RESETTING });
}

const RESETTING: Waiter = {
  overdue: ({ timeoutMs }) =>
    new HowdahError("HOWDAH_QUERY_TIMEOUT", `The database did not reset a session within ${timeoutMs} ms.`),
};
