import { Authorization, type ReportingClient, type Rights } from "./authorization.ts";

/**
 * What is heeded of an application's pool. It takes the errors of idle clients,
 * which would end the process: the lost connection shows up again as the error
 * of its next user. And it knows whose rights the sessions have, because
 * the server reports each change. A client has one listener for that as long as
 * it is open: a driver that comes later has to know what happened before.
 */
export class PoolWatch {
  readonly #pool: Partial<Emitter>;
  readonly #setUp: Rights = new Map();
  /** By the connection, because wrappers may make another client each time that they lend one. */
  readonly #authorizations = new WeakMap<ReportingClient["connection"], Authorization>();
  #users = 0;

  constructor(pool: object) {
    this.#pool = pool;
  }

  /** Begins for one driver. */
  begin(): void {
    this.#users += 1;
    if (this.#users > 1) return;
    this.#pool.on?.("error", ignore);
    this.#pool.on?.("connect", this.#onConnect);
    this.#pool.on?.("acquire", this.#onAcquire);
    this.#pool.on?.("release", this.#onRelease);
  }

  /** Ends for one driver. */
  end(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#pool.removeListener?.("error", ignore);
    this.#pool.removeListener?.("connect", this.#onConnect);
    this.#pool.removeListener?.("acquire", this.#onAcquire);
    this.#pool.removeListener?.("release", this.#onRelease);
  }

  /**
   * Whose rights a client has that was just lent to us. `undefined` when it does
   * not tell, or the pool tells of no new clients: then it is not known what it
   * sets them up with.
   */
  lend(client: object): Authorization | undefined {
    if (!this.#pool.on || !isReporting(client)) return undefined;
    const authorization = this.#authorizations.get(client.connection) ?? this.#watch(client, false);
    // Whatever is under way on a client that was in no other hands, a listener of the pool has sent.
    authorization.isBeingSetUp = authorization.isNew;
    return authorization;
  }

  #watch(client: ReportingClient, isNew: boolean): Authorization {
    const authorization = new Authorization(client, this.#setUp, isNew);
    this.#authorizations.set(client.connection, authorization);
    return authorization;
  }

  readonly #onConnect = (client: object): void => {
    if (isReporting(client)) this.#watch(client, true);
  };

  /** One that was open before is watched before the application uses it again. */
  readonly #onAcquire = (client: object): void => {
    if (isReporting(client) && !this.#authorizations.has(client.connection)) this.#watch(client, false);
  };

  readonly #onRelease = (_error: unknown, client: object): void => {
    const authorization = isReporting(client) ? this.#authorizations.get(client.connection) : undefined;
    if (!authorization) return;
    authorization.isNew = false;
    authorization.isBeingSetUp = false;
  };
}

/** The watch over this pool: there is one, however many drivers use it. */
export function watchOf(pool: object): PoolWatch {
  const known = watches.get(pool);
  if (known) return known;
  const watch = new PoolWatch(pool);
  watches.set(pool, watch);
  return watch;
}

const watches = new WeakMap<object, PoolWatch>();

/** What a pool of `pg` tells of its clients. */
interface Emitter {
  on(event: "error", listener: () => void): unknown;
  on(event: "connect" | "acquire", listener: (client: object) => void): unknown;
  on(event: "release", listener: (error: unknown, client: object) => void): unknown;
  removeListener(event: string, listener: unknown): unknown;
}

function isReporting(client: object): client is ReportingClient {
  return typeof (client as Partial<ReportingClient>).connection?.on === "function";
}

function ignore(): void {}
