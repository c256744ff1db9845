import createKnex from "knex";
import { Kysely, type KyselyPlugin, PostgresDialect } from "kysely";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type Client, createClient, silentLogger } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  const { connectionString } = database;
  client = await createClient({ connectionString, migrate: false, logger: silentLogger });
});

afterEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

const tasks = async (): Promise<unknown[]> => (await client.listJobs()).jobs.map(({ task }) => task);

/** Renames every column of every answer. */
const shouting: KyselyPlugin = {
  transformQuery: ({ node }) => node,
  transformResult: async ({ result }) => ({
    ...result,
    rows: result.rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [`${name}!`, value]))),
  }),
};

it("a plugin of Kysely that renames columns is found out before anything is stored", async () => {
  const pool = new pg.Pool({ connectionString: database.connectionString, max: 1 });
  const db = new Kysely<object>({ dialect: new PostgresDialect({ pool }), plugins: [shouting] });
  await db.transaction().execute(async (transaction) => {
    await expect(client.inTransaction(transaction).addJob("task", {})).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: expect.stringContaining('the text of the column "howdah"'),
    });
  });
  await db.destroy();
  expect(await tasks()).toEqual([]);
});

it("a response of Knex that an application has made to rows is read as well", async () => {
  const knex = createKnex({
    client: "pg",
    connection: database.connectionString,
    pool: { min: 0, max: 1 },
    postProcessResponse: (response: { readonly rows?: unknown } | undefined) => response?.rows ?? response,
  });
  await knex.transaction((transaction) => client.inTransaction(transaction).addJob("task", {}));
  await knex.destroy();
  expect(await tasks()).toEqual(["task"]);
});
