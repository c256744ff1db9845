import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import type { Driver } from "../../../src/postgres/driver.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { applyMigrations } from "../../../src/postgres/apply-migrations.ts";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { createSchema } from "../../../src/postgres/schema.ts";
import { readSchemaRevision } from "../../../src/postgres/schema-revision.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

const LATEST = migrations.length;
const ALL = migrations.map(({ id }) => id);

const database = await createDatabase({ migrate: false });
const { driver } = database;
afterAll(() => database.drop());

let schemaCount = 0;
function newSchema(): ReturnType<typeof createSchema> {
  schemaCount += 1;
  return createSchema(`refusal_${schemaCount}`);
}

describe("a schema that does not fit", () => {
  it("is refused when a newer release migrated it in a way that breaks this one, by migrate and without", async () => {
    const schema = newSchema();
    await applyMigrations({
      driver,
      schema,
      migrations: [...migrations, { id: LATEST + 1, name: "later", sql: "select 1", breaksBefore: LATEST + 1 }],
    });
    const tooNew = { code: "HOWDAH_SCHEMA_TOO_NEW", message: expect.stringMatching(/revision \d+.*upgrade/s) };
    await expect(applyMigrations({ driver, schema })).rejects.toMatchObject(tooNew);
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject(tooNew);
  });

  it("is refused when it is missing, empty or behind and must not be migrated", async () => {
    const schema = newSchema();
    const missing = { code: "HOWDAH_SCHEMA_MISSING", message: expect.stringContaining("howdah migrate") };
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject(missing);
    await database.sql(`create schema ${schema.quoted}`);
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject(missing);
    await applyMigrations({ driver, schema, migrations: migrations.slice(0, 1) });
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject({ code: "HOWDAH_SCHEMA_MISSING" });
    expect(await applyMigrations({ driver, schema })).toMatchObject({ applied: ALL.slice(1) });
  });

  it("is refused, and left as it is, when another job queue lives in it", async () => {
    const schema = newSchema();
    await database.sql(`create schema ${schema.quoted}`);
    await database.sql(`create table ${schema.of("migrations")} (id integer primary key)`);
    await database.sql(`create table ${schema.of("_private_jobs")} (id bigint)`);
    const foreign = { code: "HOWDAH_SCHEMA_FOREIGN", message: expect.stringContaining("another job queue") };
    await expect(applyMigrations({ driver, schema })).rejects.toMatchObject(foreign);
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject(foreign);
    const found = await database.sql(
      "select relname from pg_class where relnamespace = $1::regnamespace and relkind = 'r'",
      [schema.quoted],
    );
    expect(found.map(({ relname }) => relname as string).toSorted()).toEqual(["_private_jobs", "migrations"]);
  });

  it("may already hold tables of the application", async () => {
    const schema = newSchema();
    await database.sql(`create schema ${schema.quoted}`);
    await database.sql(`create table ${schema.of("customers")} (id bigint)`);
    expect(await applyMigrations({ driver, schema })).toMatchObject({ applied: ALL });
  });

  it.each([
    ["a table of the application", "create table :schema.migrations (id text)", "migrations"],
    ["a view of the application", "create view :schema.jobs as select 1 as id", "jobs"],
    ["a type of the application", "create type :schema.job_spec as (a text)", "job_spec"],
  ])("is refused, by migrate and without, when %s has a name of ours", async (_, statement, name) => {
    const schema = newSchema();
    await database.sql(`create schema ${schema.quoted}`);
    await database.sql(statement.replace(":schema", schema.quoted));
    const foreign = { code: "HOWDAH_SCHEMA_FOREIGN", message: expect.stringContaining(`holds ${name},`) };
    await expect(applyMigrations({ driver, schema })).rejects.toMatchObject(foreign);
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject(foreign);
  });

  it("is refused when another implementation has migrated it in a way that is not known here", async () => {
    const schema = newSchema();
    await applyMigrations({ driver, schema });
    await database.sql(`insert into ${schema.of("migrations")} (id, breaking) values (21, false), (22, false)`);
    expect(await readSchemaRevision({ driver, schema })).toBe(LATEST);
    expect(await applyMigrations({ driver, schema })).toMatchObject({ applied: [] });
    await database.sql(`update ${schema.of("migrations")} set breaking = true where id = 21`);
    const tooNew = { code: "HOWDAH_SCHEMA_TOO_NEW", message: expect.stringMatching(/migration 21 .* breaking/) };
    await expect(applyMigrations({ driver, schema })).rejects.toMatchObject(tooNew);
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject(tooNew);
  });
});

