import { HowdahError } from "../errors.ts";
import { describeValue } from "../runtime/describe-value.ts";
import type { CallerTransaction, Driver, Executor } from "./driver.ts";
import type { PgQueryable } from "./drivers/pg-client.ts";
import { pgTransaction } from "./drivers/pg-executor.ts";
import { type DrizzleTransaction, drizzleTransaction } from "./transactions/drizzle.ts";
import { type KnexTransaction, knexTransaction } from "./transactions/knex.ts";
import { type KyselyTransaction, kyselyTransaction } from "./transactions/kysely.ts";
import { type MikroOrmTransaction, mikroOrmTransaction } from "./transactions/mikro-orm.ts";
import { type PGliteTransaction, pgliteTransaction } from "./transactions/pglite.ts";
import { type PostgresJsTransaction, postgresJsTransaction } from "./transactions/postgres-js.ts";
import { type PrismaTransaction, prismaTransaction } from "./transactions/prisma.ts";
import { type TypeOrmTransaction, typeOrmTransaction } from "./transactions/typeorm.ts";

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
    `${taker} takes a transaction that has begun: a client of \`pg\`, or what Kysely, Drizzle, Prisma, Knex, TypeORM, ` +
      `MikroORM, postgres.js or PGlite give to the function that runs in a transaction; found ${describeValue(given)}. ` +
      "Wrap the transaction of another library with `executor()`.",
  );
}

/**
 * A transaction of the application, as its library gives it: a client of `pg` that
 * has begun one, or one of the libraries here; that of another one is made with `executor`.
 */
export type ApplicationTransaction =
  | PgQueryable
  | Executor
  | KyselyTransaction
  | DrizzleTransaction
  | PrismaTransaction
  | KnexTransaction
  | TypeOrmTransaction
  | MikroOrmTransaction
  | PostgresJsTransaction
  | PGliteTransaction;

/** Says what a transaction of one library is, as {@link Driver.within} does. */
type TransactionAdapter = NonNullable<Driver["within"]>;

/** Those that are asked whatever the driver is. That of `pg` comes last, because it takes all that has a `query`. */
const ADAPTERS: readonly TransactionAdapter[] = [
  kyselyTransaction,
  drizzleTransaction,
  prismaTransaction,
  mikroOrmTransaction,
  typeOrmTransaction,
  postgresJsTransaction,
  knexTransaction,
  pgliteTransaction,
  pgTransaction,
];

function firstOf(given: unknown): CallerTransaction | undefined {
  if ((typeof given !== "object" && typeof given !== "function") || given === null) return undefined;
  for (const adapter of ADAPTERS) {
    const transaction = adapter(given);
    if (transaction) return transaction;
  }
  return undefined;
}
