import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { unrecoverable } from "../../../src/job/unrecoverable.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

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

const good = defineTask({ identifier: "good", run: () => undefined });
const bad = defineTask({
  identifier: "bad",
  run() {
    throw new Error("no");
  },
});
const doomed = defineTask({
  identifier: "doomed",
  run() {
    throw unrecoverable(new Error("never"));
  },
});

/** A worker with these delays, and how often each outcome was told of. */
async function createDelayedWorker(options: Partial<WorkerOptions>) {
  const worker = await createTestWorker(database, { tasks: [good, bad, doomed], concurrency: 4, ...options });
  const completions = record(worker.hooks, "jobComplete");
  const failures = record(worker.hooks, "jobFail");
  const lastFailures = record(worker.hooks, "jobPermanentlyFail");
  return { worker, completions, failures, lastFailures };
}

const jobCount = async (): Promise<number> => (await database.sql("select from howdah._private_jobs")).length;
const three = (task: typeof good) => Array.from({ length: 3 }, () => ({ task, payload: {} }));

describe.each([
  ["the local queue", { localQueue: { size: 10 } }],
  ["direct claims", {}],
])("delays of %s", (_, source) => {
  // behaviours 192, 198
  it("hold completions back, and stop writes them all, each told of once", async () => {
    const { worker, completions } = await createDelayedWorker({ ...source, completeJobBatchDelay: "20s" });
    const starts = record(worker.hooks, "jobStart");
    await worker.client.addJobs(three(good));
    const running = worker.run();
    await starts.reach(3);
    expect(await jobCount()).toBe(3);
    expect(completions.events).toEqual([]);
    await worker.stop();
    await running;
    expect(await jobCount()).toBe(0);
    expect(completions.events).toHaveLength(3);
  });

  it("hold failures back, and stop writes them all", async () => {
    const { worker, failures } = await createDelayedWorker({ ...source, failJobBatchDelay: "20s" });
    const starts = record(worker.hooks, "jobStart");
    await worker.client.addJobs(three(bad));
    const running = worker.run();
    await starts.reach(3);
    expect(failures.events).toEqual([]);
    await worker.stop();
    await running;
    expect(failures.events).toHaveLength(3);
    const rows = await database.sql("select attempts, locked_by, last_error from howdah._private_jobs");
    expect(rows).toEqual(rows.map(() => ({ attempts: 1, locked_by: null, last_error: expect.stringContaining("no") })));
  });

  it("are each for their own outcome: a failure does not wait for completions", async () => {
    const { worker, failures } = await createDelayedWorker({ ...source, completeJobBatchDelay: "20s" });
    await worker.client.addJob(bad, {});
    const running = worker.run();
    await failures.reach();
    await worker.stop();
    await running;
    expect(failures.events).toHaveLength(1);
  });

  // behaviours 193, 194
  it("end by themselves: failed jobs are attempted once, and job and queue are unlocked", async () => {
    const { worker, lastFailures } = await createDelayedWorker({ ...source, failJobBatchDelay: 10 });
    for (let index = 0; index < 5; index++) {
      await worker.client.addJob(bad, {}, { maxAttempts: 1, queueName: `queue ${index}` });
    }
    const running = worker.run();
    await lastFailures.reach(5);
    await worker.stop();
    await running;
    const rows = await database.sql("select attempts, locked_at, locked_by from howdah._private_jobs");
    expect(rows).toEqual(Array.from({ length: 5 }, () => ({ attempts: 1, locked_at: null, locked_by: null })));
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
  });

  // behaviours 196
  it("work side by side: five successes and five failures are all counted", async () => {
    const { worker, completions, failures } = await createDelayedWorker({
      ...source,
      completeJobBatchDelay: 15,
      failJobBatchDelay: 5,
    });
    await worker.client.addJobs([...three(good), ...three(bad), ...three(good).slice(1), ...three(bad).slice(1)]);
    const running = worker.run();
    await Promise.all([completions.reach(5), failures.reach(5)]);
    await worker.stop();
    await running;
    expect([completions.events.length, failures.events.length, await jobCount()]).toEqual([5, 5, 5]);
  });

  // behaviours 197
  it("change no hook: two completions, one of them queued, one failure and one for good", async () => {
    const { worker, completions, failures, lastFailures } = await createDelayedWorker({
      ...source,
      completeJobBatchDelay: 10,
      failJobBatchDelay: 10,
    });
    await worker.client.addJob(good, {});
    await worker.client.addJob(good, {}, { queueName: "queue" });
    await worker.client.addJob(bad, {});
    await worker.client.addJob(doomed, {});
    const running = worker.run();
    await Promise.all([completions.reach(2), failures.reach(1), lastFailures.reach(1)]);
    await worker.stop();
    await running;
    expect([completions, failures, lastFailures].map(({ events }) => events.length)).toEqual([2, 1, 1]);
  });

  // behaviours 200
  it("keep what is left of a batch that failed in part", async () => {
    const items = defineBatchTask({
      identifier: "items",
      runBatch: (given: readonly { id: number; fail: boolean }[]) =>
        given.map(({ fail }) => (fail ? new Error("item failed") : undefined)),
    });
    const { worker, failures, lastFailures } = await createDelayedWorker({
      ...source,
      failJobBatchDelay: 10,
      tasks: [items],
    });
    const payload = [
      { id: 1, fail: false },
      { id: 2, fail: true },
    ];
    await worker.client.addBatchJob(items, payload);
    await worker.client.addBatchJob(items, payload, { maxAttempts: 1 });
    const running = worker.run();
    await Promise.all([failures.reach(1), lastFailures.reach(1)]);
    await worker.stop();
    await running;
    const rows = await database.sql("select payload from howdah._private_jobs");
    expect(rows).toEqual([{ payload: [{ id: 2, fail: true }] }, { payload: [{ id: 2, fail: true }] }]);
    expect([failures.events.length, lastFailures.events.length]).toEqual([1, 1]);
  });

  it("do not break the order of a queue, whose next job starts when the one before is written", async () => {
    const order: string[] = [];
    const task = defineTask({ identifier: "ordered", run: (name: string) => void order.push(name) });
    const { worker, completions } = await createDelayedWorker({ ...source, tasks: [task], completeJobBatchDelay: 5 });
    const names = Array.from({ length: 10 }, (_, index) => String(index));
    for (const name of names) await worker.client.addJob(task, name, { queueName: "queue" });
    const running = worker.run();
    await completions.reach(10);
    await worker.stop();
    await running;
    expect(order).toEqual(names);
    await until(async () => (await jobCount()) === 0);
  });
});
