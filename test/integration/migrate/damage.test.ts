import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient, silentLogger } from "../../../src/index.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { applyMigrations } from "../../../src/postgres/apply-migrations.ts";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { createSchema, type Schema } from "../../../src/postgres/schema.ts";
import { readSchemaRevision } from "../../../src/postgres/schema-revision.ts";
import { createDatabase } from "../../harness/database.ts";

const LATEST = migrations.length;

const database = await createDatabase({ migrate: false });
const { driver } = database;
afterAll(() => database.drop());

let count = 0;
let schema: Schema;
beforeEach(async () => {
  count += 1;
  schema = createSchema(`damage "${count}"`);
  await applyMigrations({ driver, schema });
});

/** Runs a statement in which `S.` stands for the schema. */
async function run(statement: string): Promise<Record<string, unknown>[]> {
  return database.sql(statement.replaceAll("S.", `${schema.quoted}.`));
}

async function tables(): Promise<string[]> {
  const rows = await database.sql(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1",
    [schema.name],
  );
  return rows.map(({ name }) => name as string);
}

/** That jobs can be added, with all that an add may need. */
async function expectToWork(): Promise<void> {
  const client = await createClient({ driver, schema: schema.name, migrate: false, logger: silentLogger });
  const { id } = await client.addJob("t", {}, { jobKey: "k", queueName: "q" });
  expect(await client.getJob(id)).toMatchObject({ state: "ready", queueName: "q" });
  expect(await client.completeJobs([id])).toHaveLength(1);
  await client.close();
}

async function expectLedgers(): Promise<void> {
  expect(await run("select from S._howdah_sweeper")).toHaveLength(1);
  const ours = await run("select id, name from S._howdah_migrations order by id");
  expect(ours).toEqual(migrations.map(({ id, name }) => ({ id, name })));
  const shared = await run("select id, breaking from S.migrations order by id");
  expect(shared.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  expect(shared.filter(({ breaking }) => breaking).map(({ id }) => id)).toEqual([1, 3, 11, 13, 14, 16, 19]);
}

describe("a ledger of migrations that was lost", () => {
  it.each([
    ["every table was emptied", async () => run(`truncate ${(await tables()).join(", ")} restart identity`)],
    ["it was emptied", () => run("truncate S._howdah_migrations")],
    ["it was dropped", () => run("drop table S._howdah_migrations")],
    ["it has a gap", () => run("delete from S._howdah_migrations where id = 3")],
    ["it lost its first rows", () => run("delete from S._howdah_migrations where id < 5")],
    ["it lost its last rows", () => run("delete from S._howdah_migrations where id > 5")],
    ["that of the other implementations was emptied", () => run("truncate S.migrations")],
    ["a function is missing, too", () => run("truncate S._howdah_migrations; drop function S._howdah_mark_v1")],
  ])("is filled again: %s", async (_, lose) => {
    await lose();
    const lines: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void lines.push(message) };
    expect(await applyMigrations({ driver, schema, logger })).toEqual({ revision: LATEST, applied: [] });
    expect(lines).toEqual([expect.stringContaining("filled its ledger of migrations again")]);
    await expectLedgers();
    await expectToWork();
    expect(await applyMigrations({ driver, schema, logger })).toEqual({ revision: LATEST, applied: [] });
    expect(lines).toHaveLength(1);
  });

  it("is filled again once, by the first that finds it", async () => {
    await run("truncate S._howdah_migrations, S.migrations");
    const drivers = Array.from({ length: 20 }, () =>
      pgDriver({ connectionString: database.connectionString, maxConnections: 1 }),
    );
    const results = await Promise.all(drivers.map((each) => applyMigrations({ driver: each, schema })));
    await Promise.all(drivers.map((each) => each.close()));
    expect(results).toEqual(drivers.map(() => ({ revision: LATEST, applied: [] })));
    await expectLedgers();
  });

  it("is filled up to where an earlier release has come, and what is new is applied", async () => {
    await database.sql(`drop schema ${schema.quoted} cascade`);
    await applyMigrations({ driver, schema, migrations: migrations.slice(0, 5) });
    await run("truncate S._howdah_migrations");
    const rest = migrations.slice(5).map(({ id }) => id);
    expect(await applyMigrations({ driver, schema })).toEqual({ revision: LATEST, applied: rest });
    await expectLedgers();
    await expectToWork();
  });

  it("is named by who may not migrate", async () => {
    await run("truncate S._howdah_migrations");
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_MISSING",
      message: expect.stringMatching(/ledger .* is empty.*howdah migrate/),
    });
  });
});

