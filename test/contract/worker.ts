import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../src/job/task.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { Worker } from "../../src/worker/worker.ts";
import type { WorkerDatabase } from "../harness/database.ts";
import { createHeldTask } from "../harness/held-task.ts";
import { FAST_RECOVERY } from "../harness/recovery.ts";
import { until } from "../harness/until.ts";
import { aborted, createRecordingLogger, createTestWorker, record } from "../harness/worker.ts";

/** What a worker and its client promise, whatever driver is beneath them, beside what `describeSource` tests. */
export function describeWorker(name: string, open: () => Promise<WorkerDatabase>): void {
  describe(name, () => {
    let database: WorkerDatabase;

    beforeAll(async () => {
      database = await open();
    });

    beforeEach(async () => {
      await database.sql(
        "truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers, howdah._howdah_paused_tasks",
      );
    });

    afterAll(async () => {
      await database.drop();
    });

    /** Its poll is too far away to help it. */
    const createWorker = (options: WorkerOptions): Promise<Worker> =>
      createTestWorker(database, { pollInterval: "30s", concurrency: 3, ...options });

    async function running(options: WorkerOptions, work: (worker: Worker) => Promise<void>): Promise<void> {
      await using worker = await createWorker(options);
      const errors = record(worker.hooks, "workerError");
      const run = worker.run();
      await work(worker);
      await worker.stop();
      await run;
      expect(errors.events).toEqual([]);
      expect(await database.sql("select from howdah._private_jobs where locked_at is not null")).toEqual([]);
      expect(await database.sql("select from howdah._private_workers where id <> 'gone'")).toEqual([]);
    }

    const payload = {
      big: "9007199254740993",
      text: "ünï 🐫 'x' \\ \"y\"",
      list: [null, "null", 1.5],
      nested: { a: true },
    };

    it("adds jobs one by one, in bulk and by key, and reads them back as they are", async () => {
      await using worker = await createWorker({ tasks: [defineTask({ identifier: "work", run: () => undefined })] });
      const { client } = worker;
      const runAt = new Date(Date.UTC(2099, 0, 2, 3, 4, 5, 678));
      const one = await client.addJob("work", payload, { runAt, flags: ["a", "b"], queueName: "q", maxAttempts: 7 });
      const bulk = await client.addJobs([1, 2].map((n) => ({ identifier: "work", payload: { n }, spec: { runAt } })));
      await client.addJob("work", "first", { jobKey: "key", runAt });
      const kept = await client.addJob("work", "second", { jobKey: "key", runAt });
      expect(await client.getJob(one.id)).toMatchObject({ payload, runAt, queueName: "q", maxAttempts: 7 });
      expect((await client.getJob(one.id))?.flags).toEqual(["a", "b"]);
      const { jobs } = await client.listJobs();
      expect(jobs.map(({ id }) => id)).toEqual([one.id, ...bulk.map(({ id }) => id), kept.id]);
      expect(jobs.at(-1)).toMatchObject({ payload: "second", jobKey: "key" });
      const { scheduled, ready, running: locked } = await client.stats();
      expect([scheduled, ready, locked].map(({ value }) => value)).toEqual([4, 0, 0]);
    });

    it("runs what handlers ask of the database, and completes jobs with their own rows", async () => {
      await database.sql("create table if not exists orders (id integer primary key)");
      await database.sql("truncate orders");
      const orders = defineTask({
        identifier: "order",
        async run({ id, fails }: { id: number; fails: boolean }, context) {
          const [[one] = []] = (await context.query("select $1::integer + 1", [String(id)])).rows as string[][];
          expect(one).toBe(String(id + 1));
          await context.withTransaction(async (transaction) => {
            await transaction.query({ text: "insert into orders values ($1)", values: [String(id)] });
            await context.complete(transaction);
            await context.client.inTransaction(transaction).addJob("order", { id: id + 100, fails }, { runAt: FAR });
            if (fails) throw new Error("rolled back");
          });
        },
      });
      await running({ tasks: [orders] }, async ({ client, hooks }) => {
        const failed = record(hooks, "jobFail");
        await client.addJob(orders, { id: 1, fails: false });
        await client.addJob(orders, { id: 2, fails: true });
        await failed.reach();
        await until(async () => (await client.stats()).running.value === 0);
        const { jobs } = await client.listJobs();
        expect(jobs.map((job) => (job.payload as { id: number }).id).toSorted((a, b) => a - b)).toEqual([2, 101]);
        expect((await database.sql("select id from orders")).map((row) => row["id"])).toEqual([1]);
      });
    });

    it("cancels a job that runs, and one that waits", async () => {
      const held = defineTask({
        identifier: "held",
        async run(_payload, { signal }) {
          throw await aborted(signal);
        },
      });
      await running({ tasks: [held], concurrency: 1 }, async ({ client, hooks }) => {
        const started = record(hooks, "jobStart");
        const first = await client.addJob(held, "first");
        const second = await client.addJob(held, "second");
        await started.reach();
        const cancelled = await client.cancelJobs([first.id, second.id]);
        expect(cancelled).toEqual({ removed: [second.id], signalled: [first.id] });
        await until(async () => (await client.getJob(first.id))?.state === "failed");
        expect(started.events).toHaveLength(1);
      });
    });

    it("leaves paused queues and tasks alone until they are resumed, at once", async () => {
      const held = createHeldTask("work");
      held.openAll();
      await running({ tasks: [held.task] }, async ({ client, hooks }) => {
        const completed = record(hooks, "jobComplete");
        await client.pauseQueue("q");
        await client.addJob(held.task, "paused", { queueName: "q" });
        await client.addJob(held.task, "free");
        await completed.reach();
        await client.resumeQueue("q");
        await completed.reach(2);
        await client.pauseTask("work");
        await client.addJob(held.task, "later");
        await client.resumeTask("work");
        await completed.reach(3);
        expect(held.started).toEqual(["free", "paused", "later"]);
      });
    });

    it("adds what stored schedules say", async () => {
      const done: unknown[] = [];
      const nightly = defineTask({ identifier: "nightly", run: (given) => void done.push(given) });
      await running({ tasks: [nightly] }, async ({ client }) => {
        await client.schedules.upsert({ id: "often", task: "nightly", schedule: "* * * * *", payload: { n: 1 } });
        expect(await client.schedules.list()).toMatchObject([{ id: "often", task: "nightly" }]);
        await client.schedules.trigger("often");
        await until(() => done.length === 1);
        await client.schedules.remove("often");
      });
      expect(done).toEqual([expect.objectContaining({ n: 1 })]);
    });

    it("takes over the jobs of a worker that is gone", async () => {
      const done: unknown[] = [];
      const task = defineTask({ identifier: "work", run: (given) => void done.push(given) });
      await running(
        { tasks: [task], recovery: { ...FAST_RECOVERY, sweepThreshold: "1s" } },
        async ({ client, hooks }) => {
          const recovered = record(hooks, "workerRecovered");
          await client.addJob(task, "before");
          await until(() => done.length === 1);
          await database.sql(`
          insert into howdah._private_workers (id, last_heartbeat_at, metadata)
          values ('gone', now() - interval '1 hour', '{}')`);
          const { id } = await client.addJob("work", "taken over", { runAt: FAR });
          await database.sql(
            `update howdah._private_jobs set run_at = now(), locked_at = now(), locked_by = 'gone', attempts = 1
          where id = ${id}`,
          );
          await recovered.reach();
          await until(() => done.length === 2);
        },
      );
      expect(done).toEqual(["before", "taken over"]);
    });

    it("waits at its end for what runs, and starts nothing more", async () => {
      const held = createHeldTask("work");
      await using worker = await createWorker({ tasks: [held.task], concurrency: 1 });
      const run = worker.run();
      await worker.client.addJob(held.task, "a");
      await until(() => held.running.has("a"));
      await worker.client.addJob(held.task, "b");
      const stopped = worker.stop();
      held.open("a");
      await stopped;
      await run;
      expect(held.started).toEqual(["a"]);
      const rows = await database.sql("select payload, attempts, locked_by from howdah._private_jobs");
      expect(rows).toEqual([{ payload: "b", attempts: 0, locked_by: null }]);
    });

    it("runs once what is due", async () => {
      const task = defineTask({ identifier: "work", run: () => undefined });
      const logger = createRecordingLogger();
      await using worker = await createWorker({ tasks: [task], logger });
      await worker.client.addJobs([1, 2, 3].map((n) => ({ task, payload: n })));
      expect(await worker.runOnce()).toMatchObject({ completed: 3, failed: 0 });
      expect([...logger.messages("error"), ...logger.messages("warn")]).toEqual([]);
    });
  });
}

const FAR = new Date(Date.UTC(2099, 0));
