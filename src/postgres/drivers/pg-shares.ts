import { HowdahError } from "../../errors.ts";
import { PgLending } from "./pg-lending.ts";
import { type ConnectionSettings, createPool, type OwnPool, type PgPool, resetSession } from "./pg-pool.ts";
import type { SessionOptions } from "./pg-session.ts";
import { PgHandlersShare, PgShare, type PgShareOptions } from "./pg-share.ts";
import type { ConnectionSplit } from "./split-connections.ts";

/** What {@link PgShares} are made of. */
export interface PgSharesOptions extends Omit<PgShareOptions, "lending"> {
  readonly settings: ConnectionSettings;
  /** The application's pool; without one each share has its own. */
  readonly pool: PgPool | undefined;
  readonly split: ConnectionSplit;
  readonly sessionOptions: SessionOptions;
  /** Told of a connection that was left with the rights of another role; it is closed. */
  foundForeign(): void;
}

const WORDS: Readonly<Record<keyof ConnectionSplit, string>> = {
  engine: "the engine",
  handlers: "handlers",
  waiting: "adds that wait for other transactions",
};

/**
 * The connections of one driver in three parts, so that none of them can use up
 * those of the others. Of our own connections each part has its own, because
 * what handlers do to a session would reach whatever runs on it next; of the
 * application's pool each has a limit.
 */
export class PgShares {
  readonly engine: PgShare;
  readonly handlers: PgShare;
  readonly waiting: PgShare;
  readonly #options: PgSharesOptions;
  readonly #ownPools: OwnPool[] = [];
  readonly #lendings = new Map<keyof ConnectionSplit, PgLending>();

  constructor(options: PgSharesOptions) {
    const { split } = options;
    this.#options = options;
    const engine = this.#lend("engine");
    this.engine = new PgShare({ ...options, lending: engine });
    this.handlers = new PgHandlersShare({
      ...options,
      lending: split.handlers === 0 ? engine : this.#lend("handlers"),
      closesAfter: split.handlers === 0 && !options.pool,
    });
    this.waiting = split.waiting === 0 ? this.engine : new PgShare({ ...options, lending: this.#lend("waiting") });
  }

  /** Waits for whatever is lent, then closes the connections of our own. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#lendings.values(), (lending) => lending.settled()));
    await Promise.all(this.#ownPools.map((pool) => pool.end()));
  }

  #lend(name: keyof ConnectionSplit): PgLending {
    const { settings, pool, split, sessionOptions, foundInside, foundForeign } = this.#options;
    const limit = split[name];
    const ownPool = pool ? undefined : createPool(settings, limit);
    if (ownPool) this.#ownPools.push(ownPool);
    const isReset = name === "handlers" && ownPool && settings.preparedStatements;
    const lending = new PgLending((pool ?? ownPool) as PgPool, {
      ...sessionOptions,
      // `discard all` forgets what was prepared, and the client would not know.
      preparedStatements: sessionOptions.preparedStatements && !isReset,
      connectTimeoutMs: settings.connectTimeoutMs,
      limit,
      ownPool,
      foundInside,
      foundForeign,
      exhausted: () => this.#exhausted(name),
      cleanUp: isReset ? (client) => resetSession(client, settings) : undefined,
    });
    this.#lendings.set(name, lending);
    return lending;
  }

  #exhausted(name: keyof ConnectionSplit): HowdahError {
    const { settings, pool } = this.#options;
    const parts = Array.from(this.#lendings, ([of, { lent, limit }]) => `${WORDS[of]} ${lent} of ${limit}`).join(", ");
    const whole = pool ? `; the pool has lent ${pool.totalCount ?? "an unknown number"} in all` : "";
    const rise = pool ? "the `max` of the pool" : "`maxConnections`";
    const advice =
      name === "handlers"
        ? "A handler that calls `query` inside of `withTransaction` needs two at once, and waits for others that do the same: " +
          `call the transaction's own \`query\`. Else raise \`handlerConnections\`, and ${rise} with it.`
        : `Look for transactions that are left open, or raise ${rise}.`;
    return new HowdahError(
      "HOWDAH_CONNECTIONS_EXHAUSTED",
      `No connection for ${WORDS[name]} became free within ${settings.connectTimeoutMs} ms. In use: ${parts}${whole}. ${advice}`,
    );
  }
}
