import { afterAll, describe, expect, it } from "vitest";
import { createClient, createWorker, defineTask, migrate } from "../../../src/index.ts";
import { applyMigrations } from "../../../src/postgres/apply-migrations.ts";
import { adoptSchema, describeAdoption } from "../../../src/postgres/layout/adopt-schema.ts";
import { releaseSchema } from "../../../src/postgres/layout/release-schema.ts";
import { migrations } from "../../../src/postgres/migrations.generated.ts";
import { createSchema, type Schema } from "../../../src/postgres/schema.ts";
import { readSchemaRevision, readSchemaState } from "../../../src/postgres/schema-revision.ts";
import { createDatabase } from "../../harness/database.ts";
import { describeSchema } from "../../harness/describe-schema.ts";
import {
  foreignClaimSql,
  foreignCompleteSql,
  foreignSchemaSql,
  type ForeignSchemaOptions,
} from "../../harness/foreign-schema.ts";

const LATEST = migrations.length;
const ALL = migrations.map(({ id }) => id);

const database = await createDatabase({ migrate: false });
const { driver, connectionString } = database;
afterAll(() => database.drop());

let schemaCount = 0;

/** A schema that another job queue made and uses: with jobs that wait, run, and failed for good. */
async function foreignSchema(options?: ForeignSchemaOptions): Promise<Schema> {
  schemaCount += 1;
  const schema = createSchema(`adopted_${schemaCount}`);
  await database.sql(foreignSchemaSql(schema.name, options));
  await database.sql(`select ${schema.of("add_job")}('t', '{"n":1}')`);
  await database.sql(`select ${schema.of("add_job")}('t', '{"n":2}', 'queue')`);
  await database.sql(`select ${schema.of("add_job")}('t', '{"n":3}', 'queue')`);
  await database.sql(`select ${schema.of("add_job")}('t', '{"n":4}', max_attempts => 1)`);
  await database.sql(`update ${schema.of("_private_jobs")} set attempts = 1 where max_attempts = 1`);
  return schema;
}

/** Runs all that is due and returns the payloads, in order. */
async function run(schema: Schema): Promise<number[]> {
  const done: number[] = [];
  const task = defineTask({ identifier: "t", run: (payload: { n: number }) => void done.push(payload.n) });
  const worker = await createWorker({ connectionString, schema: schema.name, tasks: [task] });
  await worker.runOnce();
  await worker.stop();
  return done.toSorted((a, b) => a - b);
}

async function ledgerOf(schema: Schema): Promise<unknown[]> {
  return database.sql(`select id, breaking, ts from ${schema.of("migrations")} order by id`);
}

async function indexesOf(schema: Schema): Promise<unknown[]> {
  return database.sql(
    `select relname::text as name, indisvalid as valid from pg_index join pg_class on pg_class.oid = indexrelid
     where indrelid = $1::regclass order by 1`,
    [schema.of("_private_jobs")],
  );
}

const MADE: [string, ForeignSchemaOptions][] = [
  ["graphile-worker at its migration 16", { ledger: 16 }],
  ["graphile-worker at its migration 17", { ledger: 17 }],
  ["graphile-worker at its migration 18", { ledger: 18 }],
  ["graphile-worker at its migration 19", { ledger: 19 }],
  ["graphile-worker at its migration 20", { ledger: 20 }],
  ["graphile_worker_rs at its migration 20", { ledger: 20, maker: "rust" }],
];

