import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
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

/** A worker at work that has found nothing yet. A poll is too far away to help it. */
async function startIdleWorker(options: Partial<WorkerOptions> = {}) {
  const done: string[] = [];
  const task = defineTask({ identifier: "work", run: (name: string) => void done.push(name) });
  const worker = await createTestWorker(database, {
    tasks: [task],
    concurrency: 2,
    pollInterval: "30s",
    localQueue: { size: 10 },
    ...options,
  });
  const fetches = record(worker.hooks, "localQueueGetJobsComplete");
  const delays = {
    started: record(worker.hooks, "localQueueRefetchDelayStart"),
    aborted: record(worker.hooks, "localQueueRefetchDelayAbort"),
    expired: record(worker.hooks, "localQueueRefetchDelayExpired"),
  };
  const running = worker.run();
  await fetches.reach();
  return {
    worker,
    task,
    done,
    fetches,
    delays,
    async end(): Promise<void> {
      await worker.stop();
      await running;
    },
  };
}

const REFETCH = { duration: "30s", threshold: 0, maxAbortThreshold: 3 } as const;

describe("a job that is added while a local queue rests", () => {
  // behaviours 174
  it("runs long before the next poll", async () => {
    const { worker, task, done, end } = await startIdleWorker();
    await worker.client.addJob(task, "announced");
    await until(() => done.length === 1);
    await end();
  });

  it("runs at the next poll without a listener", async () => {
    const { worker, task, done, end } = await startIdleWorker({ useNotificationDelivery: false, pollInterval: 50 });
    await worker.client.addJob(task, "unannounced");
    await until(() => done.length === 1);
    await end();
  });

  it("runs when it becomes due", async () => {
    const { worker, task, done, end } = await startIdleWorker({ pollInterval: 100 });
    const job = await worker.client.addJob(task, "later", { runAt: new Date(systemClock.now() + 300) });
    await until(() => done.length === 1);
    expect(job.state).toBe("scheduled");
    await end();
  });
});

describe("a refetch delay", () => {
  // behaviours 176
  it("is cut short by announcements one by one, although every slot waits for jobs", async () => {
    const { worker, task, done, delays, end } = await startIdleWorker({
      localQueue: { size: 10, refetchDelay: REFETCH },
    });
    await delays.started.reach();
    for (const name of ["1", "2", "3", "4", "5"]) await worker.client.addJob(task, name);
    await delays.aborted.reach();
    // An announcement that comes during a fetch may be one too few for the wait after it: others follow, as in life.
    for (let more = 0; done.length < 5; more++) await worker.client.addJob(task, `more ${more}`);
    expect(delays.aborted.events[0]?.count).toBeGreaterThanOrEqual(delays.aborted.events[0]?.abortThreshold ?? 99);
    expect(delays.expired.events).toEqual([]);
    await end();
  });

  it("is cut short by one announcement of many jobs, which counts for all of them", async () => {
    const { worker, task, done, delays, end } = await startIdleWorker({
      localQueue: { size: 10, refetchDelay: { ...REFETCH, maxAbortThreshold: 5 } },
    });
    await delays.started.reach();
    await worker.client.addJobs(["1", "2", "3", "4", "5"].map((payload) => ({ task, payload })));
    await until(() => done.length === 5);
    expect(delays.aborted.events[0]?.count).toBe(5);
    expect(delays.expired.events).toEqual([]);
    await end();
  });

  // behaviours 177
  it("is over by itself, and then jobs are fetched that were too few to cut it short", async () => {
    const { worker, task, done, delays, end } = await startIdleWorker({
      pollInterval: 200,
      localQueue: { size: 10, refetchDelay: { duration: 100, threshold: 3, maxAbortThreshold: 10 } },
    });
    for (const name of ["1", "2", "3", "4", "5"]) await worker.client.addJob(task, name);
    await until(() => done.length === 5);
    await delays.expired.reach();
    expect(done.toSorted()).toEqual(["1", "2", "3", "4", "5"]);
    for (const { durationMs, threshold } of delays.started.events) {
      expect(threshold).toBe(3);
      expect(durationMs).toBeGreaterThanOrEqual(50);
      expect(durationMs).toBeLessThanOrEqual(100);
    }
    await end();
  });

  it("does not follow a fetch that brought more than the threshold", async () => {
    const { worker, task, done, fetches, delays, end } = await startIdleWorker({
      localQueue: { size: 10, refetchDelay: { ...REFETCH, threshold: 2, maxAbortThreshold: 1 } },
    });
    await delays.started.reach();
    await worker.client.addJobs(["1", "2", "3"].map((payload) => ({ task, payload })));
    await until(() => done.length === 3);
    // The fetch of three started none; the one after it, which found nothing, did.
    await until(() => fetches.events.at(-1)?.count === 0);
    expect(delays.started.events.length).toBe(fetches.events.filter(({ count }) => count <= 2).length);
    await end();
  });
});
