import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Driver } from "../../../src/postgres/driver.ts";
import { pgDriver, type PgDriverOptions, type PgPool } from "../../../src/postgres/drivers/pg.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase({ migrate: false });
const { connectionString } = database;
const stranger = `stranger_${process.pid}`;
const ends: (() => Promise<void>)[] = [];
const warnings: string[] = [];
const logger = { error: ignore, info: ignore, debug: ignore, warn: (message: string) => void warnings.push(message) };

function ignore(): void {}

function openPool(options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 2, ...options });
  ends.push(async () => {
    pool.on("error", ignore);
    await pool.end();
  });
  return pool;
}

function open(pool: PgPool, options: PgDriverOptions = {}): Driver {
  const driver = pgDriver({ pool, logger, ...options });
  ends.unshift(() => driver.close());
  return driver;
}

beforeAll(() => database.sql(`create role ${stranger}; create table seen (what text)`));
beforeEach(async () => {
  warnings.length = 0;
  await database.sql("delete from seen");
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(async () => {
  await database.sql(`drop owned by ${stranger}; drop role ${stranger}`);
  await database.drop();
});

const INSERT = { text: "insert into seen values ('ours')" };

/** All that is done with a connection of the pool. */
const CALLS: readonly (readonly [string, (driver: Driver) => Promise<unknown>])[] = [
  ["a statement", (driver) => driver.query(INSERT)],
  ["a transaction", (driver) => driver.transaction((transaction) => transaction.query(INSERT))],
  ["a statement of a handler", async (driver) => driver.share?.("handlers").query(INSERT)],
  [
    "a transaction of a handler",
    async (driver) => driver.share?.("handlers").transaction((transaction) => transaction.query(INSERT)),
  ],
];

/** How a client comes back to its pool with the rights of another role. */
const LEFT: readonly (readonly [string, (client: pg.PoolClient) => Promise<unknown>])[] = [
  ["has set its session authorization", (client) => client.query(`set session authorization ${stranger}`)],
  ["has set its role", (client) => client.query(`set role ${stranger}`)],
  ["has committed that", (client) => client.query(`begin; set role ${stranger}; commit`)],
  ["has set it by a function", (client) => client.query("select set_config('role', $1, false)", [stranger])],
  ["has given back one of two", (client) => client.query(`set session authorization ${stranger}; reset role`)],
  [
    "has something under way",
    async (client) => {
      await client.query(`set role ${stranger}`);
      void client.query("select pg_sleep(0.01)");
    },
  ],
];

async function backends(pool: pg.Pool): Promise<number[]> {
  const clients = await Promise.all([pool.connect(), pool.connect()]);
  const pids: number[] = [];
  for (const client of clients) {
    pids.push((await client.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]?.pid ?? 0);
    client.release();
  }
  return pids.toSorted((a, b) => a - b);
}

async function leaveAll(pool: pg.Pool, leave: (client: pg.PoolClient) => Promise<unknown>): Promise<void> {
  const clients = await Promise.all([pool.connect(), pool.connect()]);
  for (const client of clients) {
    await leave(client);
    client.release();
  }
}

describe.each(LEFT)("a client of the application's pool that %s", (_name, leave) => {
  it.each(CALLS)("is not used for %s", async (_call, ask) => {
    const pool = openPool();
    const driver = open(pool);
    await leaveAll(pool, leave);
    await ask(driver);
    await ask(driver);
    expect(await database.sql("select what from seen")).toHaveLength(2);
    expect(warnings).toEqual([expect.stringContaining("rights of another role")]);
  });

  it("is not used when it was open before the driver", async () => {
    const pool = openPool();
    await backends(pool);
    const driver = open(pool);
    await leaveAll(pool, leave);
    await driver.query(INSERT);
    await driver.query(INSERT);
    expect(await database.sql("select what from seen")).toHaveLength(2);
  });
});

describe("a client of the application's pool", () => {
  it.each([
    ["reset", `set session authorization ${stranger}; set role none; reset session authorization`],
    ["reset statement by statement", `set role ${stranger}`, "reset role"],
    ["reset by the end of its transaction", `begin; set local role ${stranger}`, "commit"],
    ["undone", `begin; set session authorization ${stranger}`, "rollback"],
    ["discarded", `set session authorization ${stranger}`, "discard all"],
  ])("whose rights were %s is used on", async (_how, ...statements) => {
    const pool = openPool();
    const driver = open(pool);
    const before = await backends(pool);
    await leaveAll(pool, async (client) => {
      for (const text of statements) await client.query(text);
    });
    for (const [, ask] of CALLS) await ask(driver);
    expect(await backends(pool)).toEqual(before);
    expect(warnings).toEqual([]);
  });

  it("is waited for when what is under way gives its rights back", async () => {
    const pool = openPool();
    const driver = open(pool);
    const before = await backends(pool);
    await leaveAll(pool, async (client) => {
      await client.query(`begin; insert into seen values ('theirs'); set local role ${stranger}`);
      void client.query("commit");
    });
    await driver.query(INSERT);
    await driver.query(INSERT);
    // A statement on each of them, behind the commits.
    expect(await backends(pool)).toEqual(before);
    expect(await database.sql("select what from seen")).toHaveLength(4);
    expect(warnings).toEqual([]);
  });

  it("is closed after a handler that changed its rights", async () => {
    const driver = open(openPool({ max: 1 }), { handlerConnections: 0 });
    for (const text of [`set role ${stranger}`, `set session authorization ${stranger}`]) {
      await driver.share?.("handlers").query({ text });
      await driver.query(INSERT);
    }
    expect(warnings).toHaveLength(1);
  });
});

describe("a pool whose connections are given a role when they connect", () => {
  it.each([
    ["in one statement", (client: pg.PoolClient) => void client.query(`set role ${stranger}`)],
    [
      "in the second of two that are waited for",
      (client: pg.PoolClient) =>
        void client.query("set application_name = 'theirs'").then(() => client.query(`set role ${stranger}`)),
    ],
  ])("%s keeps them, and their role", async (_how, setUp) => {
    await database.sql(`grant insert, select on seen to ${stranger}`);
    const pool = openPool();
    pool.on("connect", setUp);
    const driver = open(pool);
    await Promise.all([driver.query(INSERT), driver.query(INSERT)]);
    const before = await backends(pool);
    for (const [, ask] of CALLS) await ask(driver);
    expect((await driver.query({ text: "select current_user" })).rows).toEqual([[stranger]]);
    expect(await backends(pool)).toEqual(before);
    expect(warnings).toEqual([]);

    await leaveAll(pool, (client) => client.query("reset role"));
    expect((await driver.query({ text: "select current_user" })).rows).toEqual([[stranger]]);
    expect(warnings).toHaveLength(1);
  });

  it("does not take what the application or a handler leaves behind for that", async () => {
    const pool = openPool();
    const driver = open(pool, { handlerConnections: 0 });
    const first = await pool.connect();
    await driver.share?.("handlers").query({ text: `set role ${stranger}` });
    const second = await pool.connect();
    for (const client of [first, second]) {
      void client.query(`set role ${stranger}`);
      client.release();
    }
    await driver.query({ text: "select 1" });
    await driver.query({ text: "select 1" });
    expect((await driver.query({ text: "select current_user <> $1", values: [stranger] })).rows).toEqual([["t"]]);
  });
});

/** A pool that makes an object of its own for each client that it lends. */
function wrap(pool: pg.Pool): PgPool {
  return {
    on: (event: "error", listener: (error: Error) => void) => pool.on(event, listener),
    removeListener: (event: "error", listener: (error: Error) => void) => pool.removeListener(event, listener),
    async connect() {
      const client = await pool.connect();
      const wrapper: object = {
        connection: (client as unknown as { connection: NodeJS.EventEmitter }).connection,
        query: (statement: pg.QueryConfig) => client.query(statement),
        on: client.on.bind(client),
        removeListener: client.removeListener.bind(client),
        release: client.release.bind(client),
        getTransactionStatus: () => client.getTransactionStatus(),
      };
      return wrapper as pg.PoolClient;
    },
  };
}

describe("drivers on one pool", () => {
  it("have one listener on each connection, and leave none on the pool", async () => {
    const told: Error[] = [];
    const onWarning = (warning: Error): void => void told.push(warning);
    process.on("warning", onWarning);
    const pool = openPool({ max: 1 });
    const client = await pool.connect();
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
    client.release();
    const before = connection.listenerCount("parameterStatus");
    const wrapped = wrap(pool);
    for (let round = 0; round < 12; round++) {
      const drivers = [pool, wrapped].map((of) => pgDriver({ pool: of, handlerConnections: 0, logger }));
      for (const driver of drivers) await driver.query({ text: "select 1" });
      for (const driver of drivers) await driver.close();
    }
    process.removeListener("warning", onWarning);
    expect(told.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
    expect(connection.listenerCount("parameterStatus") - before).toBe(2);
    for (const event of ["error", "connect", "acquire", "release"]) expect(pool.listenerCount(event)).toBe(0);
  });
});
