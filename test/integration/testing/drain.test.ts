import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import {
  cancel,
  defineBatchTask,
  defineGatherTask,
  defineTask,
  type GatheredJob,
  snooze,
  unrecoverable,
  type JobContext,
} from "../../../src/index.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createManualClock, createTestDatabase, drain, type TestDatabase } from "../../../src/testing/index.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ connectionString: inject("serverUrl") });
});
afterAll(() => database.close());
beforeEach(() => database.clear());

/** A task whose handler does what the payload says, and says when it was called. */
const acting = defineTask({
  identifier: "acting",
  retry: { type: "fixed", delay: "10m" },
  async run({ does }: { does: string }, { job, client }: JobContext) {
    switch (does) {
      case "snooze once":
        return job.lastError === null && job.revision === 0 && !snoozed.delete(job.id)
          ? (snoozed.add(job.id), snooze("1h"))
          : undefined;
      case "cancel":
        return cancel("no need");
      case "fail once":
        if (job.attempts === 1) throw new Error("broke");
        return undefined;
      case "fail":
        throw unrecoverable("never");
      case "add":
        await client.addJob(acting, { does: "nothing" });
        await client.addJob(acting, { does: "nothing" }, { runAt: new Date(systemClock.now() + 1_800_000) });
        return undefined;
      case "add itself":
        await client.addJob(acting, { does });
        return undefined;
      default:
        return undefined;
    }
  },
});
const snoozed = new Set<string>();

const outcomes = (drained: { jobs: readonly { outcome: string; payload: unknown; next: string }[] }) =>
  drained.jobs.map(({ payload, outcome, next }) => [(payload as { does: string }).does, outcome, next]);

