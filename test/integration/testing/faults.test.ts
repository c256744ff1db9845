import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { createClient, defineTask, silentLogger } from "../../../src/index.ts";
import { addedJobs, createTestDatabase, drain, faultyDriver, type TestDatabase } from "../../../src/testing/index.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ connectionString: inject("serverUrl") });
});
afterAll(() => database.close());
beforeEach(() => database.clear());

const pay = defineTask({ identifier: "pay", run(_payload: { n: number }) {} });

/** A client over a driver that fails when the test says so. */
async function faultyClient() {
  const driver = faultyDriver(database.driver);
  const client = await createClient({ driver, schema: database.schema, migrate: false, logger: silentLogger });
  return { driver, client };
}

describe("faults of real statements", () => {
  it("an add whose connection is lost before or after it is stored", async () => {
    const { driver, client } = await faultyClient();
    const before = driver.inject({ on: "add", happens: "lost-before" });
    await expect(client.addJob(pay, { n: 1 })).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    before.remove();
    expect(before.happened).toBe(1);
    driver.inject({ on: "add", happens: "lost-after" });
    await expect(client.addJob(pay, { n: 2 })).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    expect(await addedJobs(database.client, { task: pay })).toMatchObject([{ payload: { n: 2 } }]);
  });

  it.each<[string, (client: Awaited<ReturnType<typeof createClient>>) => Promise<unknown>]>([
    ["addJob", (client) => client.addJob(pay, { n: 1 })],
    ["addJob with a key", (client) => client.addJob(pay, { n: 1 }, { jobKey: "k" })],
    ["addJob with a queue", (client) => client.addJob(pay, { n: 1 }, { queueName: "q" })],
    ["addJobs", (client) => client.addJobs([1, 2].map((n) => ({ task: pay, payload: { n } })))],
    ["addJobs with a key", (client) => client.addJobs([{ task: pay, payload: { n: 1 }, spec: { jobKey: "k" } }])],
    ["addJob at the same time", (client) => Promise.all([1, 2, 3].map((n) => client.addJob(pay, { n })))],
  ])("each way to add is of the kind `add`: %s", async (_title, add) => {
    const { driver, client } = await faultyClient();
    driver.inject({ on: "add", times: Infinity, happens: { sqlState: "22023" } });
    await expect(add(client)).rejects.toMatchObject({ code: "HOWDAH_DATABASE_ERROR" });
    expect(await addedJobs(database.client)).toEqual([]);
    driver.heal();
    await add(client);
    expect(await addedJobs(database.client)).not.toEqual([]);
  });

  it("a worker claims again after a refusal, and writes an outcome whose answer was lost only once", async () => {
    const runs: number[] = [];
    const counting = defineTask({ identifier: "counting", run: ({ n }: { n: number }) => void runs.push(n) });
    const driver = faultyDriver(database.driver);
    const worker = await database.createWorker({ driver, tasks: [counting], pollInterval: 10 });
    await worker.client.addJob(counting, { n: 1 });
    const refused = driver.inject({ on: "claim", happens: { sqlState: "40001" } });
    const lost = driver.inject({ on: "release", happens: "lost-after" });
    const drained = await drain(worker);
    expect([refused.happened, lost.happened]).toEqual([1, 1]);
    expect(drained.jobs).toMatchObject([{ outcome: "completed" }]);
    expect(runs).toEqual([1]);
    expect(await addedJobs(database.client)).toEqual([]);
  });

  it("a handler whose transaction is lost has not completed its job, and runs again", async () => {
    await database.driver.query({ text: "create table paid (n int)" });
    const once = defineTask({
      identifier: "once",
      retry: { type: "fixed", delay: "1m" },
      run: ({ n }: { n: number }, { withTransaction, complete }) =>
        withTransaction(async (transaction) => {
          await transaction.query({ text: "insert into paid values ($1)", values: [String(n)] });
          await complete(transaction);
        }),
    });
    const driver = faultyDriver(database.driver);
    const worker = await database.createWorker({ driver, tasks: [once] });
    await worker.client.addJob(once, { n: 1 });
    const lost = driver.inject({ on: "commit", happens: "lost-before" });
    const { jobs } = await drain(worker, { within: "1h" });
    expect(lost.happened).toBe(1);
    expect(jobs.map(({ outcome }) => outcome)).toEqual(["failed", "completed"]);
    expect((await database.driver.query({ text: "select n from paid" })).rows).toEqual([["1"]]);

    // And the other way round: it was committed, so the handler's error changes nothing.
    await worker.client.addJob(once, { n: 2 });
    driver.inject({ on: "commit", happens: "lost-after" });
    expect((await drain(worker, { within: "1h" })).jobs.map(({ outcome }) => outcome)).toEqual(["completed"]);
    expect((await database.driver.query({ text: "select n from paid order by n" })).rows).toEqual([["1"], ["2"]]);
  });
});
