import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type JobContext, snooze } from "../../../src/index.ts";
import type { GatherContext, GatheredJob } from "../../../src/job/execute/gather-context.ts";
import { defineGatherTask, defineTask, type GatherResult } from "../../../src/job/task.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { FAST_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

afterAll(() => database.drop());

interface Push {
  readonly n: number;
}

/** A task that gathers, and the calls of it as the numbers in their payloads. */
function createPush(
  gather: { size: number; within?: number },
  answer: (jobs: GatheredJob<Push>[], context: GatherContext) => GatherResult | Promise<GatherResult> = () => undefined,
  more: { timeout?: number } = {},
) {
  const calls: number[][] = [];
  const task = defineGatherTask({
    identifier: "push",
    gather,
    retry: { type: "fixed", delay: 0 },
    ...more,
    runMany(jobs: GatheredJob<Push>[], context) {
      calls.push(jobs.map(({ payload }) => payload.n));
      return answer(jobs, context);
    },
  });
  return { task, calls };
}

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);
const pushes = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ identifier: "push", payload: { n } }) as const);
const stored = (): Promise<Record<string, unknown>[]> =>
  database.sql("select id::text, payload, attempts, last_error, locked_by from howdah._private_jobs order by id");

describe.each<[string, Partial<WorkerOptions>]>([
  ["claims directly", {}],
  ["has a local queue", { localQueue: { size: 200 } }],
])("a worker that %s", (_how, options) => {
  it("does many jobs in few calls, each with its own events, and leaves none", async () => {
    const { task, calls } = createPush({ size: 50, within: 300 });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 10, ...options });
    const [started, completed] = [record(worker.hooks, "jobStart"), record(worker.hooks, "jobComplete")];
    await worker.client.addJobs(pushes(200));
    const running = worker.run();
    await completed.reach(200);
    expect(sorted(calls.flat())).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(Math.max(...calls.map(({ length }) => length))).toBe(50);
    expect(calls.length).toBeLessThanOrEqual(8);
    expect(started.events).toHaveLength(200);
    await until(async () => (await stored()).length === 0);
    await worker.stop();
    await running;
  });

  it("waits for no more jobs when there are none and it only drains", async () => {
    const { task, calls } = createPush({ size: 50, within: 600_000 });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 10, ...options });
    await worker.client.addJobs(pushes(7));
    await worker.runOnce();
    expect(calls.flat()).toHaveLength(7);
    expect(await stored()).toEqual([]);
  });
});

describe("a job of a call", () => {
  it("is tried again alone when it fails, and snoozes alone", async () => {
    const { task, calls } = createPush({ size: 10 }, (jobs) =>
      jobs.map(({ payload: { n }, job }) => {
        if (n === 1 && job.attempts === 1) return new Error("not yet");
        return n === 2 ? snooze("1h") : undefined;
      }),
    );
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 10 });
    const failed = record(worker.hooks, "jobFail");
    await worker.client.addJobs(pushes(4));
    await worker.runOnce();
    expect(calls.map(sorted)).toEqual([[0, 1, 2, 3], [1]]);
    expect(failed.events.map(({ job }) => job.payload)).toEqual([{ n: 1 }]);
    expect(await stored()).toMatchObject([{ payload: { n: 2 }, attempts: 0 }]);
  });

  it("fails like all others of the call when that throws, each by its own policy, but for what was settled", async () => {
    const { task } = createPush({ size: 10 }, (jobs, { settle }) => {
      for (const job of jobs) if (job.payload.n === 0) settle(job);
      throw new Error("the service is down");
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 10 });
    await worker.client.addJobs(
      pushes(3)
        .map((job) => ({ ...job, spec: { maxAttempts: job.payload.n } }))
        .slice(1),
    );
    await worker.client.addJob("push", { n: 0 });
    await worker.runOnce();
    expect(await stored()).toMatchObject([
      { payload: { n: 1 }, attempts: 1, last_error: "the service is down" },
      { payload: { n: 2 }, attempts: 2, last_error: "the service is down" },
    ]);
  });

  it("completes in a transaction of its own", async () => {
    const { task } = createPush({ size: 10 }, async (jobs, { withTransaction }) => {
      await withTransaction(async (transaction) => {
        for (const { payload, complete } of jobs) if (payload.n < 2) await complete(transaction);
      });
      return jobs.map(() => new Error("after the commit"));
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 10 });
    await worker.client.addJobs(pushes(3).map((job) => ({ ...job, spec: { maxAttempts: 1 } })));
    await worker.runOnce();
    expect(await stored()).toMatchObject([{ payload: { n: 2 }, last_error: "after the commit" }]);
  });

  it("is cancelled alone, and the others go on", async () => {
    const gate = createGate();
    const seen: unknown[] = [];
    const { task, calls } = createPush({ size: 10, within: 50 }, async (jobs) => {
      const first = jobs.find(({ payload: { n } }) => n === 0) as GatheredJob;
      seen.push(await aborted(first.signal));
      await gate.opened;
      return new Map([[first, new Error("stopped")]]);
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    const cancelled = record(worker.hooks, "jobPermanentlyFail");
    const jobs = await worker.client.addJobs(pushes(3));
    const running = worker.run();
    await until(() => calls.flat().length === 3);
    await worker.client.cancelJobs([jobs[0]?.id ?? ""], "not any more");
    await until(() => seen.length === 1);
    gate.open();
    await until(async () => (await stored()).length === 1);
    expect(await stored()).toMatchObject([{ payload: { n: 0 }, last_error: "not any more", locked_by: null }]);
    expect(seen).toMatchObject([{ code: "HOWDAH_ABORTED_CANCELLED" }]);
    expect(cancelled.events).toHaveLength(1);
    await worker.stop();
    await running;
  });

  it("whose stored payload does not fit leaves the call to the others", async () => {
    const schema = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: (value: unknown): { value: Push } | { issues: { message: string }[] } =>
          typeof (value as Push).n === "number" ? { value: value as Push } : { issues: [{ message: "no number" }] },
      },
    };
    const calls: unknown[] = [];
    const task = defineGatherTask({
      identifier: "push",
      payload: schema,
      gather: { size: 10 },
      runMany(jobs: GatheredJob<Push>[]) {
        calls.push(jobs.map(({ payload }) => payload.n));
      },
    });
    await database.sql(`select howdah.add_job('push', '{"n":1}'), howdah.add_job('push', '{"n":"x"}')`);
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    await worker.runOnce();
    expect(calls).toEqual([[1]]);
    expect(await stored()).toMatchObject([{ payload: { n: "x" } }]);
  });
});

