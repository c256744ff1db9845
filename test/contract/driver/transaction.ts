import { beforeEach, expect, it } from "vitest";
import type { Executor } from "../../../src/postgres/driver.ts";
import { sqlStateOf } from "../../../src/postgres/sqlstate.ts";
import type { DriverContext } from "./describe-driver.ts";

/** All of it or nothing, on one connection. */
export function testTransaction(context: DriverContext): void {
  beforeEach(async () => {
    await context.driver.query({
      text: `
        drop table if exists kept;
        create table kept (id integer, constraint kept_once unique (id) deferrable initially deferred)`,
    });
  });

  const insert = (executor: Executor, id: number): Promise<unknown> =>
    executor.query({ text: "insert into kept values ($1)", values: [String(id)] });

  async function kept(): Promise<unknown[]> {
    const { rows } = await context.driver.query({ text: "select id from kept order by id" });
    return rows.flat();
  }

  it("commits when the work resolves, and gives its value", async () => {
    const value = await context.driver.transaction(async (transaction) => {
      await insert(transaction, 1);
      // With one connection it would wait for the end.
      if (context.driver.capabilities?.connections !== 1) expect(await kept()).toEqual([]);
      return "value";
    });
    expect(value).toBe("value");
    expect(await kept()).toEqual(["1"]);
  });

  it("rolls back when the work rejects, and passes on what it threw", async () => {
    for (const thrown of [new Error("no"), "no", undefined]) {
      const outcome = context.driver.transaction(async (transaction) => {
        await insert(transaction, 1);
        throw thrown;
      });
      await expect(outcome.catch((error: unknown) => ({ error }))).resolves.toEqual({ error: thrown });
    }
    expect(await kept()).toEqual([]);
  });

  it("rejects when the commit fails, and nothing was done", async () => {
    const outcome = context.driver.transaction(async (transaction) => {
      await insert(transaction, 1);
      await insert(transaction, 1);
    });
    expect(sqlStateOf(await outcome.catch((error: unknown) => error))).toBe("23505");
    expect(await kept()).toEqual([]);
  });

  it("rejects when a statement failed and the work said nothing of it", async () => {
    const outcome = context.driver.transaction(async (transaction) => {
      await insert(transaction, 1);
      await transaction.query({ text: "select 1 / 0" }).catch(() => undefined);
      return "all is well";
    });
    expect(sqlStateOf(await outcome.catch((error: unknown) => error))).toBe("22012");
    expect(await kept()).toEqual([]);
  });

  it("goes on after a failed statement that a savepoint undid", async () => {
    await context.driver.transaction(async (transaction) => {
      await insert(transaction, 1);
      await transaction.query({ text: "savepoint before" });
      await expect(transaction.query({ text: "select 1 / 0" })).rejects.toThrow(/zero/);
      await transaction.query({ text: "rollback to savepoint before" });
    });
    expect(await kept()).toEqual(["1"]);
  });

  it("stays on one connection, and is read committed", async () => {
    const text = "select pg_backend_pid(), current_setting('transaction_isolation')";
    const answers = await context.driver.transaction(async (transaction) => [
      await transaction.query({ text }),
      await transaction.query({ text }),
    ]);
    const [first, second] = answers.map(({ rows }) => rows[0]);
    expect(first).toEqual(second);
    expect(first?.[1]).toBe("read committed");
  });

  it("runs several at once without mixing them", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => index);
    const outcomes = await Promise.allSettled(
      ids.map((id) =>
        context.driver.transaction(async (transaction) => {
          await insert(transaction, id);
          if (id % 2 === 1) throw new Error("odd");
        }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(10);
    expect(await kept()).toEqual(ids.filter((id) => id % 2 === 0).map(String));
  });

  it("refuses statements that come after its end", async () => {
    let leaked: Executor | undefined;
    await context.driver.transaction(async (transaction) => {
      leaked = transaction;
    });
    await expect(leaked!.query({ text: "select 1" })).rejects.toMatchObject({ code: "HOWDAH_TRANSACTION_ENDED" });
  });

  it("leaves a connection behind that is in no transaction", async () => {
    const outcomes = Array.from({ length: 12 }, () =>
      context.driver.transaction(async (transaction) => {
        await transaction.query({ text: "select 1 / 0" });
      }),
    );
    await Promise.allSettled(outcomes);
    const states = await context.database.sql(
      "select 1 from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
    );
    expect(states).toEqual([]);
  });
}
