import { once } from "node:events";
import pg from "pg";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { Driver, DriverShare, Executor, Query } from "../../../src/postgres/driver.ts";
import { pgDriver, type PgDriverOptions } from "../../../src/postgres/drivers/pg.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase({ migrate: false });
const { connectionString } = database;
const ends: (() => Promise<void>)[] = [];

function open(options: PgDriverOptions = {}): Driver & { share(name: "handlers" | "waiting"): DriverShare } {
  const driver = pgDriver(options.pool ? options : { connectionString, ...options });
  ends.push(() => driver.close());
  return driver as ReturnType<typeof open>;
}

function openPool(options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, ...options });
  ends.push(async () => {
    pool.on("error", () => undefined);
    await pool.end();
  });
  return pool;
}

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(() => database.drop());

/** Holds N transactions of a share open. */
async function hold(share: Pick<Driver, "transaction">, count: number): Promise<{ release(): Promise<void> }> {
  const gate = new AbortController();
  let begun = 0;
  const held = Array.from({ length: count }, () =>
    share.transaction(async (transaction) => {
      await transaction.query({ text: "select 1" });
      begun += 1;
      await once(gate.signal, "abort");
    }),
  );
  await until(() => begun === count);
  return {
    async release() {
      gate.abort();
      await Promise.all(held);
    },
  };
}

async function value(executor: Executor, text: string): Promise<string | null | undefined> {
  return (await executor.query({ text })).rows[0]?.[0];
}