describe("drain", () => {
  it("runs gathered jobs, tells of each, and waits for no more of them", async () => {
    const calls: number[] = [];
    const push = defineGatherTask({
      identifier: "push",
      gather: { size: 10, within: "1h" },
      runMany(jobs: GatheredJob<{ n: number }>[]) {
        calls.push(jobs.length);
        return jobs.map(({ payload: { n } }) => (n === 1 ? unrecoverable("no") : undefined));
      },
    });
    const worker = await database.createWorker({ tasks: [push], concurrency: 4 });
    await worker.client.addJobs([0, 1, 2].map((n) => ({ task: push, payload: { n } })));
    const { jobs } = await drain(worker);
    expect(calls).toEqual([3]);
    expect(jobs.find(({ payload }) => (payload as { n: number }).n === 1)?.outcome).toBe("failed");
    expect(jobs.filter(({ outcome }) => outcome === "completed")).toHaveLength(2);
  });

  it("runs what is due, also what that adds, and tells what happened to each job", async () => {
    const worker = await database.createWorker({ tasks: [acting] });
    for (const does of ["add", "cancel", "fail", "fail once", "snooze once"])
      await worker.client.addJob(acting, { does });
    const before = systemClock.now();
    const drained = await drain(worker);
    expect(outcomes(drained)).toEqual([
      ["add", "completed", "done"],
      ["cancel", "cancelled", "failed"],
      ["fail", "failed", "failed"],
      ["fail once", "failed", "again"],
      ["snooze once", "snoozed", "again"],
      ["nothing", "completed", "done"],
    ]);
    const [added, cancelled, failed, again, later] = drained.jobs;
    expect(added).toMatchObject({ task: "acting", error: undefined, message: undefined, job: { attempts: 1 } });
    expect(cancelled).toMatchObject({ error: undefined, message: "no need", retryAt: undefined });
    expect(failed).toMatchObject({ error: { code: "HOWDAH_UNRECOVERABLE" }, message: "never" });
    expect(again).toMatchObject({ error: new Error("broke"), message: "broke" });
    expect(again?.retryAt?.getTime()).toBeGreaterThan(before + 590_000);
    expect(later?.retryAt?.getTime()).toBeGreaterThan(before + 3_590_000);
    expect(drained).toMatchObject({ completed: 2, failed: 3, snoozed: 1, ended: "drained" });
    expect((await database.client.stats()).scheduled.value).toBe(3);
    expect((await drain(worker)).jobs).toEqual([]);
  });

  it("lets time pass: jobs that are scheduled, snoozed and tried again run in the order in which they come due", async () => {
    const worker = await database.createWorker({ tasks: [acting] });
    for (const does of ["snooze once", "fail once", "add"]) await worker.client.addJob(acting, { does });
    const clock = createManualClock(0);
    const drained = await drain(worker, { within: "45m", clock });
    expect(outcomes(drained)).toEqual([
      ["snooze once", "snoozed", "again"],
      ["fail once", "failed", "again"],
      ["add", "completed", "done"],
      ["nothing", "completed", "done"],
      ["fail once", "completed", "done"],
      ["nothing", "completed", "done"],
    ]);
    expect(clock.now()).toBe(2_700_000);
    // The rest of the hour is a quarter.
    expect((await drain(worker, { within: "14m", clock })).jobs).toEqual([]);
    expect(outcomes(await drain(worker, { within: "2m", clock }))).toEqual([["snooze once", "completed", "done"]]);
    expect(clock.now()).toBe(3_660_000);
  });

  it("tries a job until its attempts are used up", async () => {
    const fails = defineTask({
      identifier: "fails",
      retry: { type: "fixed", delay: "1h" },
      run() {
        throw new Error("broke");
      },
    });
    const worker = await database.createWorker({ tasks: [fails] });
    await worker.client.addJob(fails, {}, { maxAttempts: 4 });
    const { jobs, failed } = await drain(worker, { within: "1d" });
    expect(jobs.map(({ job, next }) => [job.attempts, next])).toEqual([
      [1, "again"],
      [2, "again"],
      [3, "again"],
      [4, "failed"],
    ]);
    expect(failed).toBe(4);
    expect((await database.client.stats()).failed.value).toBe(1);
  });

  it("ends at a number of jobs, and at a deadline", async () => {
    const worker = await database.createWorker({ tasks: [acting] });
    await worker.client.addJob(acting, { does: "add itself" });
    expect(await drain(worker, { maxJobs: 7 })).toMatchObject({ completed: 7, ended: "maxJobs" });
    expect(await drain(worker, { deadline: 0 })).toMatchObject({ completed: 0, ended: "deadline" });
    expect(await drain(worker, { deadline: "50ms", maxJobs: 1e9 })).toMatchObject({ ended: "deadline" });
  });

  it("tells of the items of a batch that failed, which run again", async () => {
    const batch = defineBatchTask({
      identifier: "batch",
      retry: { type: "fixed", delay: "1m" },
      runBatch: async (items: number[], { job }) =>
        items.map((item) => (item === 2 && job.attempts === 1 ? new Error("two") : item)),
    });
    const worker = await database.createWorker({ tasks: [batch] });
    await worker.client.addBatchJob(batch, [1, 2, 3]);
    const { jobs } = await drain(worker, { within: "1h" });
    expect(jobs.map(({ payload, outcome }) => [payload, outcome])).toEqual([
      [[1, 2, 3], "failed"],
      [[2], "completed"],
    ]);
  });

  it("tells of a job that its handler completed in a transaction", async () => {
    const once = defineTask({
      identifier: "once",
      run: (_payload: unknown, { withTransaction, complete }) =>
        withTransaction((transaction) => complete(transaction)),
    });
    const worker = await database.createWorker({ tasks: [once] });
    await worker.client.addJob(once);
    expect(await drain(worker)).toMatchObject({ jobs: [{ task: "once", outcome: "completed", next: "done" }] });
  });

  it("leaves no hooks behind", async () => {
    const worker = await database.createWorker({ tasks: [acting] });
    await worker.client.addJob(acting, { does: "nothing" });
    const first = await drain(worker);
    await worker.client.addJob(acting, { does: "nothing" });
    await worker.runOnce();
    expect(first.jobs).toHaveLength(1);
    await expect(drain(worker, { whithin: "1h" } as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_UNKNOWN" });
  });
});
