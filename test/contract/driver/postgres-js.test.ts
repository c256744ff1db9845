import postgres from "postgres";
import { afterAll, describe, expect, it } from "vitest";
import { postgresDriver } from "../../../src/postgres/drivers/postgres.ts";
import { createDatabase } from "../../harness/database.ts";
import { describeDriver } from "./describe-driver.ts";

describeDriver("postgres.js", (connectionString) =>
  postgresDriver(
    // What an application makes of values and rows is its own.
    postgres(connectionString, {
      max: 3,
      transform: { ...postgres.camel, row: { from: () => ({}) } },
      types: { bigint: postgres.BigInt },
    }),
  ),
);

describeDriver("postgres.js behind a transaction pooler", (connectionString) =>
  postgresDriver(connectionString, { preparedStatements: false }),
);

describe("postgresDriver", () => {
  const opened = createDatabase({ migrate: false });
  afterAll(async () => (await opened).drop());

  it("takes an instance or a connection string, and refuses anything else", async () => {
    const { connectionString } = await opened;
    const sql = postgres(connectionString);
    const refused = expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" });
    await sql.begin(async (transaction) => {
      for (const given of [undefined, null, {}, { options: {} }, postgres, transaction, "mysql://host/db"]) {
        expect(() => postgresDriver(given as never)).toThrow(refused);
      }
    });
    await sql.end();
    expect(() => postgresDriver(sql, { prepare: false } as never)).toThrow(
      expect.objectContaining({ code: "HOWDAH_OPTION_UNKNOWN" }),
    );
  });

  it("works when the application has ended its own instance, whose name it takes if there is one", async () => {
    const { connectionString } = await opened;
    for (const [name, shown] of [
      [undefined, "howdah"],
      ["shop", "shop"],
    ]) {
      const sql = postgres(connectionString, name === undefined ? {} : { connection: { application_name: name } });
      await sql.end();
      const driver = postgresDriver(sql);
      expect((await driver.query({ text: "show application_name" })).rows).toEqual([[shown]]);
      await driver.close();
    }
  });

  it("ends a transaction that a handler left open, and forgets what was done to its session", async () => {
    const { connectionString, sql } = await opened;
    const driver = postgresDriver(connectionString);
    const handlers = driver.share!("handlers");
    await sql("create table handled (id integer)");
    await expect(handlers.query({ text: "begin; insert into handled values (1)" })).rejects.toMatchObject({
      code: "HOWDAH_TRANSACTION_LEFT_OPEN",
    });
    await handlers.query({ text: "begin; insert into handled values (2); commit" });
    await handlers.query({ text: "set search_path to nowhere" });
    expect((await handlers.query({ text: "select id from public.handled" })).rows).toEqual([["2"]]);
    expect((await handlers.query({ text: "show search_path" })).rows).not.toEqual([["nowhere"]]);
    await driver.close();
  });

  it("prepares what has a name once, and nothing when told not to", async () => {
    const { connectionString } = await opened;
    const count = "select count(*) from pg_prepared_statements";
    for (const [options, expected] of [
      [{}, "1"],
      [{ preparedStatements: false }, "0"],
    ] as const) {
      const driver = postgresDriver(connectionString, { maxConnections: 1, ...options });
      const prepared = await driver.transaction(async (transaction) => {
        for (const value of ["1", "2"]) {
          await transaction.query({ name: "named", text: "select $1::integer", values: [value] });
          await transaction.query({ text: "select $1::bigint", values: [value] });
        }
        return (await transaction.query({ text: count })).rows;
      });
      expect(prepared).toEqual([[expected]]);
      await driver.close();
    }
  });
});
