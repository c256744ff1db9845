import pg from "pg";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, migrate, migrationSql, silentLogger } from "../../../src/index.ts";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { applyMigrations as migrateSchema } from "../../../src/postgres/apply-migrations.ts";
import { writeMigrationSql } from "../../../src/postgres/migration-sql.ts";
import { createSchema } from "../../../src/postgres/schema.ts";
import { createDatabase } from "../../harness/database.ts";

const LATEST = migrations.length;
const ALL = migrations.map(({ id }) => id);
const logger = silentLogger;

const database = await createDatabase({ migrate: false });
const { connectionString, driver } = database;
const client = await database.connect();
afterAll(() => database.drop());

let count = 0;
let schema: string;
beforeEach(() => {
  count += 1;
  schema = `inside_${count} $$ "${count}"`;
});

/** Settings as an application may have them; those of its transaction and of its session. */
const OWN_SETTINGS = `
  set search_path = 'public'; set lock_timeout = '7s'; set client_min_messages = 'error';
  begin isolation level repeatable read; set local search_path = 'pg_temp', "my schema"; set local statement_timeout = '99s'`;

async function settings(connection: pg.Client | pg.PoolClient = client): Promise<unknown> {
  const { rows } = await connection.query(
    "select name, setting from pg_catalog.pg_settings where name not like 'plpgsql.%' union all select 'isolation', current_setting('transaction_isolation') order by 1",
  );
  return rows;
}

/** That the schema is what migrating makes, and that jobs can be added. */
async function expectToWork(): Promise<void> {
  const lines: string[] = [];
  const noisy = { ...silentLogger, warn: (message: string) => void lines.push(message) };
  expect(await migrate({ connectionString, schema, logger: noisy })).toEqual({ revision: LATEST, applied: [] });
  expect(lines).toEqual([]);
  const own = await createClient({ driver, schema, migrate: false, logger });
  expect(await own.addJob("t", {}, { queueName: "q", jobKey: "k" })).toMatchObject({ task: "t" });
  await own.close();
}

async function exists(): Promise<boolean> {
  return (await database.sql("select from pg_namespace where nspname = $1", [schema])).length === 1;
}

describe("migrate({ transaction })", () => {
  it("is a part of the caller's transaction, does nothing the second time, and leaves no setting changed", async () => {
    await client.query(OWN_SETTINGS);
    const before = await settings();
    expect(await migrate({ transaction: client, schema, logger })).toEqual({ revision: LATEST, applied: ALL });
    expect(await settings()).toEqual(before);
    expect(await exists()).toBe(false);
    expect(await migrate({ transaction: client, schema, logger })).toEqual({ revision: LATEST, applied: [] });
    expect(await settings()).toEqual(before);
    await client.query("commit; reset all");
    await expectToWork();
  });

  it("is taken back with the caller's transaction", async () => {
    await client.query("begin");
    await migrate({ transaction: client, schema, logger });
    await client.query("rollback");
    expect(await exists()).toBe(false);
  });

  it("leaves no setting changed when it refuses the schema, and the transaction can go on", async () => {
    await database.sql(`create schema ${createSchema(schema).quoted}`);
    await database.sql(`create table ${createSchema(schema).of("migrations")} ()`);
    await client.query(OWN_SETTINGS);
    const before = await settings();
    await expect(migrate({ transaction: client, schema, logger })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_FOREIGN",
    });
    expect(await settings()).toEqual(before);
    await client.query("rollback; reset all");
  });

  it("leaves no setting changed when a statement fails and the caller goes back to a savepoint", async () => {
    await database.sql(`create schema ${createSchema(schema).quoted}`);
    await database.sql(`create domain ${createSchema(schema).of("job_spec")} as text`);
    await client.query(OWN_SETTINGS);
    const before = await settings();
    await client.query("savepoint here");
    await expect(migrate({ transaction: client, schema, logger })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_FOREIGN",
    });
    await client.query("rollback to savepoint here");
    expect(await settings()).toEqual(before);
    await client.query("rollback; reset all");
  });

  it("mends a ledger, too", async () => {
    await migrate({ connectionString, schema, logger });
    await database.sql(`truncate ${createSchema(schema).of("_howdah_migrations")}`);
    await client.query("begin");
    expect(await migrate({ transaction: client, schema, logger })).toEqual({ revision: LATEST, applied: [] });
    await client.query("commit");
    await expectToWork();
  });

  it("takes no other way to the database beside it", async () => {
    await expect(migrate({ transaction: client, connectionString, schema, logger })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: expect.stringContaining("`transaction` and `connectionString`"),
    });
  });
});

