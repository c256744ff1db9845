import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks");
});

afterAll(async () => {
  await database.drop();
});

const task = defineTask({ identifier: "known", run: () => undefined });

async function idOf(identifier: string): Promise<unknown> {
  const [row] = await database.sql("select id from howdah._private_tasks where identifier = $1", [identifier]);
  return row?.["id"];
}

describe("the tasks of a worker", () => {
  it("are stored when it is created, all with one identifier under one id", async () => {
    const others = [task, defineTask({ identifier: "other", run: () => undefined })];
    await using first = await createTestWorker(database, { tasks: others });
    const id = await idOf("known");
    await using second = await createTestWorker(database, { tasks: [task] });
    expect(first.id).not.toBe(second.id);
    expect(await idOf("known")).toBe(id);
    const rows = await database.sql("select identifier from howdah._private_tasks order by identifier");
    expect(rows).toEqual([{ identifier: "known" }, { identifier: "other" }]);
  });

  it("must not share an identifier, and there must be one", async () => {
    await expect(createTestWorker(database, { tasks: [task, { ...task }] })).rejects.toMatchObject({
      code: "HOWDAH_TASK_DUPLICATE",
    });
    await expect(createTestWorker(database, { tasks: [] })).rejects.toThrow(/must hold at least one task/);
  });
});

describe("a clean-up of tasks while the worker runs", () => {
  it("by another role is noticed: the task is stored again under a new id and its jobs run", async () => {
    await using worker = await createTestWorker(database, { tasks: [task], pollInterval: "50ms" });
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob(task);
    const running = worker.run();
    await completed.reach();
    const before = await idOf("known");
    await database.sql("delete from howdah._private_tasks");
    await until(() => idOf("known"));
    expect(await idOf("known")).not.toBe(before);

    await worker.client.addJob(task);
    await worker.client.addJob(task, {}, { queueName: "q" });
    await completed.reach(3);
    await worker.stop();
    await running;
  });

  it("from inside a handler leaves the worker's own tasks alone (behaviours 108)", async () => {
    const cleaner = defineTask({
      identifier: "cleaner",
      async run(_payload: unknown, { client }) {
        await client.cleanup(["unusedTasks"]);
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task, cleaner] });
    await worker.client.addJob(cleaner);
    const before = await idOf("known");
    await worker.runOnce();
    expect(await idOf("known")).toBe(before);
    await worker.client.addJob(task);
    expect(await worker.runOnce()).toMatchObject({ completed: 1 });
  });
});

describe("jobs of tasks that no worker knows", () => {
  it("stay, hold up no others, and are warned of at the start and once a minute", async () => {
    const clock = createManualClock();
    const logger = createRecordingLogger();
    // No timer but that of the warning is due in the test.
    const options = { tasks: [task], clock, logger, pollInterval: "1d", useNotificationDelivery: false } as const;
    await using worker = await createTestWorker(database, options);
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob("unknown b", { secret: 1 }, { priority: -5 });
    await worker.client.addJob("unknown a", {}, { queueName: "q" });
    await worker.client.addJob("unknown later", {}, { runAt: "2200-01-01T00:00:00Z" });
    await worker.client.addJob(task, {}, { queueName: "q" });
    const running = worker.run();
    await completed.reach();
    const warnings = () => logger.entries.filter(({ level }) => level === "warn");
    await until(() => warnings().length === 1);
    expect(warnings()).toEqual([
      {
        level: "warn",
        message: "Jobs are due whose tasks this worker does not know",
        fields: { tasks: "unknown a, unknown b", count: 2 },
      },
    ]);
    await clock.advance(59_000);
    expect(warnings()).toHaveLength(1);
    await clock.advance(1_000);
    await until(() => warnings().length === 2);
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs where attempts = 0 and locked_at is null")).toHaveLength(3);
  });
});
