import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../src/job/task.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { Worker } from "../../src/worker/worker.ts";
import { createDatabase, type WorkerDatabase } from "../harness/database.ts";
import { createHeldTask } from "../harness/held-task.ts";
import { until } from "../harness/until.ts";
import { createTestWorker, record } from "../harness/worker.ts";

/** What every source of jobs promises, whether it claims what slots have room for or ahead of them. */
export function describeSource(
  name: string,
  source: Pick<WorkerOptions, "localQueue">,
  open: () => Promise<WorkerDatabase> = createDatabase,
): void {
  describe(name, () => {
    let database: WorkerDatabase;

    beforeAll(async () => {
      database = await open();
    });

    beforeEach(async () => {
      await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
    });

    afterAll(async () => {
      await database.drop();
    });

    /** A worker whose poll is too far away to help it. */
    const createWorker = (options: WorkerOptions): Promise<Worker> =>
      createTestWorker(database, { pollInterval: "30s", concurrency: 3, ...source, ...options });

    const jobCount = async (): Promise<number> => (await database.sql("select from howdah._private_jobs")).length;
    const isDrained = async (): Promise<boolean> => (await jobCount()) === 0;

    async function end(worker: Worker, running: Promise<void>): Promise<void> {
      await worker.stop();
      await running;
      expect(await database.sql("select from howdah._private_jobs where locked_at is not null")).toEqual([]);
      expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
    }

    it("gives every job to a slot exactly once, also with several workers", async () => {
      const done: string[] = [];
      const task = defineTask({ identifier: "work", run: (payload: string) => void done.push(payload) });
      const workers = await Promise.all([createWorker({ tasks: [task] }), createWorker({ tasks: [task] })]);
      const names = Array.from({ length: 300 }, (_, index) => String(index));
      await workers[0].client.addJobs(
        names.map((payload, index) => ({
          task,
          payload,
          spec: {
            priority: index % 3,
            ...(index % 2 === 0 ? { queueName: `queue ${index % 10}` } : {}),
          },
        })),
      );
      const runs = workers.map((worker) => worker.run());
      await until(isDrained);
      for (const [index, worker] of workers.entries()) await end(worker, runs[index] as Promise<void>);
      expect(done.toSorted()).toEqual(names.toSorted());
    });

    it("gives jobs by priority, then by the time they are due, then by age", async () => {
      const held = createHeldTask("work");
      held.openAll();
      await using worker = await createWorker({ tasks: [held.task], concurrency: 1 });
      const { client } = worker;
      await client.addJob(held.task, "third");
      await client.addJob(held.task, "fourth");
      await client.addJob(held.task, "fifth", { priority: 5 });
      await client.addJob(held.task, "second", { runAt: new Date(0) });
      await client.addJob(held.task, "first", { priority: -5 });
      const running = worker.run();
      await until(isDrained);
      await end(worker, running);
      expect(held.started).toEqual(["first", "second", "third", "fourth", "fifth"]);
    });

    it("finds a job at once that is added while it is idle, and one that a job adds", async () => {
      const done: string[] = [];
      const task = defineTask({
        identifier: "work",
        async run(payload: string, { client }) {
          done.push(payload);
          if (payload === "parent") await client.addJob("work", "child");
        },
      });
      await using worker = await createWorker({ tasks: [task] });
      const running = worker.run();
      await worker.client.addJob(task, "first");
      await until(() => done.includes("first"));
      await until(isDrained);
      await worker.client.addJob(task, "parent");
      await until(() => done.includes("child"));
      await until(isDrained);
      await end(worker, running);
    });

    it("leaves alone what is not due, locked by others, used up, or of tasks it does not know", async () => {
      const held = createHeldTask("work");
      held.openAll();
      await using worker = await createWorker({ tasks: [held.task] });
      const { client } = worker;
      await client.addJob(held.task, "later", { runAt: new Date(Date.UTC(2099, 0)) });
      await client.addJob(held.task, "locked");
      await client.addJob(held.task, "used up", { maxAttempts: 1 });
      await client.addJob("another_task", "foreign");
      await database.sql(
        `update howdah._private_jobs set locked_at = now(), locked_by = 'other' where payload::text = '"locked"'`,
      );
      await database.sql(`update howdah._private_jobs set attempts = 1 where payload::text = '"used up"'`);
      await client.addJob(held.task, "mine");
      const running = worker.run();
      await until(async () => (await jobCount()) === 4);
      await worker.stop();
      await running;
      expect(held.started).toEqual(["mine"]);
      const rows = await database.sql("select payload, locked_by from howdah._private_jobs order by id");
      expect(rows.map((row) => [row["payload"], row["locked_by"]])).toEqual([
        ["later", null],
        ["locked", "other"],
        ["used up", null],
        ["foreign", null],
      ]);
    });

    it("runs the jobs of a queue one after another, in order, whatever other slots are free", async () => {
      const held = createHeldTask("work");
      await using worker = await createWorker({ tasks: [held.task] });
      const names = Array.from({ length: 12 }, (_, index) => String(index));
      for (const payload of names) await worker.client.addJob(held.task, payload, { queueName: "serial" });
      const running = worker.run();
      for (const payload of names) {
        await until(() => held.running.has(payload));
        expect([...held.running]).toEqual([payload]);
        const [queue] = (await worker.client.listQueues()).queues;
        expect(queue?.lockedBy).toBe(worker.id);
        held.open(payload);
      }
      await until(isDrained);
      await end(worker, running);
      expect(held.started).toEqual(names);
    });

    it("leaves a queue to the worker that holds it, and takes it over when it is free", async () => {
      const first = createHeldTask("work");
      const second = createHeldTask("work");
      await using holder = await createTestWorker(database, { tasks: [first.task], concurrency: 1 });
      await holder.client.addJob(first.task, "a", { queueName: "shared" });
      const holding = holder.run();
      await until(() => first.running.has("a"));
      await using worker = await createWorker({ tasks: [second.task] });
      const running = worker.run();
      await worker.client.addJob(second.task, "b", { queueName: "shared" });
      await worker.client.addJob(second.task, "elsewhere");
      await until(() => second.running.has("elsewhere"));
      expect(second.started).toEqual(["elsewhere"]);
      const stopped = holder.stop();
      first.openAll();
      second.openAll();
      await stopped;
      await holding;
      // That another worker has freed a queue is not notified; a new job of it is.
      await worker.client.addJob(second.task, "c", { queueName: "shared" });
      await until(() => second.started.length === 3);
      await until(isDrained);
      await end(worker, running);
      expect(second.started).toEqual(["elsewhere", "b", "c"]);
    });

    it("counts an attempt for each start, and tries a failed job again", async () => {
      const attempts: number[] = [];
      const task = defineTask({
        identifier: "work",
        retry: { type: "fixed", delay: 10 },
        run(_payload, { job }) {
          attempts.push(job.attempts);
          if (job.attempts < 3) throw new Error("not yet");
        },
      });
      await using worker = await createWorker({ tasks: [task], pollInterval: 50 });
      await worker.client.addJob(task, {});
      const running = worker.run();
      await until(isDrained);
      await end(worker, running);
      expect(attempts).toEqual([1, 2, 3]);
    });

    it("tells of each job that it claims", async () => {
      const held = createHeldTask("work");
      held.openAll();
      await using worker = await createWorker({ tasks: [held.task] });
      const fetches = record(worker.hooks, "jobFetch");
      const jobs = await worker.client.addJobs(["a", "b", "c"].map((payload) => ({ task: held.task, payload })));
      const running = worker.run();
      await until(isDrained);
      await end(worker, running);
      expect(fetches.events.map(({ job }) => job.id).toSorted()).toEqual(jobs.map(({ id }) => id).toSorted());
      for (const { job, workerId } of fetches.events) expect([job.lockedBy, workerId]).toEqual([worker.id, worker.id]);
    });

    it("gives back at the end what it has claimed and was not started", async () => {
      const held = createHeldTask("work");
      await using worker = await createWorker({ tasks: [held.task], concurrency: 1 });
      await worker.client.addJobs(["a", "b", "c"].map((payload) => ({ task: held.task, payload })));
      const running = worker.run();
      await until(() => held.running.has("a"));
      const stopped = worker.stop();
      held.openAll();
      await stopped;
      await end(worker, running);
      const rows = await database.sql("select payload, attempts from howdah._private_jobs order by id");
      expect(rows).toEqual([
        { payload: "b", attempts: 0 },
        { payload: "c", attempts: 0 },
      ]);
    });
  });
}
