import { afterAll, describe, expect, it } from "vitest";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { applyMigrations, applyMigrationsWithin } from "../../../src/postgres/apply-migrations.ts";
import type { Migration } from "../../../src/postgres/migration.ts";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { objectsOf } from "../../../src/postgres/schema-objects.ts";
import { createSchema, quoteIdentifier } from "../../../src/postgres/schema.ts";
import { readSchemaRevision } from "../../../src/postgres/schema-revision.ts";
import type { Logger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";

const LATEST = migrations.length;
const ALL = migrations.map(({ id }) => id);

const database = await createDatabase({ migrate: false });
const { driver } = database;
afterAll(() => database.drop());

let schemaCount = 0;
function newSchema(): ReturnType<typeof createSchema> {
  schemaCount += 1;
  return createSchema(`migrate_${schemaCount}`);
}

/** A release after this one, with one migration more. */
function laterRelease(sql: string): Migration[] {
  return [...migrations, { id: LATEST + 1, name: "later", sql }];
}

/** The statement that replaces a function by one that does the same. */
function replacementOf(key: string): string {
  const { statement = "" } = objectsOf(migrations).functions.get(key) ?? {};
  return statement.replace(/^create function/, "create or replace function").replace("$$", "$$$$\n-- Later.");
}

async function ledgerOf(schema: string): Promise<unknown[]> {
  return database.sql(`select id, name from ${quoteIdentifier(schema)}._howdah_migrations order by id`);
}

function collectingLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const ignore = (): void => undefined;
  return { lines, info: (message) => void lines.push(message), warn: ignore, error: ignore, debug: ignore };
}

/** The storage parameters of the jobs table. */
async function storageOf({ quoted }: ReturnType<typeof createSchema>): Promise<unknown> {
  const [row] = await database.sql(`select reloptions from pg_class where oid = '${quoted}._private_jobs'::regclass`);
  return row?.["reloptions"];
}

it("pages of jobs are filled to 40% in a fresh schema and in one of the first release that is upgraded", async () => {
  const [fresh, upgraded] = [newSchema(), newSchema()];
  await applyMigrations({ driver, schema: fresh });
  await applyMigrations({ driver, schema: upgraded, migrations: migrations.slice(0, 8) });
  await applyMigrations({ driver, schema: upgraded });
  expect(await storageOf(fresh)).toContain("fillfactor=40");
  expect(await storageOf(upgraded)).toEqual(await storageOf(fresh));
});

describe("a fresh database", () => {
  it("gets the schema, and is told so once (behaviours 276)", async () => {
    const schema = newSchema();
    const logger = collectingLogger();
    expect(await applyMigrations({ driver, schema, logger })).toEqual({ revision: LATEST, applied: ALL });
    expect(logger.lines).toEqual([`Created schema ${schema.quoted}, now at revision ${LATEST}`]);
    expect(await ledgerOf(schema.name)).toEqual(migrations.map(({ id, name }) => ({ id, name })));
    expect(await readSchemaRevision({ driver, schema })).toBe(LATEST);
  });

  it("keeps a job through three more migrations, which say and change nothing (behaviours 276)", async () => {
    const schema = newSchema();
    await applyMigrations({ driver, schema });
    await database.sql(`select ${schema.of("add_job")}('task', '{"a":1}')`);
    const ledger = await database.sql(`select * from ${schema.of("_howdah_migrations")}`);
    const logger = collectingLogger();
    for (const _ of [1, 2, 3])
      expect(await applyMigrations({ driver, schema, logger })).toEqual({ revision: LATEST, applied: [] });
    expect(logger.lines).toEqual([]);
    expect(await database.sql(`select * from ${schema.of("_howdah_migrations")}`)).toEqual(ledger);
    expect(await database.sql(`select task_identifier from ${schema.of("jobs")}`)).toEqual([
      { task_identifier: "task" },
    ]);
  });

  it("tells the other implementations that all of their migrations are done (behaviours 276)", async () => {
    const schema = newSchema();
    await applyMigrations({ driver, schema });
    const rows = await database.sql(`select id, breaking from ${schema.of("migrations")} order by id`);
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(rows.filter(({ breaking }) => breaking).map(({ id }) => id)).toEqual([1, 3, 11, 13, 14, 16, 19]);
  });

  it("never announces a migration, which would stop workers of other schemas", async () => {
    const listener = await database.connect();
    const heard: (string | undefined)[] = [];
    listener.on("notification", ({ payload }) => heard.push(payload));
    await listener.query('listen "worker:migrate"');
    await applyMigrations({ driver, schema: newSchema() });
    await database.sql("select pg_notify('worker:migrate', 'last')");
    await until(() => heard.includes("last"));
    expect(heard).toEqual(["last"]);
  });

  it("is migrated the same whatever the defaults of the role are", async () => {
    const url = new URL(database.connectionString);
    url.searchParams.set("options", "-c search_path= -c default_transaction_isolation=serializable -c lock_timeout=1");
    const strange = pgDriver({ connectionString: url.href });
    const schema = newSchema();
    expect(await applyMigrations({ driver: strange, schema })).toMatchObject({ applied: ALL });
    await strange.close();
  });
});

