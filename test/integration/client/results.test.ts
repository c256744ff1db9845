import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver, createClient } from "../../../src/client/create-client.ts";
import { cancel } from "../../../src/job/directive.ts";
import type { GatheredJob } from "../../../src/job/execute/gather-context.ts";
import { defineBatchTask, defineGatherTask, defineTask } from "../../../src/job/task.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { startNode } from "../../harness/process.ts";
import { openProxy } from "../../harness/proxy.ts";
import { FAST_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;
beforeAll(async () => {
  database = await createDatabase();
  client = await createClient({ connectionString: database.connectionString, migrate: false, logger: silentLogger });
});
beforeEach(() =>
  database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_history, howdah._howdah_recent",
  ),
);
afterAll(async () => {
  await client.close();
  await database.drop();
});

const double = defineTask({ identifier: "double", run: async ({ n }: { n: number }) => ({ twice: 2 * n }) });

/** Runs a worker until the end of the block. */
async function running(options: Partial<WorkerOptions>): Promise<Worker> {
  const worker = await createTestWorker(database, { tasks: [double], concurrency: 8, ...options });
  const run = worker.run();
  return Object.assign(worker, {
    async [Symbol.asyncDispose]() {
      await worker.stop();
      await run;
    },
  });
}

const left = async (): Promise<unknown[]> => {
  const [row] = await database.sql(
    `select (select count(*)::int from howdah._private_jobs) as jobs, (select count(*)::int from howdah._howdah_history) as history`,
  );
  return [row?.["jobs"], row?.["history"]];
};

describe.each<[string, Partial<WorkerOptions>]>([
  ["claims directly", {}],
  ["has a local queue", { localQueue: { size: 50 } }],
  ["polls only", { useNotificationDelivery: false, pollInterval: "50ms" }],
])("the result of a job that a worker runs which %s", (_how, options) => {
  it("is delivered before, while and after it runs", async () => {
    const held = createHeldTask("held", (name) => ({ name }));
    const added = await client.addJob(held.task, "a", { awaited: true });
    const before = client.result(added);
    await using worker = await running({ tasks: [held.task], ...options });
    await until(() => held.running.has("a"));
    const meanwhile = client.result(added.id);
    held.open("a");
    expect(await before).toEqual({ name: "a" });
    expect(await meanwhile).toEqual({ name: "a" });
    expect(await client.result(added)).toEqual({ name: "a" });
    // From any process, and as often as it is asked for.
    expect(await worker.client.result(added.id)).toEqual({ name: "a" });
    expect(await left()).toEqual([0, 1]);
  });

  it("is that of each job, whichever way they were added", async () => {
    await using worker = await running(options);
    const one = (n: number, spec = {}) => client.addJob(double, { n }, { awaited: true, ...spec });
    const bulk = [7, 8].map((n) => ({ task: double, payload: { n }, spec: { awaited: true } }));
    const jobs = [
      ...(await Promise.all([1, 2, 3].map((n) => one(n)))),
      await one(4, { queueName: "q" }),
      await one(5, { jobKey: "k" }),
      await one(6, { unique: { by: (payload: unknown) => JSON.stringify(payload) } }),
      ...(await client.addJobs(bulk)),
      ...(await client.addJobs([{ ...bulk[0], payload: { n: 9 }, spec: { awaited: true, jobKey: "l" } } as never])),
      ...(await client.addJobs([{ task: double, payload: { n: 10 }, spec: { awaited: true } }], { returning: "ids" })),
      ...(await client.addJobs([{ task: double, payload: { n: 11 }, spec: { awaited: true, jobKey: "m" } }], {
        returning: "ids",
      })),
    ];
    const results = await Promise.all(jobs.map((job) => client.result(job, { timeout: "20s" })));
    expect(results).toEqual(jobs.map((_, index) => ({ twice: 2 * (index + 1) })));
    void worker;
  });
});

