import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isHowdahError } from "../../../src/errors.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { databaseTime } from "../../harness/database-time.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

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

const QUICK = { gracePeriod: "30ms", abortPeriod: "30ms", interruptedJobRetryDelay: "1h" } as const;
const PATIENT = { gracePeriod: "1h", abortPeriod: "1h" } as const;

async function onlyRow() {
  const rows = await database.sql(
    `select job.attempts, job.last_error, job.locked_by, job.run_at, queue.locked_by as queue_locked_by
     from howdah._private_jobs as job left join howdah._private_job_queues as queue on queue.id = job.job_queue_id`,
  );
  expect(rows).toHaveLength(1);
  return rows[0] ?? {};
}

describe("in the grace period", () => {
  it("handlers go on undisturbed, and what they did counts", async () => {
    const gate = createGate();
    const signals: AbortSignal[] = [];
    const task = defineTask({
      identifier: "slow",
      async run(_payload: unknown, { signal }) {
        signals.push(signal);
        await gate.opened;
      },
    });
    const worker = await createTestWorker(database, { tasks: [task], concurrency: 1, shutdown: PATIENT });
    const started = record(worker.hooks, "jobStart");
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJobs([{ task }, { task }]);
    const running = worker.run();
    await started.reach();
    void worker.stop();
    await database.sql("select pg_sleep(0.05)");
    expect(signals.map(({ aborted: isAborted }) => isAborted)).toEqual([false]);

    gate.open();
    await running;
    expect(completed.events).toHaveLength(1);
    expect(started.events).toHaveLength(1);
    expect(await onlyRow()).toMatchObject({ attempts: 0, locked_by: null });
  });
});

describe("after the grace period", () => {
  it("a handler that obeys its signal is interrupted: no attempt counted, due after its delay (behaviours 269)", async () => {
    const reasons: unknown[] = [];
    const task = defineTask({
      identifier: "obeys",
      async run(_payload: unknown, { signal }) {
        reasons.push(await aborted(signal));
        signal.throwIfAborted();
      },
    });
    const worker = await createTestWorker(database, {
      tasks: [task],
      shutdown: { ...PATIENT, gracePeriod: "30ms", interruptedJobRetryDelay: "1h" },
    });
    const started = record(worker.hooks, "jobStart");
    const failed = record(worker.hooks, "jobFail");
    const interrupted = record(worker.hooks, "jobInterrupted");
    await worker.client.addJob(task, {}, { queueName: "q", maxAttempts: 1 });
    const running = worker.run();
    await started.reach();
    const before = await databaseTime(database);
    await worker.stop();
    await running;

    expect(isHowdahError(reasons[0], "HOWDAH_ABORTED_SHUTDOWN")).toBe(true);
    expect(failed.events).toEqual([]);
    expect(interrupted.events).toMatchObject([{ workerId: worker.id, reason: "shutdown", job: { task: "obeys" } }]);
    const row = await onlyRow();
    expect(row).toMatchObject({ attempts: 0, last_error: null, locked_by: null, queue_locked_by: null });
    expect((row["run_at"] as Date).getTime()).toBeGreaterThanOrEqual(before + 3_600_000);
  });

  it("a handler that finishes instead has completed its job", async () => {
    const task = defineTask({
      identifier: "finishes",
      async run(_payload: unknown, { signal }) {
        await aborted(signal);
      },
    });
    const worker = await createTestWorker(database, { tasks: [task], shutdown: { ...PATIENT, gracePeriod: "30ms" } });
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJob(task);
    const running = worker.run();
    await started.reach();
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });
});

describe("after the abort period", () => {
  it("a job without a queue whose handler goes on is given back, and the log says so", async () => {
    const gate = createGate();
    const task = defineTask({ identifier: "ignores", run: () => gate.opened });
    const logger = createRecordingLogger();
    const worker = await createTestWorker(database, { tasks: [task], logger, shutdown: QUICK });
    const started = record(worker.hooks, "jobStart");
    const interrupted = record(worker.hooks, "jobInterrupted");
    await worker.client.addJob(task);
    const running = worker.run();
    await started.reach();
    await worker.stop();
    await running;
    expect(interrupted.events).toHaveLength(1);
    expect(await onlyRow()).toMatchObject({ attempts: 0, locked_by: null });
    expect(logger.messages("warn")).toEqual(["Handlers did not stop when told to; their jobs were returned"]);
    gate.open();
  });

  it("a queued one is given back too, but its queue stays locked, so that no job runs beside it", async () => {
    const gate = createGate();
    const task = defineTask({ identifier: "ignores", run: () => gate.opened });
    const next = defineTask({ identifier: "next", run: () => undefined });
    const logger = createRecordingLogger();
    const worker = await createTestWorker(database, { tasks: [task], logger, shutdown: QUICK });
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJob(task, {}, { queueName: "q" });
    const running = worker.run();
    await started.reach();
    await worker.stop();
    await running;
    expect(await onlyRow()).toMatchObject({ attempts: 0, locked_by: null, queue_locked_by: worker.id });

    await using other = await createTestWorker(database, { tasks: [next] });
    await other.client.addJob(next, {}, { queueName: "q" });
    expect(await other.runOnce()).toMatchObject({ completed: 0 });
    // The worker is gone: its handler may end when it likes, nothing is tried over closed connections.
    gate.open();
    await other.runOnce();
    expect(logger.messages("error")).toEqual([]);
    await other.client.forceUnlockWorkers([worker.id]);
    expect(await other.runOnce()).toMatchObject({ completed: 1 });
  });

  it("the queue is free again when the handler settles while the worker still shuts down", async () => {
    const stuck = createGate();
    const other = createGate();
    const task = defineTask({ identifier: "ignores", timeout: "20ms", run: () => stuck.opened });
    const busy = defineTask({ identifier: "busy", run: () => other.opened });
    const shutdown = { gracePeriod: "1h", abortPeriod: "20ms" } as const;
    const worker = await createTestWorker(database, { tasks: [task, busy], concurrency: 2, shutdown });
    const failed = record(worker.hooks, "jobFail");
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJob(task, {}, { queueName: "q" });
    await worker.client.addJob(busy);
    const running = worker.run();
    await Promise.all([failed.reach(), started.reach(2)]);
    void worker.stop();
    stuck.open();
    await until(
      async () =>
        (await database.sql("select from howdah._private_job_queues where locked_at is not null")).length === 0,
    );
    other.open();
    await running;
    expect(await onlyRow()).toMatchObject({ attempts: 1, queue_locked_by: null });
  });
});
