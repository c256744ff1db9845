import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cancel } from "../../../src/job/directive.ts";
import { defineTask } from "../../../src/job/task.ts";
import { consoleLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

const works = defineTask({ identifier: "works", run: () => undefined });
const fails = defineTask({
  identifier: "fails",
  retry: { type: "fixed", delay: "1h" },
  run() {
    throw new Error("no luck");
  },
});
const cancels = defineTask({ identifier: "cancels", run: () => cancel("not wanted") });
const tasks = [works, fails, cancels];

describe("the log", () => {
  it("has one line at the start and one at the end of a run", async () => {
    const logger = createRecordingLogger();
    const worker = await createTestWorker(database, { tasks, logger, concurrency: 3 });
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob(works);
    const running = worker.run();
    await completed.reach();
    await worker.stop();
    await running;

    expect(logger.entries.filter(({ level }) => level !== "debug")).toEqual([
      {
        level: "info",
        message: "Worker started",
        fields: {
          worker: worker.id,
          database: expect.stringContaining(new URL(database.connectionString).pathname.slice(1)),
          schema: "howdah",
          tasks: "works,fails,cancels",
          concurrency: 3,
          source: "direct",
        },
      },
      {
        level: "info",
        message: "Worker stopped",
        fields: { worker: worker.id, reason: "stopped", completed: 1, failed: 0, snoozed: 0, interrupted: 0 },
      },
    ]);
  });

  it("has a warning with the stack for each failed attempt, an error for one that failed for good, and nothing for what went well", async () => {
    const logger = createRecordingLogger();
    await using worker = await createTestWorker(database, { tasks, logger, concurrency: 1 });
    const retried = await worker.client.addJob(fails, {});
    const last = await worker.client.addJob(fails, {}, { maxAttempts: 1 });
    const cancelled = await worker.client.addJob(cancels, {});
    await worker.client.addJob(works, {});
    await worker.runOnce();

    const { runAt } = (await worker.client.getJob(retried.id)) ?? {};
    const stack = expect.stringMatching(/^Error: no luck\n {4}at .*worker\/log\.test\.ts/s) as unknown;
    expect(logger.entries.filter(({ level }) => level === "warn" || level === "error")).toEqual([
      {
        level: "warn",
        message: "A job failed and will be tried again",
        fields: {
          task: "fails",
          job: retried.id,
          attempt: 1,
          maxAttempts: 25,
          retryAt: runAt,
          error: "no luck",
          stack,
        },
      },
      {
        level: "error",
        message: "A job failed for good",
        fields: { task: "fails", job: last.id, attempt: 1, maxAttempts: 1, error: "no luck", stack },
      },
      {
        level: "warn",
        message: "A job was cancelled",
        fields: { task: "cancels", job: cancelled.id, attempt: 1, maxAttempts: 25, reason: "not wanted" },
      },
    ]);
  });

  it("never shows a payload or a password", async () => {
    const written: string[] = [];
    const logger = consoleLogger({ level: "debug", stream: { write: (text: string) => written.push(text) } });
    const worker = await createTestWorker(database, { tasks, logger });
    const ended = [record(worker.hooks, "jobComplete"), record(worker.hooks, "jobFail")];
    await worker.client.addJob(works, { card: "4111-1111" });
    await worker.client.addJob(fails, { card: "4111-1111" });
    await worker.client.addJob("unknown task", { card: "4111-1111" });
    const running = worker.run();
    for (const name of ended) await name.reach();
    await worker.stop();
    await running;
    expect(written.length).toBeGreaterThanOrEqual(3);
    expect(written.join("")).not.toContain("4111");
    expect(written.join("")).not.toContain(`:${new URL(database.connectionString).password}@`);
  });

  it("may fail: a logger that throws changes nothing", async () => {
    const broken = (): never => {
      throw new Error("disk full");
    };
    const logger = { error: broken, warn: broken, info: broken, debug: broken };
    const worker = await createTestWorker(database, { tasks, logger, concurrency: 1, pollInterval: "1h" });
    const failed = record(worker.hooks, "jobFail");
    const completed = record(worker.hooks, "jobComplete");
    for (const task of [fails, works, fails, works]) await worker.client.addJob(task, {}, { queueName: "q" });
    const running = worker.run();
    await completed.reach(2);
    await failed.reach(2);
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs where attempts = 1 and locked_at is null")).toHaveLength(2);
  });
});