describe.each(MADE)("a schema of %s", (_, options) => {
  it("is adopted with its jobs, used, and released as it was", async () => {
    const schema = await foreignSchema(options);
    const before = await describeSchema(database, schema.name);
    const ledger = await ledgerOf(schema);
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toEqual({ revision: LATEST, applied: ALL });
    expect(await ledgerOf(schema)).toEqual(ledger);
    expect(await readSchemaRevision({ driver, schema })).toBe(LATEST);
    expect(await readSchemaState(driver, schema)).toMatchObject({ layout: "shared", isAdopted: true });
    expect(await run(schema)).toEqual([1, 2, 3]);
    await releaseSchema({ driver, schema });
    expect(await describeSchema(database, schema.name)).toEqual(before);
    expect(await database.sql(`select payload from ${schema.of("_private_jobs")}`)).toEqual([{ payload: { n: 4 } }]);
  });

  it("keeps what its makers made: columns, indexes, constraints and row security", async () => {
    const schema = await foreignSchema(options);
    const before = await describeSchema(database, schema.name);
    await adoptSchema({ driver, schema, watchMs: 0 });
    const after = new Set(await describeSchema(database, schema.name));
    expect(before.filter((line) => !line.startsWith("function ") && !after.has(line))).toEqual([]);
  });

  it("goes on to serve its makers: their adds, claims and completions", async () => {
    const schema = await foreignSchema(options);
    await adoptSchema({ driver, schema, watchMs: 0 });
    await database.sql(`select ${schema.of("add_job")}('t', '{"n":5}', 'another')`);
    const claimed = await database.sql(foreignClaimSql(schema.name, { worker: "pool-1", limit: 10 }));
    expect(claimed).toHaveLength(4);
    for (const { id } of claimed) {
      await database.sql(foreignCompleteSql(schema.name, { worker: "pool-1", id: String(id) }));
    }
    expect(await database.sql(`select payload from ${schema.of("_private_jobs")}`)).toEqual([{ payload: { n: 4 } }]);
  });
});

