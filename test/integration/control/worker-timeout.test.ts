import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isHowdahError } from "../../../src/errors.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createTestWorker, record } from "../../harness/worker.ts";

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

const quick = defineTask({ identifier: "quick", run: () => undefined });
const PERIODS = { shutdown: { abortPeriod: "50ms", gracePeriod: "5s" } } as const;

async function queueLocks(): Promise<unknown[]> {
  return (await database.sql("select locked_by from howdah._private_job_queues order by id")).map(
    (row) => row["locked_by"],
  );
}

describe("a handler that stops when its signal is aborted", () => {
  it("fails its attempt with the time it had, and is tried again", async () => {
    const reasons: unknown[] = [];
    const task = defineTask({
      identifier: "obeys",
      timeout: "50ms",
      async run(_payload, { signal }) {
        reasons.push(await aborted(signal));
        signal.throwIfAborted();
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], ...PERIODS });
    const { id } = await worker.client.addJob(task, {}, { queueName: "q" });
    expect(await worker.runOnce()).toMatchObject({ failed: 1, ended: "drained" });

    expect(isHowdahError(reasons[0], "HOWDAH_ABORTED_TIMEOUT")).toBe(true);
    expect(await worker.client.getJob(id)).toMatchObject({
      state: "scheduled",
      attempts: 1,
      lockedAt: null,
      lastError: `Job ${id} of task obeys ran longer than its timeout of 50 ms.`,
    });
    expect(await queueLocks()).toEqual([null]);
  });

  it("fails also when it returns instead of throwing, because it may have done half", async () => {
    const task = defineTask({
      identifier: "returns",
      timeout: "50ms",
      async run(_payload, { signal }) {
        await aborted(signal);
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], ...PERIODS });
    const { id } = await worker.client.addJob(task, {}, { maxAttempts: 1 });
    expect(await worker.runOnce()).toMatchObject({ completed: 0, failed: 1 });
    expect(await worker.client.getJob(id)).toMatchObject({ state: "failed", attempts: 1 });
  });
});

describe("a handler that ignores its signal", () => {
  it("loses its slot to other jobs, keeps its queue until it settles, and what it returns is ignored", async () => {
    const gate = createGate();
    let calls = 0;
    const stuck = defineTask({
      identifier: "ignores",
      timeout: "50ms",
      retry: { type: "fixed", delay: 0 },
      async run() {
        calls += 1;
        if (calls === 1) await gate.opened;
      },
    });
    const options = { tasks: [stuck, quick], concurrency: 1, pollInterval: "100ms", ...PERIODS } as const;
    await using worker = await createTestWorker(database, options);
    const completed = record(worker.hooks, "jobComplete");
    const failed = record(worker.hooks, "jobFail");
    const { id } = await worker.client.addJob(stuck, {}, { queueName: "q" });
    await worker.client.addJob(quick, {}, { queueName: "q", priority: 1 });
    await worker.client.addJob(quick, {}, { priority: 1 });
    const running = worker.run();

    // The slot: the job without a queue has run.
    await completed.reach();
    expect(completed.events.map(({ job }) => job.queueName)).toEqual([null]);
    await failed.reach();
    // The attempt has ended, the queue has not: neither the retry nor the next job begin, however often it looks.
    expect(await worker.client.getJob(id)).toMatchObject({ attempts: 1, lockedAt: null, state: "ready" });
    expect(await queueLocks()).toEqual([worker.id]);
    await worker.client.addJob(quick, {});
    await completed.reach(2);
    expect(calls).toBe(1);
    expect(await queueLocks()).toEqual([worker.id]);

    gate.open();
    await completed.reach(4);
    expect(completed.events.slice(2).map(({ job }) => [job.task, job.attempts])).toEqual([
      ["ignores", 2],
      ["quick", 1],
    ]);
    await until(async () => (await queueLocks()).every((lock) => lock === null));
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });

  it("that throws after its time does not fail the job twice", async () => {
    const gate = createGate();
    const task = defineTask({
      identifier: "throws late",
      timeout: "20ms",
      async run() {
        await gate.opened;
        throw new Error("too late");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task, quick], ...PERIODS });
    const failed = record(worker.hooks, "jobFail");
    await worker.client.addJob(task, {}, { queueName: "q" });
    const running = worker.run();
    await failed.reach();
    gate.open();
    await until(async () => (await queueLocks()).every((lock) => lock === null));
    await worker.stop();
    await running;

    expect(failed.events).toHaveLength(1);
    const [row] = await database.sql("select attempts, last_error from howdah.jobs");
    expect(row?.["attempts"]).toBe(1);
    expect(row?.["last_error"]).toMatch(/ran longer than its timeout of 20 ms/);
  });
});

describe("a job within its time", () => {
  it("is not touched by the timeout", async () => {
    const task = defineTask({ identifier: "in time", timeout: "1h", run: () => undefined });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, {});
    expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 0 });
  });
});
