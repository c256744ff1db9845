import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createManualClock } from "../../../src/testing/manual-clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createGate, createTestWorker, record } from "../../harness/worker.ts";

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

const task = defineTask({ identifier: "job", run: () => undefined });
const none = { completed: 0, failed: 0, snoozed: 0 };

describe("runOnce", () => {
  it("runs what is available and leaves what is due later, locked or failed for good (behaviours 73)", async () => {
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 3 });
    const { client } = worker;
    const left = [
      await client.addJob(task, {}, { runAt: "2200-01-01T00:00:00Z" }),
      await client.addJob(task, {}, { runAt: "2200-01-01T00:00:00Z", queueName: "later" }),
    ];
    const locked = [await client.addJob(task), await client.addJob(task, {}, { queueName: "locked" })];
    const behind = await client.addJob(task, {}, { queueName: "locked" });
    const failed = await client.addJob(task);
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'other' where id = any ($1)", [
      locked.map(({ id }) => id),
    ]);
    await database.sql(
      "update howdah._private_job_queues set locked_at = now(), locked_by = 'other' where queue_name = 'locked'",
    );
    await client.permanentlyFailJobs([failed.id]);
    for (let n = 0; n < 6; n++) await client.addJob(task, {}, n % 2 ? { queueName: `q${n % 3}` } : {});

    expect(await worker.runOnce()).toEqual({ ...none, completed: 6, ended: "drained" });
    const rows = await database.sql("select id from howdah.jobs order by id");
    expect(rows.map((row) => String(row["id"]))).toEqual(
      [...left, ...locked, behind, failed].map(({ id }) => id).toSorted((a, b) => Number(a) - Number(b)),
    );
  });

  it("can be called again, and counts anew", async () => {
    await using worker = await createTestWorker(database, { tasks: [task] });
    expect(await worker.runOnce()).toEqual({ ...none, ended: "drained" });
    await worker.client.addJob(task);
    expect(await worker.runOnce()).toEqual({ ...none, completed: 1, ended: "drained" });
    expect(await worker.runOnce()).toEqual({ ...none, ended: "drained" });
  });

  it("starts no more than maxJobs, and says that this ended it", async () => {
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    await worker.client.addJobs(Array.from({ length: 10 }, () => ({ task })));
    expect(await worker.runOnce({ maxJobs: 3 })).toEqual({ ...none, completed: 3, ended: "maxJobs" });
    expect(await database.sql("select locked_at, attempts from howdah.jobs")).toEqual(
      Array.from({ length: 7 }, () => ({ locked_at: null, attempts: 0 })),
    );
    expect(await worker.runOnce({ maxJobs: 100 })).toEqual({ ...none, completed: 7, ended: "drained" });
  });

  it("starts nothing after its deadline, but ends what runs", async () => {
    const gate = createGate();
    let calls = 0;
    const slow = defineTask({
      identifier: "slow",
      async run() {
        calls += 1;
        await gate.opened;
      },
    });
    const clock = createManualClock();
    await using worker = await createTestWorker(database, { tasks: [slow], concurrency: 1, clock, pollInterval: "1h" });
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJobs([{ task: slow }, { task: slow }]);
    const running = worker.runOnce({ deadline: "1m" });
    await started.reach();
    await clock.advance(60_000);
    gate.open();
    expect(await running).toEqual({ ...none, completed: 1, ended: "deadline" });
    expect(calls).toBe(1);
    expect(await database.sql("select locked_at, attempts from howdah.jobs")).toEqual([
      { locked_at: null, attempts: 0 },
    ]);
  });

  it("ends early when the worker is stopped", async () => {
    const gate = createGate();
    const slow = defineTask({ identifier: "slow", run: () => gate.opened });
    const worker = await createTestWorker(database, { tasks: [slow], concurrency: 1 });
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJobs([{ task: slow }, { task: slow }]);
    const running = worker.runOnce();
    await started.reach();
    const stopped = worker.stop();
    gate.open();
    expect(await running).toEqual({ ...none, completed: 1, ended: "stopped" });
    await stopped;
    expect(started.events).toHaveLength(1);
  });

  it("runs a job of a queue whose lock another worker lets go while it looks", async () => {
    await using first = await createTestWorker(database, { tasks: [task], concurrency: 2 });
    await using second = await createTestWorker(database, { tasks: [task], concurrency: 2 });
    await first.client.addJobs(Array.from({ length: 50 }, (_, n) => ({ task, spec: { queueName: `q${n % 5}` } })));
    const [a, b] = await Promise.all([first.runOnce(), second.runOnce()]);
    expect(a.completed + b.completed).toBe(50);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });

  it.each([{ deadline: -1 }, { maxJobs: 0 }, { maxJob: 1 } as object])("refuses %j", async (options) => {
    await using worker = await createTestWorker(database, { tasks: [task] });
    await expect(worker.runOnce(options)).rejects.toThrow(/runOnce option/i);
  });
});