describe("adopting", () => {
  it("does nothing the second time, and a migration after it does nothing", async () => {
    const schema = await foreignSchema();
    await adoptSchema({ driver, schema, watchMs: 0 });
    const adopted = await describeSchema(database, schema.name);
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toEqual({ revision: LATEST, applied: [] });
    expect(await applyMigrations({ driver, schema })).toEqual({ revision: LATEST, applied: [] });
    expect(await describeAdoption({ driver, schema })).toBe("");
    expect(await describeSchema(database, schema.name)).toEqual(adopted);
  });

  it("migrates a schema of Howdah's own, or none, as ever", async () => {
    const schema = createSchema("never_foreign");
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toEqual({ revision: LATEST, applied: ALL });
    expect(await readSchemaState(driver, schema)).toMatchObject({ layout: "owned", isAdopted: false });
    expect(await adoptSchema({ driver, schema, watchMs: 0 })).toEqual({ revision: LATEST, applied: [] });
  });

  it("is an option of migrate()", async () => {
    const { name: schema } = await foreignSchema();
    await expect(migrate({ connectionString, schema })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_FOREIGN",
      message: expect.stringContaining("howdah migrate --adopt"),
    });
    expect(await migrate({ connectionString, schema, adopt: true })).toEqual({ revision: LATEST, applied: ALL });
    await expect(migrate({ connectionString, schema, adopt: true, own: true })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
    });
  });

  it("tells its SQL, which does the same when it is run by hand", async () => {
    const [schema, other] = [await foreignSchema(), await foreignSchema()];
    const before = await describeSchema(database, schema.name);
    const sql = await describeAdoption({ driver, schema });
    expect(await describeSchema(database, schema.name)).toEqual(before);
    const [columns = "", rest = ""] = (sql ?? "").split(/(?=^create index concurrently)/m, 1).concat(sql ?? "");
    // An index is built concurrently, which nothing may be sent together with.
    const indexes = rest.match(/^create index concurrently [^;]*/gm) ?? [];
    const objects = rest.slice(rest.indexOf("-- What is Howdah's alone"));
    expect(indexes).toHaveLength(5);
    for (const text of [columns, ...indexes, objects]) await database.sql(text);
    await adoptSchema({ driver, schema: other, watchMs: 0 });
    const linesOf = async ({ name }: Schema): Promise<string[]> =>
      (await describeSchema(database, name)).map((line) => line.replaceAll(name, "same"));
    expect((await linesOf(schema)).toSorted()).toEqual((await linesOf(other)).toSorted());
    expect(await run(schema)).toEqual([1, 2, 3]);
  });

  it("keeps the functions of a migration that it does not know", async () => {
    const schema = await foreignSchema({ ledger: 20, maker: "rust" });
    await database.sql(`insert into ${schema.of("migrations")} (id) values (21)`);
    const theirs = (await describeSchema(database, schema.name)).filter((line) => line.startsWith("function "));
    await adoptSchema({ driver, schema, watchMs: 0 });
    const after = new Set(await describeSchema(database, schema.name));
    expect(theirs.filter((line) => !after.has(line))).toEqual([]);
    expect(await run(schema)).toEqual([1, 2, 3]);
  });

  it("brings back our functions after a migration of theirs that is known, and releases to the newest of theirs", async () => {
    const schema = await foreignSchema({ ledger: 19 });
    await adoptSchema({ driver, schema, watchMs: 0 });
    await database.sql(`insert into ${schema.of("migrations")} (id) values (20)`);
    await database.sql(`
      create or replace function ${schema.of("remove_job")}(job_key text) returns ${schema.of("_private_jobs")}
      language plpgsql strict as $$ begin return null; end $$`);
    const [theirs] = (await describeSchema(database, schema.name)).filter((line) =>
      /^function .*\.remove_job/.test(line),
    );
    await adoptSchema({ driver, schema, watchMs: 0 });
    const [ours] = (await describeSchema(database, schema.name)).filter((line) =>
      /^function .*\.remove_job/.test(line),
    );
    expect(ours).toContain("_howdah_lock_keys_v1");
    await releaseSchema({ driver, schema });
    const [back] = (await describeSchema(database, schema.name)).filter((line) =>
      /^function .*\.remove_job/.test(line),
    );
    expect(back).toBe(theirs);
  });

  it("by another role gives what it adds to the one that owns the tables, which then needs no right beside", async () => {
    const schema = await foreignSchema();
    const role = `owner_${schema.name}`;
    await database.sql(`create role ${role} login`);
    await database.sql(`alter schema ${schema.quoted} owner to ${role}`);
    const relations = await database.sql(
      "select relname, relkind from pg_class where relnamespace = $1::regnamespace and relkind in ('r', 'v')",
      [schema.quoted],
    );
    for (const { relname } of relations) {
      await database.sql(`alter table ${schema.of(relname as string)} owner to ${role}`);
    }
    await database.sql(`alter type ${schema.of("job_spec")} owner to ${role}`);
    const functions = await database.sql(
      "select oid::regprocedure as f from pg_proc where pronamespace = $1::regnamespace",
      [schema.quoted],
    );
    for (const { f } of functions) await database.sql(`alter function ${String(f)} owner to ${role}`);
    await adoptSchema({ driver, schema, watchMs: 0 });
    const url = new URL(connectionString);
    url.searchParams.set("options", `-c role=${role}`);
    const client = await createClient({ connectionString: url.href, schema: schema.name });
    await client.addJob("t", { n: 5 }, { jobKey: "key" });
    expect((await client.diagnose({ only: ["rights"] })).results).toMatchObject([{ status: "ok" }]);
    await client.close();
    await database.sql(`drop owned by ${role}`);
    await database.sql(`drop role ${role}`);
  });

  it("makes an index again that a killed build has left invalid", async () => {
    const schema = await foreignSchema();
    await adoptSchema({ driver, schema, watchMs: 0 });
    await database.sql(`update pg_index set indisvalid = false where indexrelid = $1::regclass`, [
      schema.of("_howdah_ready"),
    ]);
    await adoptSchema({ driver, schema, watchMs: 0 });
    expect(await indexesOf(schema)).toEqual([
      { name: "_howdah_due", valid: true },
      { name: "_howdah_failed", valid: true },
      { name: "_howdah_queued", valid: true },
      { name: "_howdah_ready", valid: true },
      { name: "jobs_key_key1", valid: true },
      { name: "jobs_main_index", valid: true },
      { name: "jobs_no_queue_index", valid: true },
      { name: "jobs_pkey1", valid: true },
    ]);
  });
});

