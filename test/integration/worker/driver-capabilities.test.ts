import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createSingleConnection, type SingleConnection } from "../../harness/single-connection.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
const drivers: SingleConnection[] = [];

beforeAll(async () => {
  database = await createDatabase();
  await database.sql("create table done (name text)");
});

afterEach(async () => {
  await Promise.all(drivers.splice(0).map((driver) => driver.close()));
  await database.sql("truncate done, howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await database.drop();
});

async function connect(capabilities: { readonly listen: boolean }): Promise<SingleConnection> {
  const driver = await createSingleConnection(database.connectionString, capabilities);
  drivers.push(driver);
  return driver;
}

const doneCount = async (): Promise<number> => Number((await database.sql("select count(*) from done"))[0]?.["count"]);

/** What heartbeats are when none can be missed for long. */
const recovery = { heartbeatInterval: 50, heartbeatTimeout: 100, contactTimeout: "5s" } as const;

describe("a driver that cannot listen", () => {
  const task = defineTask({ identifier: "job", run: () => undefined });

  it("is polled with, which is said once, and never asked to listen", async () => {
    const driver = await connect({ listen: false });
    const logger = createRecordingLogger();
    const worker = await createTestWorker(database, { tasks: [task], driver, logger, pollInterval: 50, recovery });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await worker.client.addJob(task);
    await completed.reach();
    await worker.client.addJob(task);
    await completed.reach(2);
    expect(await database.sql("select id from howdah._private_workers")).toEqual([{ id: worker.id }]);
    await worker.stop();
    await running;
    expect(driver.listens).toBe(0);
    expect(logger.messages("warn")).toEqual(["The driver cannot listen, so this worker polls for new jobs"]);
    expect(logger.messages("error")).toEqual([]);
  });

  it("is said nothing of where the worker only polls anyway", async () => {
    const driver = await connect({ listen: false });
    const logger = createRecordingLogger();
    const options = { tasks: [task], driver, logger, useNotificationDelivery: false };
    await using worker = await createTestWorker(database, options);
    await worker.stop();
    expect(logger.messages("warn")).toEqual([]);
  });

  it("waits for its one way when that is taken, and goes on as the same worker", async () => {
    const driver = await connect({ listen: false });
    const logger = createRecordingLogger();
    const worker = await createTestWorker(database, { tasks: [task], driver, logger, pollInterval: 50, recovery });
    const { id } = worker;
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await until(async () => (await database.sql("select from howdah._private_workers")).length === 1);
    // Several heartbeats and their timeouts long.
    const transaction = await driver.wire.begin();
    await transaction.run("select pg_sleep(0.5)");
    await transaction.finish("commit");
    await worker.client.addJob(task);
    await completed.reach();
    expect(worker.id).toBe(id);
    expect(driver.listens).toBe(0);
    expect(logger.messages("error")).toEqual([]);
    await worker.stop();
    await running;
  });
});

describe("a driver with one connection", () => {
  it.each([{ listen: true }, { listen: false }])(
    "is shared by a worker and its handlers (%o)",
    async (capabilities) => {
      const driver = await connect(capabilities);
      const child = defineTask({
        identifier: "child",
        run: (name: string, { query }) => query("insert into done values ($1)", [name]).then(() => undefined),
      });
      const parent = defineTask({
        identifier: "parent",
        async run(name: string, context) {
          await context.client.addJob(child, `child of ${name}`, { jobKey: name });
          await context.withTransaction(async (transaction) => {
            await transaction.query({ text: "insert into done values ($1)", values: [name] });
            await context.client.inTransaction(transaction).addJob(child, `second child of ${name}`);
            await context.complete(transaction);
          });
        },
      });
      const pollInterval = capabilities.listen ? "1h" : 50;
      const worker = await createTestWorker(database, {
        tasks: [parent, child],
        driver,
        pollInterval,
        concurrency: 4,
      });
      const running = worker.run();
      const names = Array.from({ length: 20 }, (_, index) => String(index));
      await Promise.all(
        names.map((name) => worker.client.addJob(parent, name, { queueName: `queue ${Number(name) % 3}` })),
      );
      await until(async () => (await doneCount()) === 60);
      await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0);
      await worker.stop();
      await running;
      expect(await database.sql("select from howdah._private_workers")).toEqual([]);
    },
  );
});
