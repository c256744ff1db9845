import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { isHowdahError } from "../../../src/errors.ts";
import { snooze } from "../../../src/job/directive.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

const PERIODS = { shutdown: { abortPeriod: "50ms", gracePeriod: "5s" } } as const;

/** Runs until it is told to stop: then throws why. */
const obeys = defineTask({
  identifier: "obeys",
  async run(_payload: object, { signal }) {
    throw await aborted(signal);
  },
});

const quick = defineTask({ identifier: "quick", run: () => undefined });

async function running(options: WorkerOptions, work: (worker: Worker) => Promise<void>): Promise<void> {
  const worker = await createTestWorker(database, { ...PERIODS, ...options });
  const run = worker.run();
  try {
    await work(worker);
  } finally {
    await worker.stop();
    await run;
  }
}

const lockedCount = async (): Promise<number> =>
  (await database.sql("select from howdah._private_jobs where locked_at is not null")).length;

describe("cancelling jobs that wait", () => {
  it("deletes them, due or not, of a queue or not, and leaves jobs that have failed for good alone", async () => {
    const [ready, scheduled, queued, failed] = await Promise.all([
      client.addJob("a"),
      client.addJob("a", {}, { runAt: "2100-01-01T00:00:00Z" }),
      client.addJob("a", {}, { queueName: "q" }),
      client.addJob("a"),
    ]);
    await client.permanentlyFailJobs([failed.id], "before");
    const ids = [ready, scheduled, queued, failed].map(({ id }) => id);
    const result = await client.cancelJobs([...ids, "999999999"], "never mind");
    expect([...result.removed].sort()).toEqual(ids.slice(0, 3).sort());
    expect(result.signalled).toEqual([]);
    expect(await client.getJob(failed.id)).toMatchObject({ state: "failed", lastError: "before" });
    expect(await database.sql("select from howdah._private_jobs")).toHaveLength(1);
  });

  it("takes a filter, which may match more jobs than one statement takes, and refuses one that says nothing", async () => {
    await client.addJobs(
      Array.from({ length: 2_200 }, (_, index) => ({
        identifier: index % 2 === 0 ? "even" : "odd",
        spec: index < 10 ? { queueName: "few" } : {},
      })),
    );
    expect(await client.cancelJobs({ queueName: "few", task: "odd" })).toMatchObject({ matched: 5, changed: 5 });
    expect(await client.cancelJobs({ task: "even" })).toMatchObject({ state: "done", changed: 1_100, signalled: 0 });
    expect(await client.cancelJobs({ state: "scheduled" })).toMatchObject({ matched: 0, changed: 0 });
    expect(await client.stats()).toMatchObject({ ready: { value: 1_095 }, failed: { value: 0 } });
    expect(await client.cancelJobs([])).toEqual({ removed: [], signalled: [] });
    for (const nothing of [{}, undefined, { task: undefined }]) {
      await expect(client.cancelJobs(nothing as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    }
    await expect(client.cancelJobs({ quueName: "q" } as never)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
      message: expect.stringContaining("queueName") as string,
    });
    await expect(client.cancelJobs(["1"], 5 as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });

  it("finds one by its key, and lets the key be used again", async () => {
    await client.addJob("a", { n: 1 }, { jobKey: "k" });
    expect(await client.cancelJobs({ jobKey: "k" })).toMatchObject({ changed: 1 });
    expect(await client.addJob("a", { n: 2 }, { jobKey: "k" })).toMatchObject({ payload: { n: 2 }, revision: 0 });
  });

  it("is part of the application's transaction", async () => {
    const { id } = await client.addJob("a");
    const session = await database.connect();
    await session.query("begin");
    expect(await client.inTransaction(session).cancelJobs([id])).toEqual({ removed: [id], signalled: [] });
    await session.query("rollback");
    expect(await client.getJob(id)).toBeDefined();
  });
});

const SOURCES: [string, Partial<WorkerOptions>][] = [
  ["in direct mode", {}],
  ["with a local queue", { localQueue: { size: 10 } }],
  ["that polls only", { useNotificationDelivery: false, pollInterval: "50ms" }],
  ["that polls only, with a local queue", { useNotificationDelivery: false, pollInterval: "50ms", localQueue: true }],
];

describe.each(SOURCES)("cancelling jobs that a worker runs %s", (_, options) => {
  it("tells their handlers why, and keeps them as failed with the reason", async () => {
    const reasons: unknown[] = [];
    const task = defineTask({
      identifier: "tells",
      async run(_payload: object, { signal }) {
        reasons.push(await aborted(signal));
        throw new Error("something else");
      },
    });
    await running({ tasks: [task, quick], concurrency: 2, ...options }, async (worker) => {
      const started = record(worker.hooks, "jobStart");
      const failed = record(worker.hooks, "jobPermanentlyFail");
      const alone = await client.addJob(task, {});
      const queued = await client.addJob(task, {}, { queueName: "q" });
      await started.reach(2);
      const result = await client.cancelJobs([queued.id, alone.id], "not needed");
      expect(result).toEqual({ removed: [], signalled: [alone.id, queued.id] });
      await failed.reach(2);
      expect(reasons.every((reason) => isHowdahError(reason, "HOWDAH_ABORTED_CANCELLED"))).toBe(true);
      expect(reasons.map((reason) => (reason as Error).message)).toEqual(["not needed", "not needed"]);
      for (const { id } of [alone, queued]) {
        expect(await client.getJob(id)).toMatchObject({ state: "failed", lastError: "not needed", lockedAt: null });
      }
      // The queue is free again.
      const completed = record(worker.hooks, "jobComplete");
      await client.addJob(quick, {}, { queueName: "q" });
      await completed.reach();
    });
  });
});

describe("a handler whose job was cancelled", () => {
  it("that returns all the same has done its job, but cannot put it off", async () => {
    const task = defineTask({
      identifier: "goes on",
      async run({ later }: { later: boolean }, { signal }) {
        await aborted(signal);
        return later ? snooze("1s") : undefined;
      },
    });
    await running({ tasks: [task], concurrency: 2 }, async (worker) => {
      const started = record(worker.hooks, "jobStart");
      const completed = record(worker.hooks, "jobComplete");
      const failed = record(worker.hooks, "jobPermanentlyFail");
      const done = await client.addJob(task, { later: false });
      const later = await client.addJob(task, { later: true });
      await started.reach(2);
      await client.cancelJobs({ task: "goes on" }, "enough");
      await completed.reach();
      await failed.reach();
      expect(await client.getJob(done.id)).toBeUndefined();
      expect(await client.getJob(later.id)).toMatchObject({ state: "failed", lastError: "enough" });
    });
  });

  it("that ignores its signal loses its slot, and its queue only when it settles", async () => {
    const gate = createGate();
    const task = defineTask({ identifier: "ignores", run: () => gate.opened });
    await running({ tasks: [task, quick], concurrency: 1 }, async (worker) => {
      const started = record(worker.hooks, "jobStart");
      const completed = record(worker.hooks, "jobComplete");
      const { id } = await client.addJob(task, {}, { queueName: "q" });
      await started.reach();
      await client.addJob(quick, { queued: true }, { queueName: "q" });
      await client.addJob(quick, { queued: false });
      await client.cancelJobs([id], "too slow");
      await completed.reach();
      expect(await client.getJob(id)).toMatchObject({ state: "failed", lastError: "too slow" });
      expect(completed.events.map(({ job }) => job.queueName)).toEqual([null]);
      gate.open();
      await completed.reach(2);
    });
  });
});

describe("jobs that a worker holds in memory", () => {
  it("are not started when they were cancelled: neither in a local queue nor in a chain at work", async () => {
    const held = createHeldTask("held");
    await running({ tasks: [held.task], concurrency: 1, localQueue: { size: 10 } }, async (worker) => {
      const failed = record(worker.hooks, "jobPermanentlyFail");
      const completed = record(worker.hooks, "jobComplete");
      const jobs = await client.addJobs([
        { identifier: "held", payload: "first", spec: { queueName: "q" } },
        { identifier: "held", payload: "second", spec: { queueName: "q" } },
        { identifier: "held", payload: "third", spec: { queueName: "q" } },
        { identifier: "held", payload: "alone" },
        { identifier: "held", payload: "last" },
      ]);
      await until(async () => held.running.size === 1 && (await lockedCount()) === 5);
      const ids = [jobs[1]?.id ?? "", jobs[3]?.id ?? ""];
      expect(await client.cancelJobs(ids, "stop")).toEqual({ removed: [], signalled: ids });
      // At once, not when their turn comes.
      await failed.reach(2);
      expect(held.running.size).toBe(1);
      for (const id of ids) expect(await client.getJob(id)).toMatchObject({ state: "failed", lastError: "stop" });
      held.openAll();
      await completed.reach(3);
      expect(held.started).toEqual(["first", "third", "last"]);
    });
  });

  it("are not started when they were cancelled before the claim was answered", async () => {
    const task = createHeldTask("held");
    const gate = createGate();
    const [claimed, asked, listens] = [createGate(), createGate(), createGate()];
    const { driver } = database;
    const slow: Driver = {
      async query(query) {
        const answer = await driver.query(query);
        if (answer.rows.some(([kind]) => kind === "c")) asked.open();
        if (answer.rows.some(([kind]) => kind === "job")) {
          claimed.open();
          await gate.opened;
        }
        return answer;
      },
      transaction: (work) => driver.transaction(work),
      async listen(channels, handlers) {
        const listening = await driver.listen(channels, handlers);
        listens.open();
        return listening;
      },
      close: async () => undefined,
    };
    const { id } = await client.addJob(task.task, "never");
    await running({ driver: slow, tasks: [task.task], concurrency: 1 }, async (worker) => {
      const failed = record(worker.hooks, "jobPermanentlyFail");
      await Promise.all([claimed.opened, listens.opened]);
      expect(await client.cancelJobs([id], "too early")).toEqual({ removed: [], signalled: [id] });
      await asked.opened;
      gate.open();
      await failed.reach();
      expect(task.started).toEqual([]);
      expect(await client.getJob(id)).toMatchObject({ state: "failed", lastError: "too early" });
    });
  });
});

describe("a cancelled job does not run again", () => {
  it.each([
    ["its worker never hears of it and its handler fails", "fail"],
    ["its worker never hears of it and gives it back", "return"],
    ["its worker dies and it is recovered", "recover"],
    ["its worker is forced to unlock it", "unlock"],
  ])("when %s", async (_, how) => {
    const { id } = await client.addJob("a");
    // A worker that hears nothing is one that is not there.
    await database.sql(
      "update howdah._private_jobs set locked_at = now(), locked_by = 'gone', attempts = attempts + 1 where id = $1",
      [id],
    );
    expect(await client.cancelJobs([id], "enough")).toEqual({ removed: [], signalled: [id] });
    const [row] = await database.sql("select howdah._howdah_us(locked_at)::text as us from howdah._private_jobs");
    const release = `
      select * from howdah._howdah_release_v1('gone', array[${String(row?.["us"])}], '{}', array[${id}], $1, array[false],
        array[0], array[$2]::text[], array[null]::text[], '{}', '{}', '{}', true)`;
    if (how === "fail") await database.sql(release, ["{false}", "it failed"]);
    else if (how === "return") await database.sql(release, ["{true}", null]);
    else if (how === "recover") await database.sql("select howdah.recover_dead_worker_jobs('{gone}')");
    else await client.forceUnlockWorkers(["gone"]);
    expect(await client.getJob(id)).toMatchObject({ state: "failed", lastError: "enough", lockedAt: null });
  });

  it("until it is rescheduled", async () => {
    const held = createHeldTask("held");
    await running({ tasks: [held.task], concurrency: 1 }, async (worker) => {
      const failed = record(worker.hooks, "jobPermanentlyFail");
      const completed = record(worker.hooks, "jobComplete");
      const { id } = await client.addJob(held.task, "again");
      await until(() => held.running.size === 1);
      await client.cancelJobs([id], "enough");
      await failed.reach();
      await client.rescheduleJobs([id], { attempts: 0 });
      held.openAll();
      await completed.reach();
      expect(await client.getJob(id)).toBeUndefined();
    });
  });
});

describe("runOnce", () => {
  it("stops a job that is cancelled elsewhere", async () => {
    await using worker = await createTestWorker(database, { tasks: [obeys], ...PERIODS });
    const started = record(worker.hooks, "jobStart");
    const { id } = await client.addJob(obeys, {});
    const run = worker.runOnce();
    await started.reach();
    await client.cancelJobs([id], "enough");
    expect(await run).toMatchObject({ failed: 1, ended: "drained" });
    expect(await client.getJob(id)).toMatchObject({ state: "failed", lastError: "enough" });
  });
});