describe("a result", () => {
  it("is that of a job which was added in a transaction, once that has committed", async () => {
    const session = await database.connect();
    await session.query("begin");
    const inside = client.inTransaction(session);
    const [single] = [await inside.addJob(double, { n: 1 }, { awaited: true })];
    const [many] = await inside.addJobs([{ task: double, payload: { n: 2 }, spec: { awaited: true } }]);
    await expect(client.result(single)).rejects.toMatchObject({ code: "HOWDAH_RESULT_UNKNOWN" });
    await session.query("commit");
    await using worker = await running({});
    expect(await client.result(single)).toEqual({ twice: 2 });
    expect(await client.result(many)).toEqual({ twice: 4 });
    void worker;
  });

  it("is kept when it is asked for after the job was added without a word", async () => {
    const held = createHeldTask("held", () => "late");
    const { id } = await client.addJob(held.task, "a");
    await using worker = await running({ tasks: [held.task] });
    await until(() => held.running.has("a"));
    const result = client.result(id);
    await until(
      async () => (await database.sql("select from howdah._private_jobs where _howdah_awaited")).length === 1,
    );
    held.open("a");
    expect(await result).toBe("late");
    void worker;
  });

  it("is that of one job of a call which does several, and nothing for a batch", async () => {
    const push = defineGatherTask({
      identifier: "push",
      gather: { size: 10, within: 200 },
      runMany: (jobs: GatheredJob<number>[]) => jobs.map(({ payload }) => ({ sent: payload })),
    });
    const batch = defineBatchTask({ identifier: "batch", runBatch: (items: number[]) => items.map((n) => n + 1) });
    await using worker = await running({ tasks: [push, batch] });
    const jobs = await client.addJobs([1, 2, 3].map((n) => ({ task: push, payload: n, spec: { awaited: true } })));
    expect(await Promise.all(jobs.map((job) => client.result(job)))).toEqual([{ sent: 1 }, { sent: 2 }, { sent: 3 }]);
    expect(await client.result(await client.addBatchJob(batch, [1, 2], { awaited: true }))).toBeUndefined();
    void worker;
  });

  it("is nothing where the handler returns nothing, and null where it returns null", async () => {
    const task = defineTask({ identifier: "odd", run: (value: unknown) => (value === 0 ? undefined : value) });
    await using worker = await running({ tasks: [task] });
    const resultOf = async (value: unknown) => client.result(await client.addJob(task, value, { awaited: true }));
    expect(await resultOf(0)).toBeUndefined();
    expect(await resultOf(null)).toBeNull();
    expect(await resultOf("ü\u0000")).toBe("ü\u0000");
    expect(await resultOf([])).toEqual([]);
    void worker;
  });

  it("is missing, with a code, when JSON cannot hold it or it is too large; the job is done all the same", async () => {
    const values: Record<string, () => unknown> = { big: () => ({ n: 1n }), large: () => "x".repeat(1_100_000) };
    let runs = 0;
    const task = defineTask({
      identifier: "unstorable",
      run(name: string) {
        runs += 1;
        return values[name]?.();
      },
    });
    await using worker = await running({ tasks: [task] });
    for (const name of Object.keys(values)) {
      const job = await client.addJob(task, name, { awaited: true });
      await expect(client.result(job)).rejects.toMatchObject({
        code: "HOWDAH_RESULT_INVALID",
        message: expect.stringMatching(/^Job \d+ of task unstorable is completed, and its result is missing: /),
      });
    }
    expect([runs, await left()]).toEqual([2, [0, 2]]);
    void worker;
  });

  it("rejects when the job has failed for good, was cancelled or removed, or is not known", async () => {
    const failing = defineTask({
      identifier: "failing",
      retry: { type: "fixed", delay: 0 },
      run(how: string) {
        if (how === "cancel") return cancel("not wanted");
        throw new Error("no");
      },
    });
    const held = createHeldTask("held");
    const later = { awaited: true, runIn: "1h" } as const;
    await using worker = await running({ tasks: [failing, held.task] });
    const codeOf = async (job: { readonly id: string } | string) =>
      client.result(job, { timeout: "20s" }).then(
        () => "resolved",
        (error: { code: string; message: string }) => [error.code, error.message.replace(/\d+/, "N")],
      );
    const failed = await client.addJob(failing, "throw", { awaited: true, maxAttempts: 2 });
    expect(await codeOf(failed)).toEqual(["HOWDAH_RESULT_FAILED", "Job N of task failing has failed for good: no"]);
    // It is a row still, and can be asked about again.
    expect(await codeOf(failed.id)).toEqual(["HOWDAH_RESULT_FAILED", "Job N of task failing has failed for good: no"]);
    expect(await codeOf(await client.addJob(failing, "cancel", { awaited: true }))).toEqual([
      "HOWDAH_RESULT_FAILED",
      "Job N of task failing has failed for good: not wanted",
    ]);
    const waiting = await client.addJob(failing, "x", later);
    const cancelled = codeOf(waiting);
    await client.cancelJobs([waiting.id], "changed my mind");
    expect(await cancelled).toEqual([
      "HOWDAH_RESULT_CANCELLED",
      "Job N of task failing was cancelled: changed my mind",
    ]);
    const runningJob = await client.addJob(held.task, "a", { awaited: true });
    await until(() => held.running.has("a"));
    const stopped = codeOf(runningJob);
    await client.cancelJobs([runningJob.id], "stop");
    await systemClock.sleep(50);
    held.openAll();
    // A handler that returns all the same has done its job.
    expect([["HOWDAH_RESULT_CANCELLED", "Job N of task held was cancelled: stop"], "resolved"]).toContainEqual(
      await stopped,
    );
    const doomed = await client.addJob(failing, "x", { ...later, jobKey: "doomed" });
    const removed = codeOf(doomed);
    await client.removeJob("doomed");
    expect((await removed)[0]).toBe("HOWDAH_RESULT_REMOVED");
    const permanently = await client.addJob(failing, "x", later);
    const told = codeOf(permanently);
    await client.permanentlyFailJobs([permanently.id], "by hand");
    expect(await told).toEqual(["HOWDAH_RESULT_FAILED", "Job N of task failing has failed for good: by hand"]);
    const done = await client.addJob(failing, "x", later);
    const completed = client.result(done);
    await client.completeJobs([done.id]);
    expect(await completed).toBeUndefined();
    expect((await codeOf("987654321"))[0]).toBe("HOWDAH_RESULT_UNKNOWN");
    const unkept = await client.addJob(double, { n: 1 });
    await client.completeJobs([unkept.id]);
    expect((await codeOf(unkept))[0]).toBe("HOWDAH_RESULT_UNKNOWN");
    void worker;
  });

  it("is given up after a time, by a signal and by the end of the client, and the job goes on", async () => {
    const held = createHeldTask("held", () => 1);
    const job = await client.addJob(held.task, "a", { awaited: true });
    await expect(client.result(job, { timeout: 50 })).rejects.toMatchObject({ code: "HOWDAH_RESULT_TIMEOUT" });
    const reason = new Error("the request has ended");
    const aborting = new AbortController();
    const aborted = client.result(job, { signal: aborting.signal });
    aborting.abort(reason);
    await expect(aborted).rejects.toMatchObject({ code: "HOWDAH_RESULT_ABORTED", cause: reason });
    await expect(client.result(job, { signal: aborting.signal })).rejects.toMatchObject({
      code: "HOWDAH_RESULT_ABORTED",
    });
    const other = await createClient({
      connectionString: database.connectionString,
      migrate: false,
      logger: silentLogger,
    });
    const closed = other.result(job);
    closed.catch(() => undefined);
    await until(
      async () => (await database.sql("select from pg_stat_activity where query like 'listen%done%'")).length > 0,
    );
    await other.close();
    await expect(closed).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
    await expect(other.result(job)).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
    await using worker = await running({ tasks: [held.task] });
    held.openAll();
    expect(await client.result(job)).toBe(1);
    void worker;
  });

  it("is refused for what is neither a job nor an id, and for options that are none", async () => {
    for (const job of [undefined, {}, 7, { id: 7 }, "x"] as never[])
      await expect(client.result(job)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(client.result("1", { timeout: "soon" as never })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
    });
    await expect(client.addJob("t", {}, { awaited: 1 as never })).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
  });

  it("comes from a worker in another process, to two clients", async () => {
    const options = { connectionString: database.connectionString };
    await using process = await startNode(new URL("../fixtures/result-worker.mjs", import.meta.url), {
      args: [JSON.stringify(options)],
    });
    await process.line("ready");
    const other = clientOver({
      driver: pgDriver(options),
      schema: database.schema,
      logger: silentLogger,
      ownsDriver: true,
    });
    const job = await client.addJob("add", { a: 2, b: 3 }, { awaited: true });
    expect(await Promise.all([client.result(job), other.result(job.id)])).toEqual([{ sum: 5 }, { sum: 5 }]);
    await other.close();
  });
});

