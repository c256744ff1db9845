import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { HandlerIntervals } from "../../harness/handler-intervals.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await database.drop();
});

/** A worker with a limit of two for `render`, and handlers that write down when they run. */
async function setUp(options: Partial<WorkerOptions> = {}) {
  const intervals = new HandlerIntervals();
  const started: string[] = [];
  const timed = (identifier: string) =>
    defineTask({
      identifier,
      async run({ name, ms }: { name: string; ms: number }) {
        started.push(name);
        const interval = intervals.begin(identifier);
        await systemClock.sleep(ms);
        intervals.end(interval);
      },
    });
  const worker = await createTestWorker(database, {
    tasks: [timed("render"), timed("mail")],
    concurrency: 8,
    taskConcurrency: { render: 2 },
    ...options,
  });
  return { worker, intervals, started };
}

const isDrained = async (): Promise<boolean> =>
  (await database.sql("select from howdah._private_jobs limit 1")).length === 0;

describe.each([
  ["directly", {}],
  ["with a local queue", { localQueue: { size: 20 } }],
  ["by polling", { useNotificationDelivery: false, pollInterval: "100ms" }],
] as const)("a worker that limits a task and claims %s", (_, options) => {
  it("never runs more of it at once, and fills its other slots with other tasks", async () => {
    const { worker, intervals } = await setUp(options);
    const jobs = Array.from({ length: 90 }, (_job, index) => ({
      task: index % 3 === 0 ? "mail" : "render",
      payload: { name: String(index), ms: 10 },
    }));
    await worker.client.addJobs(jobs);
    const running = worker.run();
    await until(isDrained, { deadlineMs: 30_000 });
    expect(intervals.all).toHaveLength(90);
    expect(intervals.mostAtOnce(({ key }) => key === "render")).toBe(2);
    expect(intervals.mostAtOnce(({ key }) => key === "mail")).toBeGreaterThan(2);
    await worker.stop();
    await running;
  }, 60_000);

  it("keeps the order of a serial queue, also behind a job that has to wait for the limit", async () => {
    const { worker, started } = await setUp(options);
    const names = ["q1", "q2", "q3", "q4"];
    for (const [index, name] of names.entries()) {
      const task = index % 2 === 0 ? "render" : "mail";
      await worker.client.addJob(task, { name, ms: 1 }, { queueName: "serial", priority: 1 });
    }
    for (let job = 0; job < 6; job++) await worker.client.addJob("render", { name: "r", ms: 100 });
    const running = worker.run();
    await until(isDrained, { deadlineMs: 30_000 });
    expect(started.filter((name) => name !== "r")).toEqual(names);
    await worker.stop();
    await running;
  }, 60_000);
});

describe("runOnce of a worker that limits a task", () => {
  it("runs all jobs that are due", async () => {
    const { worker, intervals } = await setUp();
    const jobs = Array.from({ length: 12 }, (_, index) => ({
      task: "render",
      payload: { name: String(index), ms: 5 },
    }));
    await worker.client.addJobs(jobs);
    expect(await worker.runOnce()).toMatchObject({ completed: 12, ended: "drained" });
    expect(intervals.mostAtOnce()).toBe(2);
    await worker.stop();
  }, 30_000);
});
