import { MikroORM } from "@mikro-orm/postgresql";
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle as drizzlePg } from "drizzle-orm/node-postgres";
import { drizzle as drizzlePostgresJs } from "drizzle-orm/postgres-js";
import createKnex, { type Knex } from "knex";
import { Kysely, PostgresDialect, sql as kyselySql, type Transaction } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { DataSource, type EntityManager } from "typeorm";
import { executor } from "../../src/index.ts";
import type { Library, LibraryHandle, OpenLibrary } from "./library.ts";

const INSERT = "insert into orders (id) values";
const PID = "select pg_backend_pid() as pid";
const ignore = (): void => undefined;
const rowPid = (rows: unknown): number => Number((rows as { pid: unknown }[])[0]?.pid);

const nodePostgres: Library = {
  name: "pg",
  unawaited: "stored",
  isReusedUnseen: true,
  open: (connectionString) => openPg(connectionString, (client) => client),
};

const own: Library = {
  name: "executor() over pg",
  unawaited: "refused",
  open: (connectionString) =>
    openPg(connectionString, (client) => executor(async (text, values) => (await client.query(text, values)).rows)),
};

/** `pg`, with a transaction that is given as `give` makes it of a client; a pool in its place is none. */
async function openPg(
  connectionString: string,
  give: (client: pg.Pool | pg.PoolClient) => LibraryHandle["given"],
): Promise<OpenLibrary> {
  const pool = poolOf(connectionString);
  return {
    noTransactions: [give(pool)],
    async transaction(work) {
      const client = await pool.connect();
      try {
        await client.query("begin");
        const result = await work(ofPg(client, give(client)));
        await client.query("commit");
        return result;
      } catch (error) {
        await client.query("rollback").catch(() => undefined);
        throw error;
      } finally {
        client.release();
      }
    },
    close: () => pool.end(),
  };
}

function poolOf(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 2 });
  pool.on("error", ignore);
  // Clients that a library has borrowed report the loss of their connection as well.
  pool.on("connect", (client) => client.on("error", ignore));
  return pool;
}

function ofPg(client: pg.PoolClient, given: LibraryHandle["given"]): LibraryHandle {
  return {
    given,
    insert: (id) => client.query(`${INSERT} ($1)`, [id]),
    async savepoint(work) {
      await client.query("savepoint a");
      try {
        const result = await work(ofPg(client, given));
        await client.query("release savepoint a");
        return result;
      } catch (error) {
        await client.query("rollback to savepoint a");
        throw error;
      }
    },
    pid: async () => rowPid((await client.query(PID)).rows),
  };
}

const kysely: Library = {
  name: "Kysely",
  unawaited: "refused",
  async open(connectionString) {
    const pool = poolOf(connectionString);
    const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }) });
    const handle = (given: Transaction<Record<string, never>>): LibraryHandle => ({
      given,
      insert: (id) => kyselySql`insert into orders (id) values (${id})`.execute(given),
      async savepoint(work) {
        await kyselySql`savepoint a`.execute(given);
        try {
          return await work(handle(given));
        } catch (error) {
          await kyselySql`rollback to savepoint a`.execute(given);
          throw error;
        }
      },
      pid: async () => rowPid((await kyselySql<{ pid: number }>`select pg_backend_pid() as pid`.execute(given)).rows),
    });
    return {
      noTransactions: [db, pool],
      transaction: (work) => db.transaction().execute((transaction) => work(handle(transaction))),
      close: () => db.destroy(),
    };
  },
};

const kyselyControlled: Library = {
  name: "Kysely, controlled",
  unawaited: "refused",
  async open(connectionString) {
    const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool: poolOf(connectionString) }) });
    return {
      noTransactions: [db],
      async transaction(work) {
        const transaction = await db.startTransaction().execute();
        const handle: LibraryHandle = {
          given: transaction,
          insert: (id) => kyselySql`insert into orders (id) values (${id})`.execute(transaction),
          async savepoint(inner) {
            const nested = await transaction.savepoint("a").execute();
            try {
              return await inner({ ...handle, given: nested });
            } catch (error) {
              await nested.rollbackToSavepoint("a").execute();
              throw error;
            }
          },
          pid: async () =>
            rowPid((await kyselySql<{ pid: number }>`select pg_backend_pid() as pid`.execute(transaction)).rows),
        };
        try {
          const result = await work(handle);
          await transaction.commit().execute();
          return result;
        } catch (error) {
          await transaction.rollback().execute();
          throw error;
        }
      },
      close: () => db.destroy(),
    };
  },
};

/** What both drivers of Drizzle have. */
interface DrizzleHandle {
  execute(query: ReturnType<typeof drizzleSql>): Promise<unknown>;
  transaction<T>(work: (transaction: never) => Promise<T>): Promise<T>;
  rollback(): never;
}

function ofDrizzle(given: DrizzleHandle): LibraryHandle {
  return {
    given,
    insert: (id) => given.execute(drizzleSql`insert into orders (id) values (${id})`),
    savepoint: (work) => given.transaction((nested) => work(ofDrizzle(nested))),
    async pid() {
      const answer = await given.execute(drizzleSql.raw(PID));
      return rowPid(Array.isArray(answer) ? answer : (answer as { rows: unknown }).rows);
    },
  };
}

