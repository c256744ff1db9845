import pg from "pg";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { executorOf, pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { createDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";
import { backendOf, hear } from "./listen.ts";

const database = await createDatabase({ migrate: false });
const { connectionString } = database;
const pools: pg.Pool[] = [];

function createPool(options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, ...options });
  pools.push(pool);
  return pool;
}

afterEach(async () => {
  for (const pool of pools.splice(0)) {
    // Only now: as long as a driver is open, it is the driver that minds.
    pool.on("error", () => undefined);
    await pool.end();
  }
});
afterAll(() => database.drop());

async function preparedNames(executor: {
  query: (q: { text: string }) => Promise<{ rows: unknown }>;
}): Promise<unknown> {
  return (
    await executor.query({
      text: "select name, calls from (select name, generic_plans + custom_plans as calls from pg_prepared_statements) as used order by name",
    })
  ).rows;
}

describe("a pool of the application", () => {
  it("stays open when the driver closes, with its settings and its parsers as they were", async () => {
    const bigint = (value: string): bigint => BigInt(value);
    const types: pg.CustomTypesConfig = {
      getTypeParser: ((id: number) =>
        id === 20 ? bigint : pg.types.getTypeParser(id)) as typeof pg.types.getTypeParser,
    };
    const pool = createPool({ types });
    const parser = pg.types.getTypeParser(20);
    const before = await pool.query("select 1::bigint as n, true as yes");
    const driver = pgDriver({ pool });
    expect((await driver.query({ text: "select 1::bigint, true" })).rows).toEqual([["1", "t"]]);
    await driver.transaction((transaction) => transaction.query({ text: "select 1::bigint" }));
    const ear = await hear(driver, ["foreign"]);
    expect(ear.sessions).toHaveLength(1);
    await driver.close();

    expect(pg.types.getTypeParser(20)).toBe(parser);
    expect((await pool.query("select 1::bigint as n, true as yes")).rows).toEqual(before.rows);
    expect((await pool.query("show statement_timeout")).rows).toEqual([{ statement_timeout: "0" }]);
    expect(pool.listenerCount("error")).toBe(0);
    expect(pool.idleCount).toBe(pool.totalCount);
  });

  it("gets the connection that listened destroyed, not back", async () => {
    const pool = createPool();
    const driver = pgDriver({ pool });
    const ear = await hear(driver, ["taken"]);
    const pid = Number(await backendOf(ear.sessions[0]));
    await ear.listening.close();
    await until(async () => (await database.sql("select from pg_stat_activity where pid = $1", [pid])).length === 0);
    expect(pool.totalCount).toBe(0);
    await driver.close();
  });

  it("cannot listen with a single connection, and says so", async () => {
    const driver = pgDriver({ pool: createPool({ max: 1 }) });
    await expect(hear(driver, ["alone"])).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: expect.stringContaining("listenConnectionString"),
    });
    const elsewhere = pgDriver({ pool: createPool({ max: 1 }), listenConnectionString: connectionString });
    const ear = await hear(elsewhere, ["elsewhere"]);
    await elsewhere.query({ text: "select pg_notify('elsewhere', 'x')" });
    await until(() => ear.heard.length === 1);
    await elsewhere.close();
  });

  it("serves read committed even when its connections are serializable by default", async () => {
    const pool = createPool({ options: "-c default_transaction_isolation=serializable", max: 1 });
    const driver = pgDriver({ pool });
    const text = "select current_setting('transaction_isolation'), $1::text";
    expect((await driver.query({ text, values: ["x"] })).rows).toEqual([["read committed", "x"]]);
    expect((await pool.query("show transaction_isolation")).rows).toEqual([{ transaction_isolation: "serializable" }]);
    await driver.close();
  });

  it("does not end the process when an idle connection is cut off", async () => {
    const pool = createPool();
    const driver = pgDriver({ pool });
    const { rows } = await driver.query({ text: "select pg_backend_pid()" });
    await database.sql("select pg_terminate_backend($1)", [Number(rows[0]?.[0])]);
    await until(() => pool.totalCount === 0);
    expect((await driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
    await driver.close();
  });

  it("is one way to the database, and only one can be given", () => {
    const both = { pool: createPool(), connectionString };
    expect(() => pgDriver(both)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
    expect(() => pgDriver({ pool: {} as pg.Pool })).toThrow(/connect\(\)/);
  });
});

/** What changes how `pg` reads, unless it is told otherwise with the statement. */
const READINGS: readonly (readonly [string, pg.PoolConfig & Record<string, unknown>])[] = [
  ["binary values", { binary: true }],
  ["parsers of its own", { types: { getTypeParser: () => () => "parsed" } }],
  ["rows in portions", { rows: 1 }],
  ["pipelined statements", { pipeline: true }],
  ["another encoding", { client_encoding: "LATIN1" }],
  ["dates of another style", { options: "-c DateStyle=German -c IntervalStyle=sql_standard" }],
  ["text as bytes", { options: "-c bytea_output=escape -c extra_float_digits=-15" }],
];

describe.each(READINGS)("a pool with %s", (_name, config) => {
  const text =
    "select 1::int2, 2::bigint, true, 'é'::text, '{\"a\": 1.10}'::json, '[1]'::jsonb, array['a', null], null, 1.5::numeric, 'x'::name, $1::text";
  const expected = [["1", "2", "t", "é", '{"a": 1.10}', "[1]", "{a,NULL}", null, "1.5", "x", "$"]];

  it("is read as text", async () => {
    const driver = pgDriver({ pool: createPool(config) });
    const query = { text, values: ["$"] };
    for (const executor of [driver, driver.share?.("handlers"), driver.share?.("waiting")]) {
      expect((await executor?.query(query))?.rows).toEqual(expected);
      expect((await executor?.query({ ...query, name: "kinds" }))?.rows).toEqual(expected);
      expect((await executor?.transaction((transaction) => transaction.query(query)))?.rows).toEqual(expected);
    }
    await driver.close();
  });

  it("has transactions of the application that are read as text, and otherwise as before", async () => {
    const pool = createPool(config);
    const before = (await pool.query("select 1::int as n")).rows;
    const client = await pool.connect();
    await client.query("begin");
    expect((await executorOf(client).query({ text, values: ["$"] })).rows).toEqual(expected);
    await client.query("rollback");
    expect((await client.query("select 1::int as n")).rows).toEqual(before);
    client.release();
  });
});

describe("binary values that a wrapper asks for", () => {
  it("are refused with a code", async () => {
    const pool = createPool();
    const client = await pool.connect();
    const wrapper = { query: (statement: object) => client.query({ ...statement, binary: true } as never) };
    await expect(executorOf(wrapper).query({ text: "select $1::int", values: ["1"] })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
      message: expect.stringContaining("binary"),
    });
    client.release();
  });
});