describe("migrate()", () => {
  it("leaves no setting changed on a connection of the application, whether it succeeds or fails", async () => {
    const pool = new pg.Pool({ connectionString, max: 1, options: "-c lock_timeout=7s -c search_path=public" });
    const look = async (): Promise<unknown> => {
      const connection = await pool.connect();
      const found = await settings(connection);
      connection.release();
      return found;
    };
    const before = await look();
    await migrate({ pool, schema, logger });
    expect(await look()).toEqual(before);
    await database.sql(`drop table ${createSchema(schema).of("_howdah_schedules")}`);
    await expect(migrate({ pool, schema, logger })).rejects.toMatchObject({ code: "HOWDAH_SCHEMA_DAMAGED" });
    expect(await look()).toEqual(before);
    await pool.end();
  });
});

describe("migrationSql()", () => {
  it("makes the schema, inside of a transaction or alone, and does nothing the second time", async () => {
    await client.query(OWN_SETTINGS);
    const before = await settings();
    await client.query(migrationSql({ schema }));
    expect(await settings()).toEqual(before);
    await client.query("rollback; reset all");
    expect(await exists()).toBe(false);

    const outside = await settings();
    await client.query(migrationSql({ schema }));
    await client.query(migrationSql({ schema }));
    expect(await settings()).toEqual(outside);
    const ledger = await database.sql(
      `select id, name from ${createSchema(schema).of("_howdah_migrations")} order by id`,
    );
    expect(ledger).toEqual(migrations.map(({ id, name }) => ({ id, name })));
    await expectToWork();
  });

  it("begins after a revision, also when the schema is further than that", async () => {
    await migrateSchema({ driver, schema: createSchema(schema), migrations: migrations.slice(0, 4) });
    const sql = migrationSql({ schema, from: 3 });
    expect(sql).not.toContain(migrations[2]?.sql.split("\n").at(-1));
    await client.query(sql);
    await expectToWork();
    expect(migrationSql({ schema, from: LATEST })).toContain("nothing to do");
    await client.query(migrationSql({ schema, from: LATEST }));
  });

  it("changes nothing when the schema is not as far as it begins, or a newer release has broken this one", async () => {
    await expect(client.query(migrationSql({ schema, from: 3 }))).rejects.toThrow("at revision 0");
    expect(await exists()).toBe(false);
    const later = [...migrations, { id: LATEST + 1, name: "later", sql: "select 1" }];
    await migrateSchema({ driver, schema: createSchema(schema), migrations: later });
    await client.query(migrationSql({ schema }));
    const breaking = [...later, { id: LATEST + 2, name: "breaking", sql: "select 1", breaksBefore: LATEST + 1 }];
    await client.query(writeMigrationSql({ schema: createSchema(schema), from: LATEST + 1, migrations: breaking }));
    await expect(client.query(migrationSql({ schema }))).rejects.toThrow(`at revision ${LATEST + 2}`);
  });

  it.each([
    [{ from: LATEST + 1 }, "HOWDAH_OPTION_INVALID"],
    [{ from: -1 }, "HOWDAH_OPTION_INVALID"],
    [{ form: 1 } as never, "HOWDAH_OPTION_UNKNOWN"],
  ])("refuses %j", (options, code) => {
    expect(() => migrationSql(options)).toThrow(expect.objectContaining({ code }));
  });
});