describe("jobs that fail for good in an adopted schema", () => {
  it("are told apart, whichever statement uses up or gives back their attempts", async () => {
    const schema = await foreignSchema();
    await adoptSchema({ driver, schema, watchMs: 0 });
    const jobs = schema.of("_private_jobs");
    const failed = async (): Promise<unknown[]> =>
      (await database.sql(`select payload->'n' as n from ${jobs} where _howdah_exhausted order by id`)).map(
        ({ n }) => n,
      );
    expect(await failed()).toEqual([4]);
    await database.sql(`update ${jobs} set attempts = max_attempts where payload->>'n' = '1'`);
    expect(await failed()).toEqual([1, 4]);
    await database.sql(`update ${jobs} set locked_at = now(), locked_by = 'pool-1' where payload->>'n' = '1'`);
    expect(await failed()).toEqual([4]);
    await database.sql(`update ${jobs} set locked_at = null, locked_by = null, attempts = 0`);
    expect(await failed()).toEqual([]);
    await database.sql(`
      insert into ${jobs} (task_id, payload, attempts) select task_id, '{"n":6}', 25 from ${jobs} limit 1`);
    expect(await failed()).toEqual([6]);
    expect(await run(schema)).toEqual([1, 2, 3, 4]);
    await using client = await createClient({ connectionString, schema: schema.name });
    expect((await client.stats()).failed).toMatchObject({ value: 1 });
  });

  it("that others replace while they run here do not run again when they are returned", async () => {
    const schema = await foreignSchema();
    await adoptSchema({ driver, schema, watchMs: 0 });
    const jobs = schema.of("_private_jobs");
    await database.sql(`update ${jobs} set key = 'key' where payload->>'n' = '1'`);
    await database.sql(`update ${jobs} set locked_at = now(), locked_by = 'w', attempts = 1 where key = 'key'`);
    await database.sql(`update ${jobs} set key = null, attempts = max_attempts where key = 'key'`);
    expect(await database.sql(`select _howdah_detached as detached from ${jobs} where locked_by = 'w'`)).toEqual([
      { detached: true },
    ]);
    await database.sql(`select ${schema.of("recover_dead_worker_jobs")}('{w}')`);
    expect(await run(schema)).toEqual([2, 3]);
  });
});

describe("a schema that cannot be adopted", () => {
  const adoption = (schema: Schema): Promise<unknown> => adoptSchema({ driver, schema, watchMs: 0 });

  it.each([
    ["is older than their migration 16", { ledger: 15 }, "", /migration 15/],
    ["lacks a column", {}, "alter table :schema._private_jobs drop column revision cascade", /lacks .*revision/],
    ["has a column of another type", {}, "alter table :schema._private_jobs alter revision type bigint", /revision/],
  ])("%s: is refused and left as it is", async (__, options, change, message) => {
    const schema = await foreignSchema(options);
    if (change !== "") {
      await database.sql(`drop view ${schema.of("jobs")}`);
      await database.sql(change.replace(":schema", schema.quoted));
    }
    const before = await describeSchema(database, schema.name);
    const refused = { code: "HOWDAH_SCHEMA_FOREIGN", message: expect.stringMatching(message) };
    await expect(adoption(schema)).rejects.toMatchObject(refused);
    expect(await describeSchema(database, schema.name)).toEqual(before);
  });

  it("has a breaking migration that is not known: neither is it adopted, nor used when it was adopted before", async () => {
    const [schema, used] = [await foreignSchema(), await foreignSchema()];
    await adoption(used);
    for (const { quoted } of [schema, used]) {
      await database.sql(`insert into ${quoted}.migrations (id, breaking) values (21, true)`);
    }
    const tooNew = { code: "HOWDAH_SCHEMA_TOO_NEW", message: expect.stringMatching(/migration 21 .* breaking/) };
    await expect(adoption(schema)).rejects.toMatchObject(tooNew);
    await expect(adoption(used)).rejects.toMatchObject(tooNew);
    await expect(run(used)).rejects.toMatchObject(tooNew);
    await expect(createClient({ connectionString, schema: used.name, migrate: false })).rejects.toMatchObject(tooNew);
  });

  it("was begun to be adopted: it is neither used nor migrated before that is finished, and can be taken back", async () => {
    const schema = await foreignSchema();
    const before = await describeSchema(database, schema.name);
    const [, columns = ""] = (await describeAdoption({ driver, schema }))?.split("-- Their tables") ?? [];
    await database.sql(columns.slice(columns.indexOf("begin"), columns.indexOf("commit;") + "commit;".length));
    const unfinished = { code: "HOWDAH_SCHEMA_FOREIGN", message: expect.stringContaining("not finished") };
    await expect(applyMigrations({ driver, schema })).rejects.toMatchObject(unfinished);
    await expect(readSchemaRevision({ driver, schema })).rejects.toMatchObject(unfinished);
    await releaseSchema({ driver, schema });
    expect(await describeSchema(database, schema.name)).toEqual(before);
  });
});