describe("the schema of a newer release", () => {
  it("is used as it is, and its functions are not taken for damage", async () => {
    const schema = newSchema();
    const [key = ""] = [...objectsOf(migrations).functions.keys()].filter((each) => each.includes("_howdah_mark_v1"));
    const later = laterRelease(`alter table :"schema"._private_jobs add column later text; ${replacementOf(key)}`);
    await applyMigrations({ driver, schema, migrations: later });
    const revision = LATEST + 1;
    const logger = collectingLogger();
    expect(await applyMigrations({ driver, schema, logger })).toEqual({ revision, applied: [] });
    expect(await driver.transaction((transaction) => applyMigrationsWithin({ transaction, schema }))).toEqual({
      revision,
      applied: [],
    });
    expect(await readSchemaRevision({ driver, schema })).toBe(revision);
    expect(logger.lines).toEqual([]);
    expect(await applyMigrations({ driver, schema, migrations: later })).toEqual({ revision, applied: [] });
  });

  it("is used when it breaks only releases before this one", async () => {
    const schema = newSchema();
    const breaking = { id: LATEST + 1, name: "breaking", sql: "select 1", breaksBefore: LATEST };
    await applyMigrations({ driver, schema, migrations: [...migrations, breaking] });
    expect(await readSchemaRevision({ driver, schema })).toBe(LATEST + 1);
  });
});

describe("schema names", () => {
  it.each([
    "My Schema",
    'with "quotes"',
    "it's",
    "dots.and.more",
    "back\\slash'",
    "select",
    "dollar$$dollar",
    "a$body0$$$b",
    "%I %s %%",
    ":'schema'",
    "ünïcode 🐫",
    "x".repeat(63),
  ])("%s works from migration to job (behaviours 292)", async (name) => {
    const schema = createSchema(name);
    expect(await applyMigrations({ driver, schema })).toMatchObject({ applied: ALL });
    expect(await applyMigrations({ driver, schema })).toMatchObject({ applied: [] });
    const [job] = await database.sql(`select (${schema.of("add_job")}('task', '{}', queue_name => 'queue')).id`);
    const found = await database.sql(`select id, queue_name from ${schema.of("jobs")}`);
    expect(found).toEqual([{ id: job?.["id"], queue_name: "queue" }]);
    const quoted = await database.sql("select format('%I', nspname) as name from pg_namespace where nspname = $1", [
      name,
    ]);
    expect(quoted).toHaveLength(1);
  });
});

describe("many at once", () => {
  it("twenty migrations in one process each succeed, and each step is done once (behaviours 277)", async () => {
    const schema = newSchema();
    const drivers = Array.from({ length: 20 }, () =>
      pgDriver({ connectionString: database.connectionString, maxConnections: 1 }),
    );
    const results = await Promise.all(drivers.map((each) => applyMigrations({ driver: each, schema })));
    await Promise.all(drivers.map((each) => each.close()));
    expect(results.flatMap(({ applied }) => applied).toSorted((a, b) => a - b)).toEqual(ALL);
    expect(await ledgerOf(schema.name)).toHaveLength(LATEST);
  });

  it("ten processes that start together each succeed, and each step is done once (behaviours 277)", async () => {
    const schema = newSchema();
    const script = new URL("../fixtures/migrate-once.mjs", import.meta.url);
    const args = [database.connectionString, schema.name];
    const processes = await Promise.all(Array.from({ length: 10 }, () => startNode(script, { args })));
    await Promise.all(processes.map((each) => each.line("ready")));
    for (const each of processes) each.say("go");
    const results = await Promise.all(
      processes.map(async (each) => JSON.parse(await each.line("{")) as { revision: number; applied: number[] }),
    );
    expect(results.map(({ revision }) => revision)).toEqual(processes.map(() => LATEST));
    expect(results.flatMap(({ applied }) => applied).toSorted((a, b) => a - b)).toEqual(ALL);
    expect(await Promise.all(processes.map((each) => each.ended))).toEqual(
      processes.map(() => ({ code: 0, signal: null })),
    );
  });

  it("does not wait for a migration of another schema", async () => {
    const busy = await database.connect();
    await busy.query("begin");
    await busy.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", ["howdah migrate somebody_else"]);
    expect(await applyMigrations({ driver, schema: newSchema() })).toMatchObject({ applied: ALL });
    await busy.query("rollback");
  });
});

