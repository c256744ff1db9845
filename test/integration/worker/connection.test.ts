import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
});

const task = defineTask({ identifier: "job", run: () => undefined });

describe("a pool of the application", () => {
  it("is used, listened on, and left open", async () => {
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 3 });
    const worker = await createTestWorker(database, { tasks: [task], pool, pollInterval: "1h" });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await worker.client.addJob(task);
    await completed.reach();
    expect(pool.totalCount).toBeGreaterThan(0);
    await worker.stop();
    await running;

    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    expect(pool.listenerCount("error")).toBe(0);
    await pool.end();
  });

  it("may have types of its own: jobs come out the same", async () => {
    const types = { getTypeParser: () => () => "parsed by the application" };
    const pool = new pg.Pool({ connectionString: database.connectionString, types });
    const payloads: unknown[] = [];
    const reader = defineTask({ identifier: "reader", run: (payload: unknown) => void payloads.push(payload) });
    await using worker = await createTestWorker(database, { tasks: [reader], pool });
    await worker.client.addJob(reader, { a: [1] });
    await worker.runOnce();
    expect(payloads).toEqual([{ a: [1] }]);
    await worker.stop();
    await pool.end();
  });

  it("may come back with the rights of another role: adds are stored, and jobs run", async () => {
    const role = `stranger_${process.pid}`;
    await database.sql(`create role ${role}`);
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 4 });
    const worker = await createTestWorker(database, { tasks: [task], pool, pollInterval: "1h" });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    const ways = [`set session authorization ${role}`, `set role ${role}`];
    for (let round = 1; round <= 10; round++) {
      for (const way of ways) {
        // The worker listens on the fourth.
        const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
        for (const client of clients) {
          await client.query(way);
          client.release();
        }
      }
      await Promise.all([worker.client.addJob(task), worker.client.addJob(task)]);
      await completed.reach(2 * round);
    }
    await worker.stop();
    await expect(running).resolves.toBeUndefined();
    await pool.end();
    await database.sql(`drop role ${role}`);
  });
});

describe("a driver of the application", () => {
  it("is used and left open", async () => {
    const driver = pgDriver({ connectionString: database.connectionString });
    const worker = await createTestWorker(database, { tasks: [task], driver });
    await worker.client.addJob(task);
    expect(await worker.runOnce()).toMatchObject({ completed: 1 });
    await worker.stop();
    expect(await driver.query({ text: "select 1" })).toMatchObject({ rows: [["1"]] });
    await driver.close();
  });

  it("cannot be combined with another way to the database", async () => {
    const { driver, connectionString } = database;
    for (const also of [{ connectionString }, { listenConnectionString: connectionString }]) {
      await expect(createTestWorker(database, { tasks: [task], driver, ...also })).rejects.toMatchObject({
        code: "HOWDAH_OPTION_INVALID",
      });
    }
  });
});

describe("listenConnectionString", () => {
  it("is where the worker listens", async () => {
    const elsewhere = new URL(database.connectionString);
    elsewhere.searchParams.set("application_name", "listener");
    const worker = await createTestWorker(database, {
      tasks: [task],
      pollInterval: "1h",
      listenConnectionString: elsewhere.href,
    });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    const find = `select from pg_stat_activity where application_name = 'listener'
      and datname = current_database() and state = 'idle' and query <> '' and query !~* '^set default'`;
    await until(async () => (await database.sql(find)).length === 1);
    await worker.client.addJob(task);
    await completed.reach();
    await worker.stop();
    await running;
  });
});

describe("a schema of another name", () => {
  it("is migrated and worked on, however it is written", async () => {
    await using empty = await createDatabase({ migrate: false });
    const schema = 'My "Schema"';
    const worker = await createTestWorker(empty, { tasks: [task], schema, migrate: true, pollInterval: "1h" });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await worker.client.addJob(task, {}, { queueName: "q", maxAttempts: 1 });
    await completed.reach();
    await empty.sql(`select "My ""Schema""".add_job('job')`);
    await completed.reach(2);
    await worker.stop();
    await running;
    expect(await empty.sql(`select from "My ""Schema""".jobs`)).toHaveLength(0);
  });

  it("does not hear of the jobs of others in the same database", async () => {
    await using shared = await createDatabase({ schema: "other" });
    const howdah = await createTestWorker(shared, { tasks: [task], schema: "howdah", migrate: true });
    await using worker = await createTestWorker(shared, { tasks: [task] });
    await howdah.client.addJob(task);
    expect(await worker.runOnce()).toMatchObject({ completed: 0 });
    expect(await howdah.runOnce()).toMatchObject({ completed: 1 });
    await howdah.stop();
  });

  it("that was never migrated is an error when migrating is off", async () => {
    await expect(createTestWorker(database, { tasks: [task], schema: "nowhere" })).rejects.toMatchObject({
      code: "HOWDAH_SCHEMA_MISSING",
    });
  });
});
