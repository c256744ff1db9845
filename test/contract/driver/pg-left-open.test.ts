import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Driver } from "../../../src/postgres/driver.ts";
import { pgDriver, type PgDriverOptions, type PgPool } from "../../../src/postgres/drivers/pg.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { hear } from "./listen.ts";

const database = await createDatabase({ migrate: false });
const { connectionString } = database;
const ends: (() => Promise<void>)[] = [];
const warnings: string[] = [];
const logger = { error: ignore, info: ignore, debug: ignore, warn: (message: string) => void warnings.push(message) };

function ignore(): void {}

function openPool(options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, ...options });
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

beforeAll(() => database.sql("create table seen (what text)"));
beforeEach(async () => {
  warnings.length = 0;
  await database.sql("delete from seen");
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(() => database.drop());

async function seen(): Promise<string[]> {
  return (await database.sql("select what from seen order by what")).map(({ what }) => what as string);
}

/** How a client comes back to its pool inside of a transaction. */
const LEFT: readonly (readonly [string, (client: pg.PoolClient) => Promise<unknown>])[] = [
  ["has begun and written", async (client) => client.query("begin; insert into seen values ('theirs')")],
  ["has begun", (client) => client.query("begin isolation level repeatable read read only")],
  ["has a failed statement", (client) => client.query("begin; select 1 / 0").catch(ignore)],
  [
    "has not waited for its statements",
    async (client) => {
      void client.query("begin");
      void client.query("insert into seen values ('theirs')");
    },
  ],
  [
    "has not waited for one that fails",
    async (client) => {
      void client.query("begin");
      client.query("select 1 / 0").catch(ignore);
    },
  ],
];

const INSERT = { text: "insert into seen values ($1)", values: ["ours"] };

/** What a driver is asked for. */
const CALLS: readonly (readonly [string, (driver: Driver) => Promise<unknown>])[] = [
  ["a statement", (driver) => driver.query(INSERT)],
  ["a prepared statement", (driver) => driver.query({ ...INSERT, name: "seen" })],
  ["a transaction", (driver) => driver.transaction((transaction) => transaction.query(INSERT))],
  ["a statement of a handler", async (driver) => driver.share?.("handlers").query(INSERT)],
  [
    "a transaction of a handler",
    async (driver) => driver.share?.("handlers").transaction((transaction) => transaction.query(INSERT)),
  ],
  ["a statement that may wait", async (driver) => driver.share?.("waiting").query(INSERT)],
];

describe.each(LEFT)("a client of the application's pool that %s", (_name, leave) => {
  it.each(CALLS)("does not swallow %s", async (_call, ask) => {
    const pool = openPool({ max: 2 });
    const driver = open(pool);
    const clients = [await pool.connect(), await pool.connect()];
    for (const client of clients) {
      await leave(client);
      client.release();
    }
    await ask(driver);
    await until(async () => (await seen()).length > 0);
    await ask(driver);
    expect(await seen()).toEqual(["ours", "ours"]);
    expect(warnings).toHaveLength(1);
  });
});

describe("a client of the application's pool", () => {
  it("is left alone when only its commit was not waited for", async () => {
    const pool = openPool({ max: 1 });
    const driver = open(pool, { handlerConnections: 0 });
    for (const [, ask] of CALLS) {
      const client = await pool.connect();
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      await client.query("begin; insert into seen values ('theirs')");
      void client.query("commit");
      client.release();
      await ask(driver);
      expect((await driver.query({ text: "select pg_backend_pid()" })).rows).toEqual([[String(rows[0]?.pid)]]);
    }
    expect(await seen()).toEqual(CALLS.flatMap(() => ["ours", "theirs"]).toSorted());
    expect(warnings).toEqual([]);
  });

  it("that is committed after it was given back leaves the outcome unknown, and says so", async () => {
    const pool = openPool({ max: 1 });
    const driver = open(pool, { handlerConnections: 0 });
    await driver.query({ text: "select 1" });
    const client = await pool.connect();
    const query = client.query.bind(client) as (statement: unknown) => Promise<unknown>;
    Object.assign(client, {
      query(statement: { text: string }) {
        // It cannot be seen that it is on its way.
        if (statement.text.startsWith("savepoint")) void query("commit");
        return query(statement);
      },
    });
    void query("begin");
    client.release();
    await expect(driver.query(INSERT)).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    expect(await seen()).toEqual(["ours"]);
  });

  it("is not listened on inside of a transaction, where nothing would be heard", async () => {
    const pool = openPool({ max: 4 });
    const driver = open(pool);
    const left = [await pool.connect(), await pool.connect()];
    for (const client of left) {
      void client.query("begin");
      client.release();
    }
    const ear = await until(() => hear(driver, ["left_open"]));
    await driver.query({ text: "select pg_notify('left_open', 'x')" });
    await until(() => ear.heard.length === 1);
    await ear.listening.close();
  });

  it("is not taken for ever when each comes inside of a transaction", async () => {
    const pool = openPool({ max: 1 });
    pool.on("connect", (client) => void client.query("begin"));
    const driver = open(pool, { handlerConnections: 0 });
    for (const [, ask] of CALLS)
      await expect(ask(driver)).rejects.toMatchObject({
        code: "HOWDAH_TRANSACTION_LEFT_OPEN",
        message: expect.stringContaining("20 connections"),
      });
    expect(await seen()).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  it("gets the errors that its own statements have earned", async () => {
    const driver = open(openPool({ max: 1 }), { handlerConnections: 0 });
    for (let round = 0; round < 3; round++) {
      await expect(driver.query({ text: "select 1 / 0" })).rejects.toMatchObject({ code: "22012" });
      await expect(driver.query({ text: "select 1 / $1::int", values: ["0"] })).rejects.toMatchObject({
        code: "22012",
      });
    }
    expect(warnings).toEqual([]);
  });
});

/** A pool whose clients have no `getTransactionStatus`, as those of `pg` before 8.20. */
function wrapped(pool: pg.Pool): PgPool {
  return {
    async connect() {
      const client = await pool.connect();
      return {
        query: (statement) => client.query(statement as never),
        on: (event: string, listener: (...args: never[]) => void) => client.on(event as never, listener as never),
        removeListener: (event, listener) => client.removeListener(event, listener),
        release: (destroy) => client.release(destroy),
      };
    },
  };
}

describe("a pool whose clients do not tell their transaction state", () => {
  it("is refused, and gets its client back", async () => {
    const pool = openPool({ max: 1 });
    const driver = open(wrapped(pool));
    for (const [, ask] of CALLS)
      await expect(ask(driver)).rejects.toMatchObject({
        code: "HOWDAH_OPTION_INVALID",
        message: expect.stringContaining("trustPool"),
      });
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });

  it("is taken on trust", async () => {
    const driver = open(wrapped(openPool({ max: 2 })), { trustPool: true });
    for (const [, ask] of CALLS) await ask(driver);
    expect(await seen()).toHaveLength(CALLS.length);
  });
});

describe("a transaction that a statement inside of it has ended", () => {
  it("takes no more statements", async () => {
    const driver = open(openPool());
    for (const end of ["commit", "rollback"])
      await driver.transaction(async (transaction) => {
        await transaction.query({ text: end });
        await expect(transaction.query(INSERT)).rejects.toMatchObject({ code: "HOWDAH_TRANSACTION_ENDED" });
      });
    expect(await seen()).toEqual([]);
  });
});

describe("eleven drivers", () => {
  it("on one pool cause no warning about listeners, and leave none behind", async () => {
    const told: Error[] = [];
    const onWarning = (warning: Error): void => void told.push(warning);
    process.on("warning", onWarning);
    const pool = openPool({ max: 2 });
    const drivers = Array.from({ length: 11 }, () => pgDriver({ pool, logger }));
    for (const driver of drivers) await driver.query({ text: "select 1" });
    for (const driver of drivers) await driver.close();
    process.removeListener("warning", onWarning);
    expect(told.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
    expect(pool.listenerCount("error")).toBe(0);
  });
});