const drizzleNode: Library = {
  name: "Drizzle over node-postgres",
  unawaited: "refused",
  async open(connectionString) {
    const pool = poolOf(connectionString);
    const db = drizzlePg(pool);
    return {
      noTransactions: [db],
      transaction: (work) => db.transaction((transaction) => work(ofDrizzle(transaction as unknown as DrizzleHandle))),
      close: () => pool.end(),
    };
  },
};

const drizzlePostgres: Library = {
  name: "Drizzle over postgres.js",
  diesOfLostConnection: true,
  rejectsCaughtErrors: true,
  unawaited: "refused",
  async open(connectionString) {
    const sql = postgres(connectionString, { max: 2, onnotice: () => {} });
    const db = drizzlePostgresJs(sql);
    return {
      noTransactions: [db],
      transaction: (work) => db.transaction((transaction) => work(ofDrizzle(transaction as unknown as DrizzleHandle))),
      close: () => sql.end({ timeout: 1 }),
    };
  },
};

const postgresJs: Library = {
  name: "postgres.js",
  diesOfLostConnection: true,
  rejectsCaughtErrors: true,
  unawaited: "refused",
  async open(connectionString) {
    const sql = postgres(connectionString, { max: 2, onnotice: () => {} });
    const handle = (given: postgres.TransactionSql): LibraryHandle => ({
      given,
      insert: (id) => given`insert into orders (id) values (${id})`,
      savepoint: (work) => given.savepoint((nested) => work(handle(nested))) as Promise<never>,
      pid: async () => rowPid(await given`select pg_backend_pid() as pid`),
    });
    return {
      noTransactions: [sql],
      transaction: (work) => sql.begin((transaction) => work(handle(transaction))) as Promise<never>,
      close: () => sql.end({ timeout: 1 }),
    };
  },
};

/** A client without a listener ends the process when its connection is lost. */
function listen(client: pg.Client, done: (error: unknown, client: pg.Client) => void): void {
  client.on("error", ignore);
  done(undefined, client);
}

function ofKnex(given: Knex.Transaction): LibraryHandle {
  return {
    given,
    insert: (id) => given.raw("insert into orders (id) values (?)", [id]),
    savepoint: (work) => given.transaction((nested) => work(ofKnex(nested))),
    pid: async () => rowPid((await given.raw(PID)).rows),
  };
}

const knex: Library = {
  name: "Knex",
  unawaited: "refused",
  async open(connectionString) {
    const db = createKnex({
      client: "pg",
      connection: connectionString,
      pool: { min: 0, max: 2, afterCreate: listen },
    });
    return {
      noTransactions: [db],
      transaction: (work) => db.transaction((transaction) => work(ofKnex(transaction))),
      close: () => db.destroy(),
    };
  },
};

const mikroOrm: Library = {
  name: "MikroORM",
  unawaited: "refused",
  async open(connectionString) {
    const orm = await MikroORM.init({
      clientUrl: connectionString,
      entities: [],
      discovery: { warnWhenNoEntities: false },
      pool: { min: 0, max: 2, afterCreate: listen },
      allowGlobalContext: true,
    });
    type Manager = typeof orm.em;
    const handle = (given: Manager): LibraryHandle => ({
      given,
      insert: (id) => given.execute("insert into orders (id) values (?)", [id]),
      savepoint: (work) => given.transactional((nested) => work(handle(nested))),
      pid: async () => rowPid(await given.execute(PID)),
    });
    return {
      noTransactions: [orm.em],
      transaction: (work) => orm.em.fork().transactional((manager) => work(handle(manager))),
      close: () => orm.close(true),
    };
  },
};

const typeOrm: Library = {
  name: "TypeORM",
  unawaited: "refused",
  async open(connectionString) {
    const source = new DataSource({
      type: "postgres",
      url: connectionString,
      extra: { max: 2 },
      poolErrorHandler: () => {},
    });
    await source.initialize();
    (source.driver as unknown as { readonly master: pg.Pool }).master.on("connect", (client) =>
      client.on("error", ignore),
    );
    const handle = (given: EntityManager): LibraryHandle => ({
      given,
      insert: (id) => given.query(`${INSERT} ($1)`, [id]),
      savepoint: (work) => given.transaction((nested) => work(handle(nested))),
      pid: async () => rowPid(await given.query(PID)),
    });
    return {
      noTransactions: [source, source.manager, source.createQueryRunner()],
      transaction: (work) => source.transaction((manager) => work(handle(manager))),
      close: () => source.destroy(),
    };
  },
};

/** All libraries that connect to a server. */
export const LIBRARIES: readonly Library[] = [
  nodePostgres,
  own,
  kysely,
  kyselyControlled,
  drizzleNode,
  drizzlePostgres,
  postgresJs,
  knex,
  mikroOrm,
  typeOrm,
];
