import { afterAll, describe, expect, it } from "vitest";
import type pg from "pg";
import { adoptSchema } from "../../../src/postgres/layout/adopt-schema.ts";
import { ownSchema, planOwning } from "../../../src/postgres/layout/own-schema.ts";
import { releaseSchema } from "../../../src/postgres/layout/release-schema.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { createSchema, type Schema } from "../../../src/postgres/schema.ts";
import type { Logger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { describeSchema } from "../../harness/describe-schema.ts";
import { foreignSchemaSql } from "../../harness/foreign-schema.ts";

const database = await createDatabase({ migrate: false });
const { driver, connectionString } = database;
afterAll(() => database.drop());

let schemaCount = 0;
async function foreignSchema(name?: string): Promise<Schema> {
  schemaCount += 1;
  const schema = createSchema(name ?? `for_others_${schemaCount}`);
  await database.sql(foreignSchemaSql(schema.name));
  return schema;
}

/** Keeps what is warned of. */
function warnings(): { readonly logger: Logger; readonly said: string[] } {
  const said: string[] = [];
  const ignore = (): void => {};
  return { logger: { debug: ignore, info: ignore, warn: (text) => void said.push(text), error: ignore }, said };
}

/** A claim of theirs as far as it matters here: prepared, and with all columns of a job. */
function claimIn(schema: Schema): pg.QueryConfig {
  return { name: "claim", text: `update ${schema.quoted}._private_jobs as jobs set attempts = attempts returning *` };
}

describe("a session that has prepared a claim of another job queue", () => {
  it.each(["plain", "Capitals", `with "quotes" and '$1'.`, "back\\slash (a|b)", "grün"])(
    "on schema %s is ended when it is adopted and again when it is released, also by a second call",
    async (name) => {
      const schema = await foreignSchema(name);
      const changes = [adoptSchema, releaseSchema, releaseSchema];
      for (const change of changes) {
        const session = await database.connect();
        const ended = new Promise((resolve) => void session.once("end", resolve));
        await session.query(claimIn(schema));
        const { logger, said } = warnings();
        await change({ driver, schema, logger, watchMs: 0 });
        await ended;
        expect(said).toEqual([expect.stringMatching(/^Ended 1 sessions/)]);
      }
    },
  );

  it("is not ended in the middle of what it sends, but when it comes to rest", async () => {
    const schema = await foreignSchema();
    const [busy, idle] = [await database.connect(), await database.connect()];
    const endOf = (session: pg.Client): Promise<unknown> =>
      new Promise((resolve) => void session.once("end", () => resolve("ended")));
    const [busyEnd, idleEnd] = [endOf(busy), endOf(idle)];
    await idle.query(claimIn(schema));
    const complete = `delete from ${schema.quoted}._private_jobs as jobs where false`;
    let isIdleEnded = false;
    void idleEnd.then(() => (isIdleEnded = true));
    let isAdopted = false;
    const working = (async () => {
      while (!isIdleEnded) await busy.query(complete);
      for (const endAt = performance.now() + 1_000; performance.now() < endAt;) await busy.query(complete);
      return isAdopted;
    })();
    await adoptSchema({ driver, schema, watchMs: 6_000 });
    isAdopted = true;
    expect(await working).toBe(false);
    expect(await busyEnd).toBe("ended");
  });

  it("on a schema whose name ends in the same way goes on", async () => {
    const [schema, other] = [await foreignSchema("queue"), await foreignSchema("other_queue")];
    const session = await database.connect();
    await session.query(claimIn(other));
    await adoptSchema({ driver, schema, watchMs: 0 });
    await releaseSchema({ driver, schema, watchMs: 0 });
    expect((await session.query("select 1")).rowCount).toBe(1);
  });
});

const CALLS = [
  "add_job('t')",
  "add_job('t', job_key => 'key', queue_name => 'queue')",
  "add_job('t', job_key => 'key', job_key_mode => 'unsafe_dedupe')",
  "add_jobs(array[('t', '{}', 'queue', null, null, 'key', null, null)::SCHEMA.job_spec])",
  "remove_job('key')",
  "complete_jobs('{0}')",
  "permanently_fail_jobs('{0}')",
  "reschedule_jobs('{0}')",
  "force_unlock_workers('{none}')",
];

/** A role of its own with what an application may have been granted, and its way to the database. */
async function grantedRole(schema: Schema): Promise<{ role: string; url: string; drop(): Promise<void> }> {
  const role = `granted_${schema.name}`;
  await database.sql(`
    create role ${role} login bypassrls;
    grant usage on schema ${schema.quoted} to ${role};
    grant select, insert, update, delete on all tables in schema ${schema.quoted} to ${role}`);
  const url = new URL(connectionString);
  url.searchParams.set("options", `-c role=${role}`);
  return {
    role,
    url: url.href,
    drop: async () => void (await database.sql(`drop owned by ${role}; drop role ${role}`)),
  };
}

describe("a role that was granted rights on tables of another job queue", () => {
  it("may call every function in the adopted schema that it could call before", async () => {
    const schema = await foreignSchema();
    const { url, drop } = await grantedRole(schema);
    const granted = pgDriver({ connectionString: url });
    const callAll = async (): Promise<void> => {
      for (const call of CALLS) {
        await granted.query({ text: `select ${schema.quoted}.${call.replace("SCHEMA", schema.quoted)}` });
      }
    };
    const before = await describeSchema(database, schema.name);
    await callAll();
    await adoptSchema({ driver, schema, watchMs: 0 });
    await callAll();
    await releaseSchema({ driver, schema, watchMs: 0 });
    await callAll();
    expect(await describeSchema(database, schema.name)).toEqual(before);
    await granted.close();
    await drop();
  });

  it("does not adopt the schema, and is told whose it is", async () => {
    const schema = await foreignSchema();
    const { role, url, drop } = await grantedRole(schema);
    await database.sql(`grant create on schema ${schema.quoted} to ${role}`);
    const granted = pgDriver({ connectionString: url });
    const before = await describeSchema(database, schema.name);
    await expect(adoptSchema({ driver: granted, schema, watchMs: 0 })).rejects.toMatchObject({
      code: "HOWDAH_DATABASE_FORBIDDEN",
      message: expect.stringMatching(/belong to role .*run this with that role/),
    });
    expect(await describeSchema(database, schema.name)).toEqual(before);
    await granted.close();
    await drop();
  });
});

describe("an owner that may not see what sessions of other roles do", () => {
  it("is told that workers of others have to be restarted, and how many sessions there are", async () => {
    const role = "blind_owner";
    await database.sql(`create role ${role} login`);
    const [{ name = "" } = {}] = await database.sql("select current_database() as name");
    await database.sql(`grant create on database "${name}" to ${role}`);
    const url = new URL(connectionString);
    url.searchParams.set("options", `-c role=${role}`);
    const blind = pgDriver({ connectionString: url.href });
    const schema = createSchema("of_a_blind_owner");
    await blind.query({ text: `create schema ${schema.quoted}` });
    const sql = foreignSchemaSql(schema.name).replace(/create schema [^;]*;/, "");
    await blind.transaction((transaction) => transaction.query({ text: sql }));
    const session = await database.connect();
    await session.query(claimIn(schema));
    const { logger, said } = warnings();
    await adoptSchema({ driver: blind, schema, logger, watchMs: 0 });
    expect(said).toEqual([expect.stringMatching(/have to be restarted.* see what \d+ sessions do/)]);
    expect((await planOwning({ driver: blind, schema })).traces.hiddenSessions).toBeGreaterThan(0);
    await blind.close();
    await database.sql(`drop schema ${schema.quoted} cascade; drop owned by ${role}; drop role ${role}`);
  });
});

describe("what users have made of an adopted schema", () => {
  it("keeps a shared function running with the rights of its owner, when an operator has said so", async () => {
    const schema = await foreignSchema();
    await database.sql(`alter function ${schema.of("remove_job")} security definer`);
    const before = await describeSchema(database, schema.name);
    await adoptSchema({ driver, schema, watchMs: 0 });
    const [row] = await database.sql("select prosecdef from pg_proc where oid = $1::regproc", [
      schema.of("remove_job"),
    ]);
    expect(row).toEqual({ prosecdef: true });
    await releaseSchema({ driver, schema, watchMs: 0 });
    expect(await describeSchema(database, schema.name)).toEqual(before);
  });

  it.each([
    ["made one's own", ownSchema],
    ["released", releaseSchema],
  ])("names a view of theirs that keeps the schema from being %s", async (_, change) => {
    const schema = await foreignSchema();
    await adoptSchema({ driver, schema, watchMs: 0 });
    const view = `view_${schema.name}`;
    await database.sql(`create view public.${view} as select * from ${schema.of("_private_jobs")}`);
    await expect(change({ driver, schema })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_BUSY",
      message: expect.stringContaining(view),
    });
    await database.sql(`drop view public.${view}`);
    await change({ driver, schema });
  });
});
