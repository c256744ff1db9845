/** Compiled, and never run: what is no transaction is refused by its type. An entity manager of MikroORM has the same one in a transaction. */
import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import type { Knex } from "knex";
import type { Kysely } from "kysely";
import type { Sql } from "postgres";
import type { DataSource } from "typeorm";
import type { Client } from "../../src/index.ts";

interface NoTransactions {
  readonly kysely: Kysely<object>;
  readonly drizzle: NodePgDatabase;
  readonly knex: Knex;
  readonly postgresJs: Sql;
  readonly typeOrm: DataSource;
}

export function refused(client: Client, given: NoTransactions): void {
  // @ts-expect-error
  client.inTransaction(given.kysely);
  // @ts-expect-error
  client.inTransaction(given.drizzle);
  // @ts-expect-error
  client.inTransaction(given.knex);
  // @ts-expect-error
  client.inTransaction(given.postgresJs);
  // @ts-expect-error
  client.inTransaction(given.typeOrm);
}