describe("a schema that was renamed", () => {
  it.each([
    ["and nothing else", ""],
    ["and its ledger was emptied", "truncate S._howdah_migrations"],
  ])("works again under its new name %s", async (_, more) => {
    const former = schema;
    const owner = await run("select proowner, proacl from pg_proc where oid = 'S.add_job'::regproc");
    schema = createSchema(`renamed_${count}`);
    await database.sql(`alter schema ${former.quoted} rename to ${schema.quoted}`);
    if (more !== "") await run(more);
    // A new one under the old name: the functions would work on its tables.
    await applyMigrations({ driver, schema: former });
    const lines: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void lines.push(message) };
    expect(await applyMigrations({ driver, schema, logger })).toEqual({ revision: LATEST, applied: [] });
    expect(lines).toEqual([expect.stringContaining("which still spoke of schema")]);
    await expectToWork();
    expect(await run("select proowner, proacl from pg_proc where oid = 'S.add_job'::regproc")).toEqual(owner);
    expect(await database.sql(`select from ${former.of("_private_tasks")}`)).toEqual([]);
    await expectLedgers();
  });
});

describe("a schema that lacks something", () => {
  it("gets each function back with what it is run with, and for those who may call it", async () => {
    const settings = () =>
      database.sql(
        `select proname::text, proconfig, has_function_privilege('public', oid, 'execute') as is_public
         from pg_proc where pronamespace = $1::regnamespace and prolang <> 0
         order by oid::regprocedure::text`,
        [schema.quoted],
      );
    const before = await settings();
    expect(before.filter((made) => made["is_public"] === false).length).toBeGreaterThan(3);
    expect(before.filter(({ proconfig }) => String(proconfig).includes("cpu_tuple_cost=100")).length).toBeGreaterThan(
      6,
    );
    const functions = (await database.sql(
      "select oid::regprocedure::text as name from pg_proc where pronamespace = $1::regnamespace and proname like '\\_howdah\\_%' and prorettype <> 'trigger'::regtype",
      [schema.quoted],
    )) as { name: string }[];
    for (const { name } of functions) await database.sql(`drop function ${name} cascade`);
    await applyMigrations({ driver, schema });
    expect(await settings()).toEqual(before);
  });

  it("gets a function back that was dropped", async () => {
    await run("drop function S.complete_jobs; drop function S._howdah_claim_v1");
    expect(await applyMigrations({ driver, schema })).toEqual({ revision: LATEST, applied: [] });
    await expectToWork();
  });

  it.each([
    ["a table", "drop table S._private_job_queues cascade", "table _private_job_queues"],
    ["the view", "drop view S.jobs", "view jobs"],
    ["a column", "alter table S._private_jobs drop column _howdah_detached", "column _private_jobs._howdah_detached"],
    [
      "a type of a column",
      "alter table S._private_jobs alter _howdah_cancelled type varchar",
      "column _private_jobs._howdah_cancelled",
    ],
    ["an index", "drop index S._howdah_due", "index _howdah_due"],
    [
      "a constraint",
      "alter table S._private_jobs drop constraint jobs_key_key1",
      "constraint _private_jobs.jobs_key_key1",
    ],
    [
      "a trigger",
      "drop trigger _howdah_schedules_notify on S._howdah_schedules",
      "trigger _howdah_schedules._howdah_schedules_notify",
    ],
    [
      "the source of a function",
      "create or replace function S._howdah_holds_flags_v1(worker text, flags text[]) returns boolean language sql as 'select true'",
      "function _howdah_holds_flags_v1(text, _text)",
    ],
  ])("says that it has lost, or changed, %s, and stays as it is", async (_, harm, named) => {
    await run(harm);
    for (const ledger of ["select", "truncate S._howdah_migrations"]) {
      await run(ledger);
      await expect(applyMigrations({ driver, schema })).rejects.toMatchObject({
        code: "HOWDAH_SCHEMA_DAMAGED",
        message: expect.stringContaining(named),
      });
    }
    expect(await run("select from S._howdah_migrations")).toEqual([]);
  });

  it("may have columns, indexes, triggers, tables and functions of the application", async () => {
    await run("alter table S._private_jobs add column tenant text, add constraint tenant_check check (tenant <> '')");
    await run("create index tenant on S._private_jobs (tenant)");
    await run("create table S.audit (id bigint)");
    await run("create function S.audit() returns trigger language plpgsql as 'begin return new; end'");
    await run("create trigger audit before insert on S._private_jobs for each row execute function S.audit()");
    const lines: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void lines.push(message) };
    expect(await applyMigrations({ driver, schema, logger })).toEqual({ revision: LATEST, applied: [] });
    expect(lines).toEqual([]);
    await expectToWork();
  });

  it("may have public functions that another implementation has replaced", async () => {
    await run(
      "create or replace function S.force_unlock_workers(worker_ids text[]) returns void language sql as 'select'",
    );
    expect(await applyMigrations({ driver, schema })).toEqual({ revision: LATEST, applied: [] });
  });
});

it("a start on a schema that is right takes three statements, and two without migrating", async () => {
  const texts: string[] = [];
  const counting = {
    ...driver,
    query: (query: Parameters<typeof driver.query>[0]) => {
      texts.push(query.text);
      return driver.query(query);
    },
  };
  await applyMigrations({ driver: counting, schema });
  expect(texts).toHaveLength(3);
  await readSchemaRevision({ driver: counting, schema });
  expect(texts).toHaveLength(5);
});