describe("a database that cannot be migrated", () => {
  it("is called one that can only be read", async () => {
    const url = new URL(database.connectionString);
    url.searchParams.set("options", "-c default_transaction_read_only=on");
    const readOnly = pgDriver({ connectionString: url.href });
    await expect(applyMigrations({ driver: readOnly, schema: newSchema() })).rejects.toMatchObject({
      code: "HOWDAH_DATABASE_UNREACHABLE",
      message: expect.stringContaining("can only be read"),
    });
    await readOnly.close();
  });

  it.each(["LATIN1", "SQL_ASCII", "EUC_JP"])("is told apart from one with encoding %s, which can", async (encoding) => {
    const name = `howdah_test_${randomBytes(6).toString("hex")}`;
    await database.sql(`create database ${name} template template0 encoding '${encoding}' locale 'C'`);
    const url = new URL(database.connectionString);
    url.pathname = `/${name}`;
    const narrow = pgDriver({ connectionString: url.href });
    try {
      expect(await applyMigrations({ driver: narrow, schema: createSchema("plain") })).toMatchObject({ applied: ALL });
      expect(await applyMigrations({ driver: narrow, schema: createSchema("plain") })).toMatchObject({ applied: [] });
      const elephant = applyMigrations({ driver: narrow, schema: createSchema("🐘") });
      if (encoding === "SQL_ASCII") expect(await elephant).toMatchObject({ applied: ALL });
      else {
        await expect(elephant).rejects.toMatchObject({
          code: "HOWDAH_OPTION_INVALID",
          message: expect.stringContaining("cannot hold the name"),
        });
      }
    } finally {
      await narrow.close();
      await database.sql(`drop database ${name} with (force)`);
    }
  });

  it("is told that another object has a name of ours, as an error with a code", async () => {
    const schema = newSchema();
    await database.sql(`create schema ${schema.quoted}`);
    await database.sql(`create domain ${schema.of("job_spec")} as text`);
    await expect(applyMigrations({ driver, schema })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_FOREIGN",
      message: expect.stringContaining('type "job_spec" already exists'),
    });
  });
});

describe("a server that is too old", () => {
  it("is refused before anything is done (behaviours 285)", async () => {
    const texts: string[] = [];
    const old: Pick<Driver, "query"> = {
      async query({ text }) {
        texts.push(text);
        return { rows: [["130011", "f", null]], count: 1 };
      },
    };
    await expect(applyMigrations({ driver: old as Driver, schema: newSchema() })).rejects.toMatchObject({
      code: "HOWDAH_DATABASE_UNSUPPORTED",
      message: expect.stringMatching(/PostgreSQL 14 .* 13 /),
    });
    expect(texts).toEqual([expect.stringContaining("server_version_num")]);
  });
});

describe("a role without rights", () => {
  /** Runs `work` with a driver that connects as a role of its own. */
  async function asRole(work: (limited: Driver, role: string) => Promise<void>): Promise<void> {
    const role = `howdah_test_${randomBytes(6).toString("hex")}`;
    const password = randomBytes(12).toString("hex");
    await database.sql(`create role ${role} login password '${password}'`);
    const limited = pgDriver({ connectionString: connectionFor(database, role, password) });
    try {
      await work(limited, role);
    } finally {
      await limited.close();
      await database.sql(`drop owned by ${role}`);
      await database.sql(`drop role ${role}`);
    }
  }

  function connectionFor({ connectionString }: TestDatabase, role: string, password: string): string {
    const url = new URL(connectionString);
    url.username = role;
    url.password = password;
    return url.href;
  }

  const forbidden = (grant: string): object => ({
    code: "HOWDAH_DATABASE_FORBIDDEN",
    message: expect.stringContaining(grant),
  });

  it("is told which grant creates the schema, and that grant is enough", async () => {
    await asRole(async (limited, role) => {
      const schema = newSchema();
      const name = new URL(database.connectionString).pathname.slice(1);
      const grant = `grant create on database "${name}" to "${role}"`;
      await expect(applyMigrations({ driver: limited, schema })).rejects.toMatchObject(forbidden(grant));
      await database.sql(grant);
      expect(await applyMigrations({ driver: limited, schema })).toMatchObject({ applied: ALL });
    });
  });

  it("is told which grant fills an existing schema, and that grant is enough", async () => {
    await asRole(async (limited, role) => {
      const schema = newSchema();
      await database.sql(`create schema ${schema.quoted}`);
      const grant = `grant usage, create on schema ${schema.quoted} to "${role}"`;
      await expect(applyMigrations({ driver: limited, schema })).rejects.toMatchObject(forbidden(grant));
      await database.sql(grant);
      expect(await applyMigrations({ driver: limited, schema })).toMatchObject({ applied: ALL });
    });
  });

  it("is told when it may not look at the schema of another role (behaviours 285)", async () => {
    await asRole(async (limited) => {
      const schema = newSchema();
      await applyMigrations({ driver, schema });
      await expect(applyMigrations({ driver: limited, schema })).rejects.toMatchObject({
        code: "HOWDAH_DATABASE_FORBIDDEN",
      });
      await expect(readSchemaRevision({ driver: limited, schema })).rejects.toMatchObject({
        code: "HOWDAH_DATABASE_FORBIDDEN",
        message: expect.stringMatching(/^(?!.*\bcreate\b).*roles\.sql/s),
      });
    });
  });

  it("needs to see the ledgers, and no more, when another role migrates", async () => {
    await asRole(async (limited, role) => {
      const schema = newSchema();
      await applyMigrations({ driver, schema });
      await database.sql(`grant usage on schema ${schema.quoted} to ${role}`);
      await database.sql(`grant select on ${schema.of("_howdah_migrations")}, ${schema.of("migrations")} to ${role}`);
      expect(await readSchemaRevision({ driver: limited, schema })).toBe(LATEST);
      expect(await applyMigrations({ driver: limited, schema })).toEqual({ revision: LATEST, applied: [] });
    });
  });
});