describe.each(["connections of its own", "a pool of the application"])("shares of %s", (kind) => {
  const openIt = (options: PgDriverOptions = {}): ReturnType<typeof open> =>
    open(kind === "connections of its own" ? options : { pool: openPool({ max: 11 }), ...options });

  it("have their number of connections each, and all of them together no more than there are", () => {
    const driver = openIt();
    expect([driver.share("handlers").connections, driver.share("waiting").connections]).toEqual([2, 3]);
  });

  it.each(["handlers", "waiting"] as const)("%s do not take those of others when they use up theirs", async (name) => {
    const clock = createManualClock();
    const driver = openIt({ clock });
    const share = driver.share(name);
    const held = await hold(share, share.connections);
    const others = [driver, driver.share(name === "handlers" ? "waiting" : "handlers")];
    for (const other of others) expect(await value(other, "select 1")).toBe("1");
    const refusing = share.query({ text: "select 1" }).catch((error: unknown) => error);
    await clock.advance(10_000);
    const refused = await refusing;
    await held.release();
    expect(refused).toMatchObject({ code: "HOWDAH_CONNECTIONS_EXHAUSTED" });
    expect((refused as Error).message).toMatch(
      name === "handlers"
        ? /^No connection for handlers .* the engine 0 of 5, handlers 2 of 2, .* 0 of 3.*`withTransaction`.*`handlerConnections`/
        : /^No connection for adds .* the engine 0 of 5, handlers [01] of 2, .* 3 of 3/,
    );
    expect(await value(share, "select 1")).toBe("1");
  });

  it("wait in line, and each gets its turn", async () => {
    const driver = openIt();
    const share = driver.share("handlers");
    const held = await hold(share, share.connections);
    const order: number[] = [];
    const rest = Array.from({ length: 6 }, (_, index) =>
      share.query({ text: "select 1" }).then(() => void order.push(index)),
    );
    await held.release();
    await Promise.all(rest);
    expect(order.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("tell a handler that waits for itself, inside of a transaction, what to do", async () => {
    const clock = createManualClock();
    const share = openIt({ clock, handlerConnections: 1 }).share("handlers");
    const waiting = share.transaction(async () => {
      const second = share.query({ text: "select 1" });
      await Promise.all([second, clock.advance(10_000)]);
    });
    await expect(waiting).rejects.toMatchObject({
      code: "HOWDAH_CONNECTIONS_EXHAUSTED",
      message: expect.stringContaining("the transaction's own `query`"),
    });
  });
});

describe("a pool that the application has used up", () => {
  it("is told apart from a database that cannot be reached", async () => {
    for (const connectionTimeoutMillis of [0, 50]) {
      const pool = openPool({ max: 2 });
      const clients = [await pool.connect(), await pool.connect()];
      // How long the pool itself waits.
      pool.options.connectionTimeoutMillis = connectionTimeoutMillis;
      const clock = createManualClock();
      const driver = open({ pool, clock });
      const refusing = driver.query({ text: "select 1" }).catch((error: unknown) => error);
      if (connectionTimeoutMillis === 0) await clock.advance(10_000);
      const refused = await refusing;
      for (const client of clients) client.release();
      expect(refused).toMatchObject({
        code: "HOWDAH_CONNECTIONS_EXHAUSTED",
        message: expect.stringContaining("the pool has lent 2 in all"),
      });
      pool.options.connectionTimeoutMillis = undefined;
      expect(await value(driver, "select 1")).toBe("1");
    }
  });
});

/** Each of them leaves a transaction open, or a failed one. */
const LEFT_OPEN: readonly Query[] = [
  { text: "begin" },
  { text: "/* a comment */ BeGiN isolation level serializable" },
  { text: "start transaction read only" },
  { text: "-- nothing\n;begin; select 1" },
  { text: "commit; begin" },
  { text: "begin", values: [] },
  { text: "begin; select 1 / 0" },
  { text: "begin; savepoint here" },
];

describe.each(["own", "pool"])("a handler's statement (%s connections)", (kind) => {
  const openIt = (): ReturnType<typeof open> => open(kind === "own" ? {} : { pool: openPool({ max: 4 }) });

  it.each(LEFT_OPEN)("that leaves a transaction open is undone and rejects: $text", async (query) => {
    const share = openIt().share("handlers");
    await expect(share.query(query)).rejects.toMatchObject({
      code: "HOWDAH_TRANSACTION_LEFT_OPEN",
      message: expect.stringContaining("`withTransaction`"),
    });
    for (let round = 0; round < 4; round++)
      expect(
        await value(share, "select now() = statement_timestamp() or pg_current_xact_id_if_assigned() is null"),
      ).toBe("t");
  });

  it("may hold a whole transaction", async () => {
    const share = openIt().share("handlers");
    await share.query({ text: "create table if not exists whole (id int)" });
    await share.query({ text: "begin; insert into whole values (1); commit" });
    await share.query({ text: "begin; insert into whole values (2); rollback" });
    expect(await value(share, "select array_agg(id) from whole")).toBe("{1}");
    await share.query({ text: "drop table whole" });
  });

  it("that fails for another reason fails for that reason", async () => {
    const share = openIt().share("handlers");
    await expect(share.query({ text: "select 1 / 0" })).rejects.toMatchObject({ code: "22012" });
  });
});

/** Changes to a session, and how they show. */
const SESSION_STATE: readonly (readonly [string, string, string])[] = [
  ["set role pg_monitor", "select current_user = session_user", "t"],
  ["select set_config('role', 'pg_monitor', false)", "select current_user = session_user", "t"],
  ["set session authorization pg_monitor", "select session_user like 'pg_monitor'", "f"],
  ["set session characteristics as transaction read only", "show default_transaction_read_only", "off"],
  ["set default_transaction_isolation = serializable", "show transaction_isolation", "read committed"],
  ["set statement_timeout = 7777", "show statement_timeout", "30s"],
  ["do $$ begin perform set_config('lock_timeout', '7777', false); end $$", "show lock_timeout", "0"],
  ["set search_path = pg_temp", "select current_setting('search_path') like '%public%'", "t"],
  ["create temporary table mine (id int)", "select to_regclass('mine') is null", "t"],
  ["listen mine", "select count(*) from pg_listening_channels()", "0"],
  [
    "select pg_advisory_lock(4711)",
    "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    "0",
  ],
  ["prepare mine as select 1", "select count(*) from pg_prepared_statements where name = 'mine'", "0"],
  ["declare mine cursor with hold for select 1", "select count(*) from pg_cursors", "0"],
];

describe.each([10, 2, 1])("the session of a handler, of %i connections", (maxConnections) => {
  it.each(SESSION_STATE)("is as new for the next user: %s", async (done, look, expected) => {
    const driver = open({ maxConnections });
    const share = driver.share("handlers");
    for (let round = 0; round < share.connections; round++) {
      await share.query({ text: done });
      await share.transaction((transaction) => transaction.query({ text: done }));
    }
    for (const executor of [driver, driver.share("waiting"), share, share, share])
      expect(await value(executor, look)).toBe(expected);
  });
});

it("the session of a handler is made new in one round trip", async () => {
  await using proxy = await openProxy(connectionString);
  const share = open({ connectionString: proxy.connectionString, handlerConnections: 1 }).share("handlers");
  await share.query({ text: "select 'first'" });
  await share.query({ text: "select 'second'" });
  const from = proxy.statements.indexOf("select 'first'");
  const sent = proxy.statements.slice(from, proxy.statements.indexOf("select 'second'"));
  expect(sent).toEqual(["select 'first'", expect.stringContaining("discard temp")]);
});

describe("a statement of a handler that outlives it", () => {
  it("keeps its connection until it has its answer, and then it is made new", async () => {
    const driver = open({ handlerConnections: 1 });
    const share = driver.share("handlers");
    const gate = await database.connect();
    await gate.query("select pg_advisory_lock(12)");
    const slow = share.query({ text: "set statement_timeout = 7777; select pg_advisory_xact_lock(12)" });
    const next = value(share, "show statement_timeout");
    await until(async () => (await database.sql("select from pg_locks where not granted")).length === 1);
    expect(await value(driver, "select 1")).toBe("1");
    await gate.query("select pg_advisory_unlock(12)");
    await slow;
    expect(await next).toBe("30s");
  });
});
