import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cancel, snooze } from "../../../src/job/directive.ts";
import type { JobSpec } from "../../../src/job/job.ts";
import type { RetryPolicy } from "../../../src/job/retry.ts";
import { defineTask, type HandlerResult } from "../../../src/job/task.ts";
import { unrecoverable } from "../../../src/job/unrecoverable.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { databaseTime } from "../../harness/database-time.ts";
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

interface Attempt {
  readonly run: (payload: unknown) => HandlerResult;
  readonly retry?: RetryPolicy;
  readonly spec?: JobSpec;
}

/** Adds a job, runs it once, and returns what became of it. */
async function attempt({ run, retry, spec }: Attempt) {
  const logger = createRecordingLogger();
  const task = defineTask({ identifier: "attempt", run, ...(retry ? { retry } : {}) });
  await using worker = await createTestWorker(database, { tasks: [task], logger });
  const failed = record(worker.hooks, "jobFail").events;
  const failedForGood = record(worker.hooks, "jobPermanentlyFail").events;
  const before = await databaseTime(database);
  await worker.client.addJob(task, { n: 1 }, spec);
  const result = await worker.runOnce();
  return {
    result,
    row: await onlyRow(),
    ran: { before, after: await databaseTime(database) },
    failed,
    failedForGood,
    logger,
  };
}

async function onlyRow() {
  const rows = await database.sql(
    "select attempts, max_attempts, last_error, locked_at, locked_by, run_at from howdah.jobs",
  );
  expect(rows).toHaveLength(1);
  return rows[0] ?? {};
}

/** The job is due so long after a moment between these two. */
function expectDue(row: Record<string, unknown>, delayMs: number, ran: { before: number; after: number }): void {
  const runAt = (row["run_at"] as Date).getTime();
  expect(runAt).toBeGreaterThanOrEqual(ran.before + delayMs);
  expect(runAt).toBeLessThanOrEqual(ran.after + delayMs + 1);
}

function fail(): never {
  throw new Error("TEST_ERROR");
}

describe("a job that fails", () => {
  it("is due again after e seconds, with its attempt counted and its error stored (behaviours 85)", async () => {
    const { result, row, failed, ran } = await attempt({ run: fail, spec: { queueName: "q" } });

    expect(result).toEqual({ completed: 0, failed: 1, snoozed: 0, ended: "drained" });
    expect(row).toMatchObject({
      attempts: 1,
      max_attempts: 25,
      last_error: "TEST_ERROR",
      locked_at: null,
      locked_by: null,
    });
    expectDue(row, 2718, ran);
    expect(failed[0]).toMatchObject({ job: { attempts: 1 }, retryAt: row["run_at"] });
    const queues = await database.sql("select locked_at, locked_by from howdah._private_job_queues");
    expect(queues).toEqual([{ locked_at: null, locked_by: null }]);
  });

  it("is not run again before that", async () => {
    let calls = 0;
    const task = defineTask({
      identifier: "once",
      run() {
        calls += 1;
        throw new Error("no");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, {});
    await worker.runOnce();
    expect(await worker.runOnce()).toEqual({ completed: 0, failed: 0, snoozed: 0, ended: "drained" });
    expect(calls).toBe(1);
  });

  it("is due by the policy of its task", async () => {
    const { row, ran } = await attempt({ run: fail, retry: { type: "fixed", delay: "1h" } });
    expect(row).toMatchObject({ attempts: 1, last_error: "TEST_ERROR" });
    expectDue(row, 3_600_000, ran);
  });

  it("asks a policy of the application with the error and the attempt", async () => {
    const seen: unknown[] = [];
    const { row, ran } = await attempt({
      run: fail,
      retry({ attempts, error, job }) {
        seen.push(attempts, (error as Error).message, job.task);
        return "1d";
      },
    });
    expect(seen).toEqual([1, "TEST_ERROR", "attempt"]);
    expectDue(row, 86_400_000, ran);
  });

  it("follows the default policy when its own throws, and says so", async () => {
    const { row, ran, logger } = await attempt({
      run: fail,
      retry: () => {
        throw new Error("policy broken");
      },
    });
    expectDue(row, 2718, ran);
    expect(logger.messages("error")).toEqual(["The retry policy of a task failed; the default policy was used"]);
  });
});

describe("the last attempt", () => {
  it("leaves the row, failed for good, and tells of it once (behaviours 88, 92, 96)", async () => {
    const task = defineTask({ identifier: "stubborn", run: fail, retry: { type: "fixed", delay: 0 } });
    await using worker = await createTestWorker(database, { tasks: [task] });
    const failed = record(worker.hooks, "jobFail");
    const failedForGood = record(worker.hooks, "jobPermanentlyFail");
    const { id } = await worker.client.addJob(task, {}, { maxAttempts: 3, queueName: "q" });

    expect(await worker.runOnce()).toMatchObject({ failed: 3, ended: "drained" });
    expect(failed.events.map(({ job }) => job.attempts)).toEqual([1, 2]);
    expect(failedForGood.events.map(({ job }) => job.attempts)).toEqual([3]);
    expect(await worker.client.getJob(id)).toMatchObject({
      state: "failed",
      attempts: 3,
      maxAttempts: 3,
      lastError: "TEST_ERROR",
      lockedAt: null,
    });
    expect(await worker.runOnce()).toMatchObject({ failed: 0 });
    expect((await worker.client.listQueues()).queues).toMatchObject([
      { jobCount: { value: 0 }, readyCount: { value: 0 }, lockedAt: null },
    ]);
  });

  it("can be the first: a policy that says false", async () => {
    const { row, failedForGood, failed } = await attempt({ run: fail, retry: () => false });
    expect(row).toMatchObject({ attempts: 25, max_attempts: 25, last_error: "TEST_ERROR" });
    expect([failed.length, failedForGood.length]).toEqual([0, 1]);
  });

  it("can be the first: an unrecoverable error, whose cause is kept", async () => {
    const { row, failed, failedForGood } = await attempt({
      run() {
        throw unrecoverable(new Error("no such account", { cause: new Error("404") }));
      },
    });
    expect(row).toMatchObject({ attempts: 25, last_error: "no such account <- caused by: 404" });
    expect([failed.length, failedForGood.length]).toEqual([0, 1]);
  });
});

describe("snooze", () => {
  it("runs the job again later and does not count the attempt", async () => {
    const { result, row, ran } = await attempt({ run: () => snooze("1h"), spec: { maxAttempts: 1 } });
    expect(result).toEqual({ completed: 0, failed: 0, snoozed: 1, ended: "drained" });
    expect(row).toMatchObject({ attempts: 0, max_attempts: 1, last_error: null, locked_at: null });
    expectDue(row, 3_600_000, ran);
  });

  it("of no time runs it again at once, as often as it takes", async () => {
    let calls = 0;
    const task = defineTask({
      identifier: "poll",
      run() {
        calls += 1;
        return calls < 5 ? snooze(0) : undefined;
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, {}, { queueName: "q", maxAttempts: 1 });
    expect(await worker.runOnce()).toEqual({ completed: 1, failed: 0, snoozed: 4, ended: "drained" });
    expect(calls).toBe(5);
  });
});

describe("cancel", () => {
  it("ends the job as failed, with the reason as its error", async () => {
    const { result, row, failedForGood } = await attempt({ run: () => cancel("the user has left") });
    expect(result).toMatchObject({ completed: 0, failed: 1 });
    expect(row).toMatchObject({ attempts: 25, max_attempts: 25, last_error: "the user has left", locked_at: null });
    expect(failedForGood).toMatchObject([{ error: "the user has left" }]);
  });
});