describe("a client that waits", () => {
  it("is told although its connection that listens was lost", async () => {
    await using proxy = await openProxy(database.connectionString);
    const far = await createClient({ connectionString: proxy.connectionString, migrate: false, logger: silentLogger });
    const held = createHeldTask("held", () => "there");
    await using worker = await running({ tasks: [held.task] });
    const jobs = await client.addJobs(["a", "b"].map((payload) => ({ task: held.task, payload })));
    const results = jobs.map((job) => far.result(job));
    await until(() => held.running.size === 2);
    await until(
      async () => (await database.sql("select from howdah._private_jobs where _howdah_awaited")).length === 2,
    );
    proxy.cut();
    held.open("a");
    expect(await results[0]).toBe("there");
    proxy.refuse();
    held.open("b");
    await until(async () => (await left())[0] === 0);
    proxy.allow();
    expect(await results[1]).toBe("there");
    await far.close();
    void worker;
  });

  it("is told what a worker has released whose connection was lost before it knew", async () => {
    await using proxy = await openProxy(database.connectionString);
    const job = await client.addJob(double, { n: 4 }, { awaited: true });
    const result = client.result(job);
    const answered = proxy.next(/_howdah_release/, "after");
    await using worker = await running({ connectionString: proxy.connectionString, recovery: FAST_RECOVERY });
    (await answered).cut();
    expect(await result).toEqual({ twice: 8 });
    await until(async () => (await left())[0] === 0);
    expect(await left()).toEqual([0, 1]);
    void worker;
  });

  it("is told when the worker that ran the job is killed, by what the next one makes of it", async () => {
    await using proxy = await openProxy(database.connectionString);
    const gates: (() => void)[] = [];
    const task = defineTask({
      identifier: "twice",
      run: (_: unknown, { workerId }) => new Promise<string>((resolve) => gates.push(() => resolve(workerId))),
    });
    const job = await client.addJob(task, {}, { awaited: true });
    const result = client.result(job);
    const shutdown = { gracePeriod: 0, abortPeriod: 0 };
    await using doomed = await running({
      tasks: [task],
      connectionString: proxy.connectionString,
      recovery: FAST_RECOVERY,
      shutdown,
    });
    await until(() => gates.length === 1);
    proxy.refuse();
    await using survivor = await running({ tasks: [task], recovery: FAST_RECOVERY });
    await until(() => gates.length === 2, { deadlineMs: 25_000 });
    for (const open of gates) open();
    expect(await result).toBe(survivor.id);
    expect(await left()).toEqual([0, 1]);
    proxy.allow();
    void doomed;
  });

  it("polls where it cannot listen", async () => {
    const driver = pgDriver({ connectionString: database.connectionString });
    const deaf = clientOver({
      driver: {
        query: (query) => driver.query(query),
        transaction: (work) => driver.transaction(work),
        listen: () => Promise.reject(new Error("must not be asked")),
        close: () => driver.close(),
        capabilities: { listen: false, connections: 5 },
      },
      schema: database.schema,
      logger: silentLogger,
      ownsDriver: true,
    });
    await using worker = await running({});
    expect(await deaf.result(await deaf.addJob(double, { n: 1 }, { awaited: true }))).toEqual({ twice: 2 });
    await deaf.close();
    void worker;
  });

  it("sends one statement a second for a thousand jobs, and keeps one connection that listens", async () => {
    await using proxy = await openProxy(database.connectionString);
    const far = await createClient({ connectionString: proxy.connectionString, migrate: false, logger: silentLogger });
    const jobs = await client.addJobs(
      Array.from({ length: 1_000 }, (_, n) => ({ task: double, payload: { n }, spec: { awaited: true } })),
    );
    const before = proxy.statements.length;
    const since = systemClock.monotonic();
    const results = Promise.all(jobs.map((job) => far.result(job)));
    await systemClock.sleep(5_000);
    const waited = (systemClock.monotonic() - since) / 1_000;
    const asked = proxy.statements.slice(before).filter((text) => text.includes("_howdah_await_v1")).length;
    const listens = proxy.statements.slice(before).filter((text) => /^listen /i.test(text)).length;
    expect(asked).toBeGreaterThanOrEqual(3);
    expect(asked).toBeLessThanOrEqual(waited + 2);
    expect(listens).toBe(1);
    await using worker = await running({ concurrency: 50 });
    expect((await results).map(({ twice }) => twice)).toEqual(jobs.map((_, n) => 2 * n));
    await far.close();
    void worker;
  });
});
