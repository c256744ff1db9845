import { availableParallelism } from "node:os";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createTestWorker, record } from "../../harness/worker.ts";

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

const noTask = defineTask({ identifier: "nothing", run() {} });

describe("a worker", () => {
  it("has as many slots as there are cores, unless told otherwise (behaviours 296)", async () => {
    const initialised: number[] = [];
    const hooks = { workerInit: ({ concurrency }: { concurrency: number }) => void initialised.push(concurrency) };
    await using _default = await createTestWorker(database, { tasks: [noTask], hooks });
    await using _given = await createTestWorker(database, { tasks: [noTask], hooks, concurrency: 3 });
    expect(initialised).toEqual([availableParallelism(), 3]);
  });

  it("picks up the jobs of a queue as they are added, and listens for signals while it runs (behaviours 66)", async () => {
    const before = process.listenerCount("SIGTERM");
    const gates = [1, 2, 3, 4, 5].map(() => createGate());
    const task = defineTask({ identifier: "serial", run: async (index: number) => gates[index]?.opened });
    await using worker = await createTestWorker(database, {
      tasks: [task],
      concurrency: 3,
      shutdown: { osSignals: true },
    });
    const started = record(worker.hooks, "jobStart");
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    for (const [index, gate] of gates.entries()) {
      await worker.client.addJob(task, index, { queueName: "serial" });
      await started.reach(index + 1);
      expect(process.listenerCount("SIGTERM")).toBe(before + 1);
      gate.open();
      await completed.reach(index + 1);
    }
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs")).toEqual([]);
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });
});

describe("a single run", () => {
  it("leaves a job for later alone, however often it is called, and runs it once it is due (behaviours 74)", async () => {
    await using worker = await createTestWorker(database, { tasks: [noTask] });
    const job = await worker.client.addJob(noTask, {}, { runAt: new Date("2099-01-01"), queueName: "later" });
    expect(await worker.runOnce()).toMatchObject({ completed: 0, ended: "drained" });
    expect(await worker.runOnce()).toMatchObject({ completed: 0, ended: "drained" });
    await worker.client.rescheduleJobs([job.id], { runAt: new Date(0) });
    expect(await worker.runOnce()).toMatchObject({ completed: 1, ended: "drained" });
    expect(await database.sql("select from howdah.jobs")).toEqual([]);
  });

  it("does everything with several slots, also when a local queue is set up (behaviours 78)", async () => {
    await using worker = await createTestWorker(database, { tasks: [noTask], concurrency: 3, localQueue: true });
    const fetched = record(worker.hooks, "localQueueGetJobsComplete");
    await worker.client.addJobs([1, 2, 3, 4, 5].map((payload) => ({ identifier: "nothing", payload })));
    expect(await worker.runOnce()).toMatchObject({ completed: 5 });
    expect(fetched.events).toEqual([]);
  });
});

describe("jobs that fail together", () => {
  it("are written down with and without a queue, and the queue is free (behaviours 65)", async () => {
    const task = defineTask({
      identifier: "fails",
      run() {
        throw new Error("no");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 2, failJobBatchDelay: 50 });
    await worker.client.addJob(task, {});
    await worker.client.addJob(task, {}, { queueName: "fragile" });
    expect(await worker.runOnce()).toMatchObject({ failed: 2 });
    expect(await database.sql("select attempts, last_error, locked_at, locked_by from howdah.jobs")).toEqual([
      { attempts: 1, last_error: "no", locked_at: null, locked_by: null },
      { attempts: 1, last_error: "no", locked_at: null, locked_by: null },
    ]);
    expect((await worker.client.listQueues()).queues).toMatchObject([
      { name: "fragile", jobCount: { value: 1 }, lockedBy: null },
    ]);
  });
});

describe("jobs that are given back", () => {
  it("are free with and without a queue, and so is the queue; no attempt is counted (behaviours 97)", async () => {
    const task = defineTask({
      identifier: "waits",
      run: async (_: unknown, { signal }) => void (await aborted(signal)),
    });
    await using worker = await createTestWorker(database, {
      tasks: [task],
      concurrency: 1,
      localQueue: true,
      pollInterval: "1h",
      shutdown: { gracePeriod: 0 },
    });
    await worker.client.addJob(task, "runs");
    const started = record(worker.hooks, "jobStart");
    const fetched = record(worker.hooks, "localQueueGetJobsComplete");
    const returned = record(worker.hooks, "localQueueReturnJobs");
    const running = worker.run();
    await started.reach();
    // The fetch after that job: from now on only the announcement of both others causes one.
    await fetched.reach(2);
    await worker.client.addJobs([
      { task, payload: "cached" },
      { task, payload: "cached", spec: { queueName: "cached" } },
    ]);
    await until(() => fetched.events.reduce((sum, { count }) => sum + count, 0) === 3);
    await worker.stop();
    await running;
    expect(returned.events.reduce((sum, { count }) => sum + count, 0)).toBe(2);
    const cached = await database.sql(
      `select attempts, locked_at, locked_by from howdah._private_jobs where payload::text = '"cached"'`,
    );
    const free = { attempts: 0, locked_at: null, locked_by: null };
    expect(cached).toEqual([free, free]);
    expect(await database.sql("select locked_at, locked_by from howdah._private_job_queues")).toEqual([
      { locked_at: null, locked_by: null },
    ]);
  });
});

describe("claiming and releasing", () => {
  it("change neither the revision of a job nor the time of its last change (behaviours S5)", async () => {
    const failing = defineTask({
      identifier: "fails",
      run() {
        throw new Error("no");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [failing] });
    const before = await worker.client.addJob(failing, {});
    await worker.runOnce();
    const after = await worker.client.getJob(before.id);
    expect(after).toMatchObject({ attempts: 1, revision: before.revision, updatedAt: before.updatedAt });
  });
});
