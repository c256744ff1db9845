import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createClient, type Driver, isHowdahError, silentLogger } from "../../src/index.ts";
import { pgliteDriver } from "../../src/postgres/drivers/pglite.ts";
import { describeDriver } from "../contract/driver/describe-driver.ts";
import { describeSource } from "../contract/source.ts";
import { describeWorker } from "../contract/worker.ts";
import { createPGliteDatabase, type PGliteDatabase } from "./pglite-place.ts";

let contract: PGliteDatabase | undefined;

describeDriver(
  "pglite",
  () => {
    if (!contract) throw new Error("The database comes first");
    return pgliteDriver(contract.db);
  },
  { createDatabase: async () => (contract = await createPGliteDatabase({ migrate: false })), inProcess: true },
);

describeWorker("a worker over PGlite", createPGliteDatabase);
describeSource("jobs over PGlite", {}, createPGliteDatabase);

describe("the one connection of PGlite", () => {
  let database: PGliteDatabase;

  beforeAll(async () => {
    database = await createPGliteDatabase();
  });
  afterAll(() => database.drop());

  const fault = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => "done",
      (error: unknown) => (isHowdahError(error) ? [error.code, error.message] : error),
    );

  it("is not waited for by a handler that waits for itself", async () => {
    const driver = pgliteDriver(database.db, { connectTimeout: 50 });
    const inside = driver.transaction(() => driver.query({ text: "select 1" }));
    expect(await fault(inside)).toEqual([
      "HOWDAH_CONNECTIONS_EXHAUSTED",
      expect.stringContaining("call the transaction's own `query`"),
    ]);
    expect((await driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
  });

  it("is not waited for inside of a transaction of the application, and nothing is done later", async () => {
    const driver = pgliteDriver(database.db, { connectTimeout: 50, statementTimeout: 50 });
    await using client = await createClient({ driver, migrate: false, logger: silentLogger });
    await database.db.exec("create table late (id integer)");
    await database.db.transaction(async () => {
      expect(await fault(driver.query({ text: "select 1" }))).toEqual([
        "HOWDAH_QUERY_TIMEOUT",
        expect.stringContaining("`client.inTransaction(tx)`"),
      ]);
      const work = driver.transaction((transaction) => transaction.query({ text: "insert into late values (1)" }));
      expect(await fault(work)).toEqual(["HOWDAH_CONNECTIONS_EXHAUSTED", expect.stringContaining("`db.transaction`")]);
    });
    expect((await driver.query({ text: "select from late" })).count).toBe(0);
    expect(await fault(client.addJob("after", {}))).toBe("done");
  });

  it("is not waited for either when it is used for the first time there", async () => {
    const fresh = await createPGliteDatabase({ migrate: false });
    const driver = pgliteDriver(fresh.db, { connectTimeout: 50, statementTimeout: 50 });
    await fresh.db.transaction(async () => {
      expect(await fault(driver.transaction(async () => 1))).toEqual([
        "HOWDAH_CONNECTIONS_EXHAUSTED",
        expect.any(String),
      ]);
      expect(await fault(driver.query({ text: "select 1" }))).toEqual(["HOWDAH_QUERY_TIMEOUT", expect.any(String)]);
    });
    expect((await driver.query({ text: "show array_nulls" })).rows).toEqual([["on"]]);
    await fresh.drop();
  });

  it("is left outside of a transaction by a handler, and may hold a whole one", async () => {
    const handlers = pgliteDriver(database.db).share?.("handlers");
    await database.db.exec("create table handled (id integer)");
    const query = (text: string): Promise<unknown> => fault(handlers!.query({ text }));
    for (const text of ["begin", "begin; insert into handled values (1)", "begin; select 1 / 0"]) {
      expect(await query(text)).toEqual(["HOWDAH_TRANSACTION_LEFT_OPEN", expect.any(String)]);
      expect(database.db.isInTransaction()).toBe(false);
    }
    expect(await query("begin; insert into handled values (2); commit")).toBe("done");
    expect(await database.sql("select id from handled")).toEqual([{ id: 2 }]);
  });

  it("is heard by each driver on its own channels, also after another one has stopped", async () => {
    const heard: string[] = [];
    const listen = (driver: Driver, name: string, channels: string[]) =>
      driver.listen(channels, {
        notified: (channel, payload) => void heard.push(`${name} ${channel} ${payload}`),
        up: () => undefined,
        down: () => undefined,
      });
    const one = pgliteDriver(database.db);
    const other = pgliteDriver(database.db);
    await listen(one, "one", ["shared", "ones"]);
    await listen(other, "other", ["shared"]);
    const notify = (channel: string, payload: string) => database.sql("select pg_notify($1, $2)", [channel, payload]);
    await notify("shared", "1");
    await notify("ones", "2");
    await other.close();
    await notify("shared", "3");
    await one.close();
    await notify("shared", "4");
    expect(heard.toSorted()).toEqual(["one ones 2", "one shared 1", "one shared 3", "other shared 1"]);
    expect(await database.sql("select * from pg_listening_channels()")).toEqual([]);
  });

  it("is refused where it is none", () => {
    for (const given of [undefined, null, {}, { query: () => undefined }]) {
      expect(() => pgliteDriver(given as never)).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
    }
  });

  it("says that the application has closed it", async () => {
    const closed = await createPGliteDatabase({ migrate: false });
    const driver = closed.createDriver();
    await driver.query({ text: "select 1" });
    await closed.db.close();
    const unreachable = ["HOWDAH_DATABASE_UNREACHABLE", expect.stringContaining("closed by the application")];
    expect(await fault(driver.query({ text: "select 1" }))).toEqual(unreachable);
    expect(await fault(driver.transaction(async () => 1))).toEqual(unreachable);
  });
});