describe("connections of the driver's own", () => {
  it("are read as text when the process reads binary values", async () => {
    pg.defaults.binary = true;
    const driver = pgDriver({ connectionString });
    try {
      expect((await driver.query({ text: "select 1, $1::int", values: ["2"] })).rows).toEqual([["1", "2"]]);
    } finally {
      pg.defaults.binary = false;
      await driver.close();
    }
  });
});

describe("prepared statements", () => {
  const statement = { name: "of_two_texts", text: "select $1::integer + 1", values: ["1"] };

  it("are prepared once a connection and used again", async () => {
    const driver = pgDriver({ connectionString, maxConnections: 1 });
    for (let round = 0; round < 3; round++) await driver.query(statement);
    expect(await preparedNames(driver)).toEqual([[expect.stringMatching(/^howdah_of_two_texts_[0-9a-f]{12}$/), "3"]]);
    await driver.close();
  });

  it("may share a name, as two schemas on one pool do", async () => {
    const driver = pgDriver({ connectionString, maxConnections: 1 });
    expect((await driver.query(statement)).rows).toEqual([["2"]]);
    expect((await driver.query({ ...statement, text: "select $1::integer + 2" })).rows).toEqual([["3"]]);
    const long = { name: "long_".repeat(30), text: "select 'long'", values: [] };
    expect((await driver.query(long)).rows).toEqual([["long"]]);
    await driver.close();
  });

  it("are not made when they are switched off", async () => {
    const driver = pgDriver({ connectionString, maxConnections: 1, preparedStatements: false });
    await driver.query(statement);
    expect(await preparedNames(driver)).toEqual([]);
    await driver.close();
  });

  it("go on, in the same session, when the answer of a statement has changed its columns", async () => {
    const driver = pgDriver({ connectionString, maxConnections: 1 });
    await driver.query({ text: "create table reshaped (id integer)" });
    const reshaped = { name: "reshaped", text: "select * from reshaped", values: [] };
    await driver.query(reshaped);
    const session = { text: "select pg_backend_pid()" };
    const before = await driver.query(session);
    for (const column of ["more", "and_more"]) {
      await database.sql(`alter table reshaped add column ${column} text`);
      expect((await driver.query(reshaped)).rows).toEqual([]);
    }
    expect(await driver.query(session)).toEqual(before);
    await driver.close();
  });

  it("go on in the next transaction of an application whose last one was refused for it", async () => {
    const client = await database.connect();
    await client.query("create table reshaped_too (id integer)");
    const reshaped = { name: "reshaped_too", text: "select * from reshaped_too", values: [] };
    await executorOf(client).query(reshaped);
    await database.sql("alter table reshaped_too add column more text");
    await expect(executorOf(client).query(reshaped)).rejects.toThrow(/cached plan/);
    expect((await executorOf(client).query(reshaped)).rows).toEqual([]);
  });

  it("are planned anew once, and not more often, when the server refuses a statement all the same", async () => {
    const driver = pgDriver({ connectionString, maxConnections: 1 });
    await driver.query({ text: "create sequence tries" });
    await driver.query({
      text: `create function try() returns integer language plpgsql as $$
        begin perform nextval('tries'); raise undefined_table; end $$`,
    });
    await expect(driver.query({ text: "select try()" })).rejects.toMatchObject({ code: "42P01" });
    expect((await driver.query({ text: "select last_value from tries" })).rows).toEqual([["2"]]);
    await driver.close();
  });
});

