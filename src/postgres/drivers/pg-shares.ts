import { HowdahError } from "../../errors.ts";
import { type LendingOwner, PgLending } from "./pg-lending.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { createPool, type OwnPool, type PgPool } from "./pg-pool.ts";
import type { SessionOptions } from "./pg-session.ts";
import { type Closable, PgHandlersShare, PgShare } from "./pg-share.ts";
import type { PoolWarnings } from "./pool-warnings.ts";
import type { ConnectionSplit } from "./split-connections.ts";

/**
 * The connections of one driver in three parts, so that none of them can use up
 * those of the others. Of our own connections each part has its own, because
 * what handlers do to a session would reach whatever runs on it next; of the
 * application's pool each has a limit.
 */
export class PgShares implements LendingOwner {
  readonly engine: PgShare;
  readonly handlers: PgShare;
  readonly waiting: PgShare;
  readonly #options: PgSharesOptions;
  readonly #ownPools: OwnPool[] = [];
  readonly #lendings = new Map<PgLending, keyof ConnectionSplit>();

  constructor(options: PgSharesOptions) {
    const { split, driver, warnings } = options;
    this.#options = options;
    const engine = this.#lend("engine");
    this.engine = new PgShare({ driver, warnings, lending: engine });
    this.handlers = new PgHandlersShare({
      driver,
      warnings,
      lending: split.handlers === 0 ? engine : this.#lend("handlers"),
      closesAfter: split.handlers === 0 && !options.pool,
    });
    this.waiting =
      split.waiting === 0 ? this.engine : new PgShare({ driver, warnings, lending: this.#lend("waiting") });
  }

  /** Waits for whatever is lent, then closes the connections of our own. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#lendings.keys(), (lending) => lending.settled()));
    await Promise.all(this.#ownPools.map((pool) => pool.end()));
  }

  #lend(name: keyof ConnectionSplit): PgLending {
    const { settings, pool, split, sessionOptions, warnings } = this.#options;
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
      owner: this,
      warnings,
      resetWith: isReset ? settings : undefined,
    });
    this.#lendings.set(lending, name);
    return lending;
  }

  exhausted(lending: PgLending): HowdahError {
    const { settings, pool } = this.#options;
    const name = this.#lendings.get(lending) ?? "engine";
    const parts = Array.from(this.#lendings, ([{ lent, limit }, of]) => `${WORDS[of]} ${lent} of ${limit}`).join(", ");
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

/** What {@link PgShares} are made of. */
export interface PgSharesOptions {
  readonly settings: ConnectionSettings;
  /** The application's pool; without one each share has its own. */
  readonly pool: PgPool | undefined;
  readonly split: ConnectionSplit;
  readonly sessionOptions: SessionOptions;
  /** Refuses what comes after its end. */
  readonly driver: Closable;
  readonly warnings: PoolWarnings;
}

const WORDS: Readonly<Record<keyof ConnectionSplit, string>> = {
  engine: "the engine",
  handlers: "handlers",
  waiting: "adds that wait for other transactions",
};
