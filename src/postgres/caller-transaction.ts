import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import type { CallerTransaction, Driver, Executor } from "./driver.ts";
import { pgTransaction } from "./drivers/pg-executor.ts";
import type { PgQueryable } from "./drivers/pg-client.ts";

/**
 * The transaction behind what an application has given. The driver is asked
 * first, because its kind of transaction may look like one of another kind.
 * Throws `HOWDAH_OPTION_INVALID` for what is none; `taker` is what the message
 * calls the function that takes it.
 */
export function callerTransaction(given: unknown, taker: string, driver?: Driver): CallerTransaction {
  const transaction = driver?.within?.(given) ?? firstOf(given);
  if (transaction) return transaction;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${taker} takes a client that has begun a transaction, found ${describeValue(given)}.`,
  );
}

/** A transaction of the application: a `pg` client that has begun one, or an `Executor`. */
export type ApplicationTransaction = PgQueryable | Executor;

/** Says what a transaction of one library is, as {@link Driver.within} does. */
type TransactionAdapter = NonNullable<Driver["within"]>;

/** Those that are asked whatever the driver is. That of `pg` comes last, because it takes all that has a `query`. */
const ADAPTERS: readonly TransactionAdapter[] = [pgTransaction];

function firstOf(given: unknown): CallerTransaction | undefined {
  for (const adapter of ADAPTERS) {
    const transaction = adapter(given);
    if (transaction) return transaction;
  }
  return undefined;
}
