import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createGate, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

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

/** How many sessions of workers are left in this database. */
async function sessions(): Promise<number> {
  const rows = await database.sql(
    "select from pg_stat_activity where datname = current_database() and application_name like 'howdah worker%'",
  );
  return rows.length;
}

describe("run", () => {
  it("is refused while the worker runs, and after it was stopped", async () => {
    const worker = await createTestWorker(database, { tasks: [task] });
    const running = worker.run();
    await expect(worker.run()).rejects.toMatchObject({ code: "HOWDAH_WORKER_RUNNING" });
    await expect(worker.runOnce()).rejects.toMatchObject({ code: "HOWDAH_WORKER_RUNNING" });
    await worker.stop();
    await running;
    await expect(worker.run()).rejects.toMatchObject({ code: "HOWDAH_WORKER_STOPPED" });
    await expect(worker.runOnce()).rejects.toMatchObject({ code: "HOWDAH_WORKER_STOPPED" });
  });

  it("resolves only when everything is written and closed", async () => {
    const worker = await createTestWorker(database, { tasks: [task] });
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob(task);
    const running = worker.run();
    await completed.reach();
    expect(await sessions()).toBeGreaterThan(0);
    void worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
    await until(async () => (await sessions()) === 0);
  });
});

describe("stop", () => {
  it("before run closes the worker", async () => {
    const worker = await createTestWorker(database, { tasks: [task] });
    await worker.stop();
    await expect(worker.run()).rejects.toMatchObject({ code: "HOWDAH_WORKER_STOPPED" });
    await until(async () => (await sessions()) === 0);
  });

  it("may be called twice, at the same time and later", async () => {
    const worker = await createTestWorker(database, { tasks: [task] });
    const running = worker.run();
    await Promise.all([worker.stop("first"), worker.stop("second")]);
    await running;
    await worker.stop();
    await until(async () => (await sessions()) === 0);
  });

  it("may be called in the same turn as run", async () => {
    const worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJobs(Array.from({ length: 20 }, () => ({ task })));
    const running = worker.run();
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs where locked_at is not null")).toHaveLength(0);
  });

  it("may be called by the hook that tells of the start", async () => {
    const logger = createRecordingLogger();
    const worker: Worker = await createTestWorker(database, {
      tasks: [task],
      logger,
      hooks: { workerStart: () => void worker.stop() },
    });
    await worker.client.addJob(task);
    await worker.run();
    expect(logger.messages("error")).toEqual([]);
    expect(await database.sql("select from howdah.jobs where locked_at is not null")).toHaveLength(0);
    await until(async () => (await sessions()) === 0);
  });

  it("at any moment of a drain leaves nothing locked and loses nothing", async () => {
    const times = new Map<string, number>();
    const counted = defineTask({
      identifier: "counted",
      run: (id: string) => void times.set(id, (times.get(id) ?? 0) + 1),
    });
    const all = Array.from({ length: 300 }, (_, n) => String(n));
    await using last = await createTestWorker(database, { tasks: [counted] });
    await last.client.addJobs(
      all.map((payload, n) => ({ task: counted, payload, spec: n % 3 ? { queueName: `q${n % 7}` } : {} })),
    );

    // Each worker is stopped a little later in its life than the one before.
    for (let steps = 0; steps < 25; steps++) {
      const worker = await createTestWorker(database, { tasks: [counted], concurrency: 3 });
      const running = worker.run();
      for (let step = 0; step < steps; step++) await database.sql("select 1");
      await worker.stop();
      await running;
      const locked = await database.sql(
        `select id from howdah._private_jobs where locked_at is not null or attempts > 0
         union all select id from howdah._private_job_queues where locked_at is not null`,
      );
      expect(locked).toEqual([]);
    }
    await last.runOnce();
    expect([...times.keys()].toSorted((a, b) => Number(a) - Number(b))).toEqual(all);
    expect([...times.values()].filter((count) => count !== 1)).toEqual([]);
  });

  it("called by a handler that does not wait for it lets that job complete", async () => {
    const stopper = defineTask({
      identifier: "stopper",
      async run(_payload: unknown, { query }) {
        void worker.stop();
        await query("select 1");
      },
    });
    const worker: Worker = await createTestWorker(database, { tasks: [stopper], concurrency: 1 });
    await worker.client.addJob(stopper);
    await worker.client.addJob(stopper);
    await worker.run();
    expect(await database.sql("select attempts, locked_at from howdah.jobs")).toEqual([
      { attempts: 0, locked_at: null },
    ]);
  });

  it("waited for by a handler ends all the same: the job is given back", async () => {
    const stopper = defineTask({ identifier: "stopper", run: () => worker.stop() });
    const shutdown = { gracePeriod: "50ms", abortPeriod: "20ms" } as const;
    const worker: Worker = await createTestWorker(database, { tasks: [stopper], shutdown });
    const interrupted = record(worker.hooks, "jobInterrupted");
    await worker.client.addJob(stopper);
    await worker.run();
    expect(interrupted.events).toHaveLength(1);
    expect(await database.sql("select attempts, locked_at from howdah.jobs")).toEqual([
      { attempts: 0, locked_at: null },
    ]);
  });
});

describe("await using", () => {
  it("stops the worker at the end of the block", async () => {
    let running: Promise<void> | undefined;
    {
      await using worker = await createTestWorker(database, { tasks: [task] });
      const completed = record(worker.hooks, "jobComplete");
      await worker.client.addJob(task);
      running = worker.run();
      await completed.reach();
    }
    await running;
    await until(async () => (await sessions()) === 0);
  });
});

describe("an AbortSignal", () => {
  it("stops the worker when it is aborted, and the reason is told", async () => {
    const controller = new AbortController();
    const gate = createGate();
    const slow = defineTask({ identifier: "slow", run: () => gate.opened });
    const worker = await createTestWorker(database, { tasks: [slow], shutdown: { signal: controller.signal } });
    const started = record(worker.hooks, "jobStart");
    const ended = record(worker.hooks, "workerShutdown");
    await worker.client.addJob(slow);
    const running = worker.run();
    await started.reach();
    controller.abort();
    gate.open();
    await running;
    expect(ended.events).toEqual([{ workerId: worker.id, reason: "signal" }]);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });

  it("that is aborted already lets nothing start", async () => {
    const worker = await createTestWorker(database, { tasks: [task], shutdown: { signal: AbortSignal.abort() } });
    await worker.client.addJob(task);
    const started = record(worker.hooks, "jobStart");
    await worker.run();
    expect(started.events).toEqual([]);
    expect(await database.sql("select attempts, locked_at from howdah.jobs")).toEqual([
      { attempts: 0, locked_at: null },
    ]);
  });

  it("that outlives the worker holds no part of it", async () => {
    const controller = new AbortController();
    let listeners = 0;
    const signal = new Proxy(controller.signal, {
      get(target, name) {
        if (name === "addEventListener") listeners += 1;
        if (name === "removeEventListener") listeners -= 1;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], shutdown: { signal } });
    await worker.runOnce();
    await worker.runOnce();
    expect(listeners).toBe(0);
  });
});
