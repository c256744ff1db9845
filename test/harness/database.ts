import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import type { Driver } from "../../src/postgres/driver.ts";
import { pgDriver } from "../../src/postgres/drivers/pg.ts";
import { applyMigrations } from "../../src/postgres/apply-migrations.ts";
import { createSchema, type Schema } from "../../src/postgres/schema.ts";
import { administer, TEMPLATE_SCHEMA, urlOfDatabase } from "./template.ts";

/** What a test database is made with. */
export interface TestDatabaseOptions {
  /** Whether the schema is there. Default true. */
  readonly migrate?: boolean;
  /** Default "howdah"; another one costs a migration, where this one costs a copy. */
  readonly schema?: string;
  /** Makes the driver of each worker. Default: each worker makes its own, over `pg`. */
  readonly driver?: (connectionString: string) => Driver;
}

/** A database of its own, for one test file or one test. */
export interface TestDatabase extends WorkerDatabase, AsyncDisposable {
  readonly driver: Driver;
  /** A session of its own; `drop` ends it at the latest. */
  connect(): Promise<pg.Client>;
}

/** What the tests of a worker need of a database, whatever its driver is. */
export interface WorkerDatabase {
  /** A superuser's way to it. */
  readonly connectionString: string;
  readonly schema: Schema;
  /** Makes the driver of a worker, which `drop` closes; without it a worker makes its own. */
  readonly createDriver?: (() => Driver) | undefined;
  /** Runs one statement and returns its rows with the types that `pg` gives them. */
  sql(text: string, values?: unknown[]): Promise<pg.QueryResultRow[]>;
  /** Closes everything and removes the database, also while sessions are connected. */
  drop(): Promise<void>;
}

/** Makes a database. The caller drops it, in `afterAll` or with `await using`. */
export async function createDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const schema = createSchema(options.schema ?? TEMPLATE_SCHEMA);
  const withSchema = options.migrate ?? true;
  const copied = withSchema && schema.name === TEMPLATE_SCHEMA;
  const connectionString = await createEmptyDatabase(copied);
  const driver = pgDriver({ connectionString });
  if (withSchema && !copied) await applyMigrations({ driver, schema });

  const pool = new pg.Pool({ connectionString, max: 4 });
  const clients: pg.Client[] = [];
  const drivers: Driver[] = [driver];
  // Tests cut sessions off on purpose; the user of one learns it from its query.
  pool.on("error", () => {});

  async function drop(): Promise<void> {
    await Promise.allSettled([
      ...clients.map((client) => client.end()),
      pool.end(),
      ...drivers.map((made) => made.close()),
    ]);
    await dropDatabase(connectionString);
  }
  const { driver: create } = options;
  const createDriver = (make: (connectionString: string) => Driver): Driver => {
    const made = make(connectionString);
    drivers.push(made);
    return made;
  };
  return {
    connectionString,
    driver,
    schema,
    createDriver: create && (() => createDriver(create)),
    async sql(text, values) {
      return (await pool.query(text, values)).rows;
    },
    async connect() {
      const client = new pg.Client({ connectionString });
      client.on("error", () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

async function createEmptyDatabase(copied: boolean): Promise<string> {
  const serverUrl = inject("serverUrl");
  const template = inject("template");
  if (copied && template.problem !== undefined) throw new Error(template.problem);
  const name = `howdah_test_${randomBytes(6).toString("hex")}`;
  const source = copied ? template.name : "template0";
  await administer(serverUrl, `create database ${name} template ${source} encoding 'UTF8'`);
  return urlOfDatabase(serverUrl, name);
}

async function dropDatabase(connectionString: string): Promise<void> {
  const name = new URL(connectionString).pathname.slice(1);
  await administer(inject("serverUrl"), `drop database if exists ${name} with (force)`);
}
