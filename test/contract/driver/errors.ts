import { createServer } from "node:net";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { isHowdahError } from "../../../src/errors.ts";
import { isTransient, isUnknownOutcome, sqlStateOf } from "../../../src/postgres/sqlstate.ts";
import { until } from "../../harness/until.ts";
import type { DriverContext } from "./describe-driver.ts";

/** What went wrong can be told, and does no harm to what comes next. */
export function testErrors(context: DriverContext): void {
  const failure = (text: string, values?: readonly (string | null)[]): Promise<unknown> =>
    context.driver.query(values ? { text, values } : { text }).then(
      () => undefined,
      (error: unknown) => error,
    );

  describe("of the server", () => {
    it.each([
      ["select 1 / 0", "22012"],
      ["select * from nowhere", "42P01"],
      ["selec 1", "42601"],
      ["do $$ begin raise exception 'no' using errcode = 'GWBKM'; end $$", "GWBKM"],
    ])("%s has SQLSTATE %s", async (text, state) => {
      const error = await failure(text);
      expect(error).toBeInstanceOf(Error);
      expect(sqlStateOf(error)).toBe(state);
      expect(isTransient(error)).toBe(false);
      expect(isUnknownOutcome(error)).toBe(false);
    });

    it("keeps its message and its detail", async () => {
      await context.driver.query({ text: "create table constrained (id integer primary key)" });
      const error = await failure("insert into constrained values ($1), ($1)", ["1"]);
      expect(error).toMatchObject({ message: expect.stringContaining("constrained_pkey") });
      expect(sqlStateOf(error)).toBe("23505");
    });

    it("counts a NUL character as bad data", async () => {
      expect(sqlStateOf(await failure("select $1::text", ["a\0b"]))).toBe("22021");
    });

    it.skipIf(context.inProcess)(
      "passes on a statement timeout set by the transaction, as one that may be tried again",
      async () => {
        const error = await context.driver
          .transaction(async (transaction) => {
            await transaction.query({ text: "set local statement_timeout = 20" });
            await transaction.query({ text: "select pg_sleep(30)" });
          })
          .catch((reason: unknown) => reason);
        expect(sqlStateOf(error)).toBe("57014");
        expect(isTransient(error)).toBe(true);
        expect(isUnknownOutcome(error)).toBe(false);
      },
    );
  });

  it("goes on with other statements after an error", async () => {
    await failure("select 1 / 0");
    expect((await context.driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
  });

  it.skipIf(context.inProcess)(
    "gives up a statement after timeoutMs, and does not use its connection again",
    async () => {
      const driver = context.createDriver();
      const error = await driver
        .query({ text: "select pg_sleep(20)", timeoutMs: 50 })
        .catch((reason: unknown) => reason);
      expect(isHowdahError(error, "HOWDAH_QUERY_TIMEOUT")).toBe(true);
      expect(isTransient(error)).toBe(true);
      expect(isUnknownOutcome(error)).toBe(true);
      const sleeping = await context.database.sql(
        "select pid from pg_stat_activity where datname = current_database() and query like 'select pg_sleep(20)%'",
      );
      const { rows } = await driver.query({ text: "select pg_backend_pid()" });
      expect(sleeping).not.toContainEqual({ pid: Number(rows[0]?.[0]) });
    },
  );

  it.skipIf(context.inProcess)("ends a transaction whose statement was given up", async () => {
    const driver = context.createDriver();
    const outcome = driver.transaction(async (transaction) => {
      await transaction.query({ text: "create table given_up (id integer)" });
      await transaction.query({ text: "select pg_sleep(1)", timeoutMs: 20 });
    });
    await expect(outcome).rejects.toMatchObject({ code: "HOWDAH_QUERY_TIMEOUT" });
    expect((await driver.query({ text: "select to_regclass('given_up')" })).rows).toEqual([[null]]);
  });

  it.skipIf(context.inProcess)(
    "rejects when the connection is lost during a statement, and connects again for the next",
    async () => {
      const error = await failure("select pg_terminate_backend(pg_backend_pid()), pg_sleep(20)");
      expect(isTransient(error)).toBe(true);
      expect(isUnknownOutcome(error)).toBe(true);
      expect((await context.driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
    },
  );

  it.skipIf(context.inProcess)("survives that its idle connections are cut off", async () => {
    const driver = context.createDriver();
    const { rows } = await driver.query({ text: "select pg_backend_pid()" });
    await context.database.sql("select pg_terminate_backend($1, 10000)", [Number(rows[0]?.[0])]);
    const answer = await until(() => driver.query({ text: "select pg_backend_pid()" }));
    expect(answer.rows).not.toEqual(rows);
  });

  it.skipIf(context.inProcess)("rejects a transaction whose connection is lost between two statements", async () => {
    const outcome = context.driver.transaction(async (transaction) => {
      const { rows } = await transaction.query({ text: "select pg_backend_pid()" });
      const pid = Number(rows[0]?.[0]);
      await context.database.sql("select pg_terminate_backend($1, 10000)", [pid]);
      await transaction.query({ text: "select 1" });
    });
    const error = await outcome.catch((reason: unknown) => reason);
    expect(isTransient(error)).toBe(true);
    expect((await context.driver.query({ text: "select 1" })).rows).toEqual([["1"]]);
  });

  it.skipIf(context.inProcess)("tells a server that is not there from one that was lost", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    const driver = context.createDriver(`postgresql://stranger@127.0.0.1:${port}/nowhere`);
    const error = await driver.query({ text: "select 1" }).catch((reason: unknown) => reason);
    expect(isHowdahError(error, "HOWDAH_DATABASE_UNREACHABLE")).toBe(true);
    expect(isTransient(error)).toBe(true);
    expect(isUnknownOutcome(error)).toBe(false);
  });

  it.skipIf(context.inProcess)("shows the SQLSTATE of a database that does not exist", async () => {
    const url = new URL(context.database.connectionString);
    url.pathname = "/howdah_does_not_exist";
    const error = await context
      .createDriver(url.href)
      .query({ text: "select 1" })
      .catch((reason: unknown) => reason);
    expect(sqlStateOf(error)).toBe("3D000");
    expect(isTransient(error)).toBe(false);
  });
}
