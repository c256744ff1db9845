import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { BULK_ADDS } from "../../harness/bulk-adds.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
let client: Client;
let session: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
  session = await database.connect();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterEach(async () => {
  await session.query("rollback");
});

afterAll(async () => {
  await database.drop();
});

describe("inTransaction", () => {
  it("adds jobs that exist when the application's transaction commits, and not before", async () => {
    await session.query("begin");
    const inside = client.inTransaction(session);
    const single = await inside.addJob("single", { a: 1 });
    const [bulk] = await inside.addJobs([{ identifier: "bulk", spec: { queueName: "q" } }]);
    const batch = await inside.addBatchJob("batch", [1, 2]);
    const [lean] = await inside.addJobs([{ identifier: "lean" }], { returning: "ids" });
    const [keyed] = await inside.addJobs([{ identifier: "lean", spec: { jobKey: "k" } }], { returning: "ids" });

    expect(await inside.getJob(single.id)).toEqual(single);
    expect(await client.getJob(single.id)).toBeUndefined();
    expect(await client.getJob(lean?.id ?? "")).toBeUndefined();
    await session.query("commit");
    const { jobs } = await client.listJobs();
    expect(jobs.slice(0, 3)).toEqual([single, bulk, batch]);
    expect(jobs.slice(3).map(({ id, task, jobKey }) => [id, task, jobKey])).toEqual([
      [lean?.id, "lean", null],
      [keyed?.id, "lean", "k"],
    ]);
  });

  it("leaves nothing behind when it rolls back, whatever was done (behaviours 20, 21, 22)", async () => {
    const before = await client.addJob("before", {}, { jobKey: "before" });
    await session.query("begin");
    const inside = client.inTransaction(session);
    const [first, second, third] = await inside.addJobs([
      { identifier: "raw_one" },
      { identifier: "raw_two" },
      { identifier: "raw_one" },
    ]);
    expect([first?.task, second?.task, third?.task]).toEqual(["raw_one", "raw_two", "raw_one"]);
    const ids = [first?.id ?? "", second?.id ?? "", third?.id ?? ""];
    expect(await inside.rescheduleJobs(ids.slice(0, 1), { priority: 0 })).toHaveLength(1);
    expect(await inside.completeJobs(ids.slice(0, 1))).toHaveLength(1);
    expect(await inside.permanentlyFailJobs(ids.slice(1, 2))).toHaveLength(1);
    expect(await inside.removeJob("before")).toMatchObject({ id: before.id });
    await inside.addJobs(Array.from({ length: 10_000 }, () => ({ identifier: "many" })));
    await inside.forceUnlockWorkers([]);
    expect(await inside.stats()).toMatchObject({ ready: { value: 10_001 }, failed: { value: 1 } });
    await session.query("rollback");

    expect((await client.listJobs()).jobs).toEqual([before]);
  });

  it("runs on the application's connection, beside its own statements and type parsers", async () => {
    await session.query("begin");
    await session.query("create table orders (id bigint, at timestamptz)");
    await session.query("insert into orders values (7, '2030-01-01Z')");
    const job = await client.inTransaction(session).addJob("order_placed", { id: 7 });
    const { rows } = await session.query("select id, at, pg_backend_pid() as pid, $1::jsonb as data from orders", [
      { nested: [1] },
    ]);
    expect(rows).toEqual([{ id: "7", at: new Date("2030-01-01Z"), pid: expect.any(Number), data: { nested: [1] } }]);
    const writer = await session.query(
      "select xmin::text = pg_current_xact_id()::xid::text as ours from howdah._private_jobs where id = $1",
      [job.id],
    );
    expect(writer.rows).toEqual([{ ours: true }]);
  });

  it("prepares nothing by name on the application's connection", async () => {
    await session.query("begin");
    await client.inTransaction(session).addJob("task");
    expect((await session.query("select name from pg_prepared_statements")).rows).toEqual([]);
  });

  it("works with a transaction of our own driver", async () => {
    const job = await database.driver.transaction((transaction) => client.inTransaction(transaction).addJob("task"));
    expect(await client.getJob(job.id)).toEqual(job);
    const failing = database.driver.transaction(async (transaction) => {
      await client.inTransaction(transaction).addJob("task");
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    expect((await client.listJobs()).jobs).toEqual([job]);
  });

  it("leaves the transaction usable when it refuses a job", async () => {
    await session.query("begin");
    const inside = client.inTransaction(session);
    await expect(inside.addJob("", {})).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    await expect(inside.addJobs([{ identifier: "t", payload: 1n }])).rejects.toMatchObject({
      code: "HOWDAH_PAYLOAD_INVALID",
    });
    const job = await inside.addJob("fine");
    await session.query("commit");
    expect((await client.listJobs()).jobs).toEqual([job]);
  });

  it("works whatever the transaction's search_path and isolation are", async () => {
    await session.query("create schema if not exists hostile");
    await session.query("create table if not exists hostile._private_tasks (id int)");
    for (const isolation of ["repeatable read", "serializable"]) {
      for (const [name, addAll] of BULK_ADDS) {
        for (const spec of [{ queueName: `${isolation}, ${name}` }, {}]) {
          await session.query(`begin isolation level ${isolation}; set local search_path = hostile, public`);
          const inside = client.inTransaction(session);
          const [job] = await addAll(inside, [{ identifier: `${isolation}, ${name}`, spec }]);
          expect(await inside.getJob(job?.id ?? "")).toEqual(job);
          await session.query("commit");
          expect(await client.getJob(job?.id ?? "")).toEqual(job);
        }
      }
    }
  });

  it("tells the workers with the commit", async () => {
    const listener = await database.connect();
    await listener.query('listen "jobs:insert"');
    let heard = 0;
    listener.on("notification", () => (heard += 1));
    await session.query("begin");
    const inside = client.inTransaction(session);
    await inside.addJob("task");
    await inside.addJobs([{ identifier: "task" }], { returning: "ids" });
    await inside.addJobs([{ identifier: "task", spec: { jobKey: "k" } }], { returning: "ids" });
    await listener.query("select 1");
    expect(heard).toBe(0);
    await session.query("commit");
    await listener.query("select 1");
    expect(heard).toBe(3);
  });

  it("ends with its client", async () => {
    const other = clientOver({ ...database, logger: silentLogger });
    await session.query("begin");
    const inside = other.inTransaction(session);
    await other.close();
    await expect(inside.addJob("task")).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
    expect(() => other.inTransaction(session)).toThrow(expect.objectContaining({ code: "HOWDAH_CLIENT_CLOSED" }));
  });
});
