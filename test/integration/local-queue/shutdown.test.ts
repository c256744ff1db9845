import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await database.drop();
});

const lockedCount = async (): Promise<number> =>
  (await database.sql("select from howdah._private_jobs where locked_at is not null")).length;

/** The driver of the test, whose releases fail for as long as `isDown` says so. */
function createFailingDriver(isDown: () => boolean): Driver {
  const { driver } = database;
  return {
    query(query) {
      if (query.text.includes("_howdah_release") && isDown()) return Promise.reject(new Error("The database is down."));
      return driver.query(query);
    },
    transaction: (work) => driver.transaction(work),
    listen: (channels, handlers) => driver.listen(channels, handlers),
    close: () => Promise.resolve(),
  };
}

describe("stop", () => {
  // behaviours 178
  it("gives back what is cached at once, and what runs after the grace period; nothing has completed", async () => {
    const task = defineTask({
      identifier: "slow",
      run: (_payload, { signal }) =>
        new Promise<void>((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        }),
    });
    const worker = await createTestWorker(database, {
      tasks: [task],
      concurrency: 2,
      localQueue: { size: 20 },
      shutdown: { gracePeriod: 100, abortPeriod: "5s" },
    });
    const starts = record(worker.hooks, "jobStart");
    const completions = record(worker.hooks, "jobComplete");
    const returns = record(worker.hooks, "localQueueReturnJobs");
    const modes = record(worker.hooks, "localQueueSetMode");
    await worker.client.addJobs(Array.from({ length: 10 }, () => ({ task, payload: {} })));
    const running = worker.run();
    await starts.reach(2);
    expect(await lockedCount()).toBe(10);
    await worker.stop();
    await running;
    expect(await lockedCount()).toBe(0);
    expect(completions.events).toEqual([]);
    expect(returns.events.map(({ count }) => count)).toEqual([8]);
    expect(modes.events.at(-1)).toMatchObject({ oldMode: "waiting", newMode: "released" });
    const left = await database.sql("select attempts, run_at <= now() as due from howdah._private_jobs");
    expect(left.filter((row) => row["attempts"] === 0)).toHaveLength(10);
    expect(left.filter((row) => row["due"])).toHaveLength(8);
  });

  // behaviours 180
  it("waits for running handlers and for the fetch under way, and hangs on neither", async () => {
    const held = createHeldTask("work");
    const worker = await createTestWorker(database, { tasks: [held.task], concurrency: 2, localQueue: { size: 3 } });
    await worker.client.addJobs(
      Array.from({ length: 30 }, (_, index) => ({ task: held.task, payload: String(index) })),
    );
    const running = worker.run();
    await until(() => held.running.size === 2);
    const stopping = worker.stop();
    held.openAll();
    await stopping;
    await running;
    const [row] = await database.sql(
      "select count(*)::integer as left, sum(attempts)::integer as attempts from howdah._private_jobs",
    );
    expect(row).toEqual({ left: 30 - held.started.length, attempts: 0 });
    expect(await lockedCount()).toBe(0);
  });

  it("of a worker that was told so by the last job of its batch leaves nothing locked", async () => {
    const task = defineTask({
      identifier: "last",
      run: (_payload: unknown, { state }) => void (state as { stop?: () => Promise<void> }).stop?.(),
    });
    const state: { stop?: () => Promise<void> } = {};
    const options = { tasks: [task], concurrency: 1, localQueue: { size: 1 }, useNotificationDelivery: false, state };
    const worker = await createTestWorker(database, options);
    state.stop = () => worker.stop();
    await worker.client.addJobs(Array.from({ length: 5 }, () => ({ task, payload: {} })));
    await worker.run();
    expect(await lockedCount()).toBe(0);
    expect(await database.sql("select from howdah._private_jobs")).toHaveLength(4);
  });

  it("tries for the grace period to give back, then leaves the jobs to recovery and says so", async () => {
    const logger = createRecordingLogger();
    const held = createHeldTask("work");
    let isDown = false;
    const worker = await createTestWorker(database, {
      tasks: [held.task],
      driver: createFailingDriver(() => isDown),
      concurrency: 1,
      localQueue: { size: 4 },
      shutdown: { gracePeriod: 200, abortPeriod: 10 },
      logger,
    });
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(Array.from({ length: 4 }, (_, index) => ({ task: held.task, payload: String(index) })));
    const running = worker.run();
    await until(() => held.running.size === 1);
    isDown = true;
    await worker.stop();
    await running;
    held.openAll();
    expect(await lockedCount()).toBe(4);
    expect(logger.messages("error")).toContain(
      "Outcomes could not be written; these jobs stay locked until recovery returns them",
    );
    expect(errors.events.map(({ activity }) => activity)).toContain("release jobs");
  });
});

describe("a database that cannot release", () => {
  it("is tried again until it can, and is told of once, not each time", async () => {
    const held = createHeldTask("work");
    held.openAll();
    let failures = 4;
    const worker = await createTestWorker(database, {
      tasks: [held.task],
      driver: createFailingDriver(() => failures-- > 0),
      localQueue: { size: 4 },
    });
    const errors = record(worker.hooks, "workerError");
    const completions = record(worker.hooks, "jobComplete");
    await worker.client.addJobs(Array.from({ length: 3 }, (_, index) => ({ task: held.task, payload: String(index) })));
    const running = worker.run();
    await completions.reach(3);
    await worker.stop();
    await running;
    expect(held.started).toHaveLength(3);
    expect(await database.sql("select from howdah._private_jobs")).toHaveLength(0);
    expect(errors.events).toHaveLength(1);
  });

  it("gets jobs back that waited too long as soon as it can", async () => {
    const held = createHeldTask("work");
    let isDown = true;
    const worker = await createTestWorker(database, {
      tasks: [held.task],
      driver: createFailingDriver(() => isDown),
      concurrency: 1,
      localQueue: { size: 4, ttl: 30 },
    });
    const returns = record(worker.hooks, "localQueueReturnJobs");
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(Array.from({ length: 4 }, (_, index) => ({ task: held.task, payload: String(index) })));
    const running = worker.run();
    await returns.reach();
    await errors.reach();
    expect(await lockedCount()).toBe(4);
    isDown = false;
    await until(async () => (await lockedCount()) === 1);
    held.openAll();
    await worker.stop();
    await running;
  });
});