describe("a table that is in use", () => {
  const sql = 'alter table :"schema"._private_jobs add column later integer';

  async function inUse(): Promise<{ schema: ReturnType<typeof createSchema>; release: () => Promise<unknown> }> {
    const schema = newSchema();
    await applyMigrations({ driver, schema });
    const user = await database.connect();
    await user.query("begin");
    await user.query(`select from ${schema.of("_private_jobs")}`);
    return { schema, release: () => user.query("commit") };
  }

  it("is waited for in short turns, so that adds go on meanwhile, and the migration happens in the end", async () => {
    const { schema, release } = await inUse();
    const migrating = applyMigrations({
      driver,
      schema,
      migrations: laterRelease(sql),
      lockTimeoutMs: 50,
      attempts: 1_000,
    });
    // Adds queue up behind the migration; only its lock_timeout lets them pass.
    for (const _ of [1, 2, 3]) {
      await until(async () => {
        const waiting = await database.sql(
          "select from pg_locks where not granted and relation = $1::regclass and mode = 'AccessExclusiveLock'",
          [schema.of("_private_jobs")],
        );
        return waiting.length === 1;
      });
      await database.sql(`select ${schema.of("add_job")}('task')`);
    }
    await release();
    expect(await migrating).toEqual({ revision: LATEST + 1, applied: [LATEST + 1] });
    expect(await database.sql(`select later from ${schema.of("_private_jobs")}`)).toHaveLength(3);
  });

  it("is given up after N turns, with nothing changed", async () => {
    const { schema, release } = await inUse();
    const migrating = applyMigrations({
      driver,
      schema,
      migrations: laterRelease(sql),
      lockTimeoutMs: 20,
      attempts: 2,
    });
    await expect(migrating).rejects.toMatchObject({ code: "55P03" });
    expect(await ledgerOf(schema.name)).toHaveLength(LATEST);
    await release();
  });
});

describe("a migration that fails", () => {
  it("says what is in its way when the application has a table of the same name (behaviours 284)", async () => {
    const schema = newSchema();
    await database.sql(`create schema ${schema.quoted}`);
    await database.sql(`create table ${schema.of("_private_workers")} (id bigint)`);
    await expect(applyMigrations({ driver, schema })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_FOREIGN",
      message: expect.stringContaining("_private_workers"),
    });
  });

  it("passes on the error and leaves nothing of itself behind; the next run goes on from there (behaviours 282)", async () => {
    const schema = newSchema();
    const broken = laterRelease('create table :"schema".half (); select 1 / 0');
    await expect(applyMigrations({ driver, schema, migrations: broken })).rejects.toMatchObject({ code: "22012" });
    expect(await ledgerOf(schema.name)).toHaveLength(LATEST);
    expect(await database.sql("select to_regclass($1) as half", [schema.of("half")])).toEqual([{ half: null }]);
    const mended = laterRelease('create table :"schema".half ()');
    expect(await applyMigrations({ driver, schema, migrations: mended })).toMatchObject({ applied: [LATEST + 1] });
  });

  it("is tried again when another process created the same object meanwhile (behaviours 284)", async () => {
    const schema = newSchema();
    const rival = await database.connect();
    await rival.query("begin");
    await rival.query(`create schema ${schema.quoted}`);
    const migrating = applyMigrations({ driver, schema });
    await until(async () => {
      const waiting = await database.sql("select from pg_stat_activity where wait_event_type = 'Lock' and query = $1", [
        `create schema ${schema.quoted}`,
      ]);
      return waiting.length === 1;
    });
    await rival.query("commit");
    expect(await migrating).toMatchObject({ applied: ALL });
  });
});

describe("a migration of a later release is applied", () => {
  it.each([
    ["replaces a function", replacementOf("function _howdah_us(timestamptz)")],
    ["drops a function", 'drop function :"schema"._howdah_complete_v1(bigint, text, bigint[], xid8, xid8)'],
    ["drops a column", 'alter table :"schema"._private_known_crontabs drop column last_execution'],
    ["drops an index", 'drop index :"schema"._howdah_paused'],
    ["makes and drops nothing", 'alter table :"schema"._private_jobs set (fillfactor = 41)'],
  ])("that %s", async (_what, sql) => {
    const schema = newSchema();
    await applyMigrations({ driver, schema });
    const later = laterRelease(sql);
    expect(await applyMigrations({ driver, schema, migrations: later })).toMatchObject({ applied: [LATEST + 1] });
    expect(await applyMigrations({ driver, schema, migrations: later })).toMatchObject({ applied: [] });
    expect(await ledgerOf(schema.name)).toHaveLength(LATEST + 1);
  });
});

it("migrations are numbered from 1 without gaps, named and not empty (behaviours 288)", () => {
  expect(ALL).toEqual(ALL.map((_, index) => index + 1));
  for (const { name, sql } of migrations) {
    expect(name).toMatch(/^[a-z0-9-]+$/);
    expect(sql.trim()).not.toBe("");
  }
});