describe("a call", () => {
  it("takes one slot, beside jobs of other tasks in the others", async () => {
    const gate = createGate();
    const { task, calls } = createPush({ size: 10, within: 10_000 }, () => gate.opened);
    const ran: number[] = [];
    const other = defineTask({ identifier: "other", run: ({ n }: Push) => void ran.push(n) });
    await using worker = await createTestWorker(database, { tasks: [task, other], concurrency: 2 });
    await worker.client.addJobs(pushes(10));
    const running = worker.run();
    await until(() => calls.length > 0);
    await worker.client.addJobs(Array.from({ length: 20 }, (_, n) => ({ task: other, payload: { n } })));
    await until(() => ran.length === 20);
    gate.open();
    await until(async () => (await stored()).length === 0);
    await worker.stop();
    await running;
  });

  it("is told to stop at a shutdown, and its jobs come back without an attempt", async () => {
    const { task, calls } = createPush({ size: 10, within: 50 }, async (_jobs, { signal }) => {
      await aborted(signal);
      signal.throwIfAborted();
    });
    await using worker = await createTestWorker(database, {
      tasks: [task],
      concurrency: 4,
      shutdown: { gracePeriod: 100, abortPeriod: 5_000 },
    });
    await worker.client.addJobs(pushes(3));
    const running = worker.run();
    await until(() => calls.flat().length === 3);
    await worker.stop();
    await running;
    const row = { attempts: 0, locked_by: null };
    expect(await stored()).toMatchObject([row, row, row]);
  });

  it("has a timeout for each of its jobs, from its beginning", async () => {
    const { task, calls } = createPush(
      { size: 10, within: 300 },
      async (_jobs, { signal }) => {
        await aborted(signal);
        signal.throwIfAborted();
      },
      { timeout: 200 },
    );
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    await worker.client.addJobs(pushes(2).map((job) => ({ ...job, spec: { maxAttempts: 1 } })));
    const running = worker.run();
    await until(async () => (await stored()).every(({ last_error }) => last_error !== null));
    expect(sorted(calls.flat())).toEqual([0, 1]);
    for (const { last_error } of await stored()) expect(last_error).toContain("longer than its timeout of 200 ms");
    await worker.stop();
    await running;
  });

  it("of a worker that is killed has its jobs run elsewhere, and no attempt is counted", async () => {
    const options = {
      connectionString: database.connectionString,
      concurrency: 4,
      pollInterval: 100,
      recovery: FAST_RECOVERY,
    };
    await using helper = await createTestWorker(database, {
      tasks: [createPush({ size: 10 }).task],
      recovery: FAST_RECOVERY,
    });
    await helper.client.addJobs(pushes(5));
    await using victim = await startNode(new URL("../fixtures/gather-worker.mjs", import.meta.url), {
      args: [JSON.stringify(options)],
    });
    await until(
      () => victim.lines.join(" ").match(/\d+/g)?.length && victim.lines.some((line) => line.startsWith("holds")),
    );
    const completed = record(helper.hooks, "jobComplete");
    const running = helper.run();
    victim.kill();
    await completed.reach(5);
    expect(completed.events.map(({ job }) => job.attempts)).toEqual([1, 1, 1, 1, 1]);
    await helper.stop();
    await running;
  });

  it("has its interceptors for each job", async () => {
    const { task, calls } = createPush({ size: 10 });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 10 });
    worker.hooks.on("beforeJobRun", ({ job }) => ((job.payload as Push).n === 0 ? { action: "skip" } : undefined));
    const after = new Map<number, string>();
    worker.hooks.on("afterJobRun", ({ job, outcome }) => {
      after.set((job.payload as Push).n, outcome);
      return undefined;
    });
    await worker.client.addJobs(pushes(3));
    await worker.runOnce();
    expect(sorted(calls.flat())).toEqual([1, 2]);
    expect(Object.fromEntries(after)).toEqual({ 1: "completed", 2: "completed" });
  });

  it("gives its handler what every handler has", async () => {
    const given: Partial<JobContext>[] = [];
    const { task } = createPush({ size: 10 }, async (_jobs, { client, logger, query, state, workerId }) => {
      logger.info("called");
      given.push({ state, workerId });
      expect((await query("select 1")).rows).toEqual([["1"]]);
      await client.addJob("other");
    });
    await using worker = await createTestWorker(database, { tasks: [task], state: { db: "x" } });
    await worker.client.addJobs(pushes(1));
    await worker.runOnce();
    expect(given).toEqual([{ state: { db: "x" }, workerId: worker.id }]);
    expect(await stored()).toHaveLength(1);
  });
});
