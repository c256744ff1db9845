import { PGlite } from "@electric-sql/pglite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Client, createClient, isHowdahError, migrationSql, silentLogger } from "../../src/index.ts";
import { pgliteDriver } from "../../src/postgres/drivers/pglite.ts";

let db: PGlite;
let client: Client;

beforeAll(async () => {
  db = await PGlite.create();
  await db.exec(migrationSql());
  await db.exec("create table orders (id integer primary key)");
  client = await createClient({ driver: pgliteDriver(db), migrate: false, logger: silentLogger });
});

afterAll(async () => {
  await client.close();
  await db.close();
});

const tasks = async (): Promise<unknown[]> => (await client.listJobs()).jobs.map(({ task }) => task);

const fault = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "done",
    (error: unknown) => (isHowdahError(error) ? error.code : error),
  );

describe("a transaction of PGlite", () => {
  it("stores jobs with its own rows when it commits, and nothing when it rolls back", async () => {
    const payload = { number: 9007199254740991, text: "(a,b)", list: [null, "null"] };
    const stored = await db.transaction(async (transaction) => {
      await transaction.query("insert into orders (id) values (1)");
      const jobs = client.inTransaction(transaction);
      await jobs.addJobs([
        { identifier: "bulk", payload },
        { identifier: "keyed", payload, spec: { jobKey: "k" } },
      ]);
      return jobs.addJob("one", payload, { queueName: "q", flags: ["f"] });
    });
    expect(await client.getJob(stored.id)).toMatchObject({ payload, queueName: "q", flags: ["f"] });
    const rolledBack = db.transaction(async (transaction) => {
      await client.inTransaction(transaction).addJob("two", payload);
      throw new Error("roll back");
    });
    await expect(rolledBack).rejects.toThrow("roll back");
    expect(await tasks()).toEqual(["bulk", "keyed", "one"]);
  });

  it("stores nothing once it has ended, and says so", async () => {
    const kept = await db.transaction(async (transaction) => {
      const jobs = client.inTransaction(transaction);
      await jobs.addJob("three", {});
      return { jobs };
    });
    expect(await fault(kept.jobs.addJob("late", {}))).toBe("HOWDAH_TRANSACTION_ENDED");
    expect(await tasks()).not.toContain("late");
  });

  it("is not mistaken for the database", async () => {
    expect(await fault((async () => client.inTransaction(db as never).addJob("late", {}))())).toBe(
      "HOWDAH_OPTION_INVALID",
    );
  });
});