describe("executorOf", () => {
  it("runs in the transaction of a client of the application, as text", async () => {
    const client = await database.connect();
    await client.query("create table by_client (id bigint)");
    await client.query("begin");
    const executor = executorOf(client);
    const insert = { name: "insert", text: "insert into by_client values ($1) returning id", values: ["7"] };
    expect(await executor.query(insert)).toEqual({ rows: [["7"]], count: 1 });
    expect((await executor.query({ text: "select 1; select true" })).rows).toEqual([["t"]]);
    await client.query("rollback");
    expect(await database.sql("select id from by_client")).toEqual([]);
  });

  it("takes a client of a pool, and what is an executor already", async () => {
    const client = await createPool().connect();
    expect((await executorOf(client).query({ text: "select true" })).rows).toEqual([["t"]]);
    client.release();
    await database.driver.transaction(async (transaction) => {
      expect((await executorOf(transaction).query({ text: "select $1::text", values: ["x"] })).rows).toEqual([["x"]]);
    });
  });

  it("passes on the errors of the client", async () => {
    const client = await database.connect();
    await expect(executorOf(client).query({ text: "select 1 / 0" })).rejects.toMatchObject({ code: "22012" });
  });

  it("prepares nothing when told not to", async () => {
    const client = await database.connect();
    const executor = executorOf(client, { preparedStatements: false });
    await executor.query({ name: "named", text: "select $1::text", values: ["x"] });
    expect(await preparedNames(executor)).toEqual([]);
  });
});

describe("the process", () => {
  it.each([
    ["pg", "idle"],
    ["pg", "closed"],
    ["postgres.js", "idle"],
    ["postgres.js", "closed"],
  ])("may end by itself while the driver over %s is %s", async (library, mode) => {
    const script = new URL("fixtures/leave-open.mjs", import.meta.url);
    await using child = await startNode(script, { args: [connectionString, mode, library] });
    await child.line("done");
    expect(await child.ended).toEqual({ code: 0, signal: null });
  });
});
