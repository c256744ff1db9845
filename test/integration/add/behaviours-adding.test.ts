import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createTestWorker } from "../../harness/worker.ts";

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

/** A task that remembers what it was called with. */
function createNotingTask(identifier: string) {
  const payloads: unknown[] = [];
  const task = defineTask({ identifier, run: (payload: unknown) => void payloads.push(payload) });
  return { task, payloads };
}

const left = async (): Promise<number> => (await database.sql("select from howdah.jobs")).length;

describe("a job that was added", () => {
  it("is stored once, runs once and leaves nothing behind (behaviours 4)", async () => {
    const { task, payloads } = createNotingTask("note");
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, { n: 1 });
    expect(await left()).toBe(1);
    expect(await worker.runOnce()).toMatchObject({ completed: 1, ended: "drained" });
    expect(payloads).toEqual([{ n: 1 }]);
    expect(await left()).toBe(0);
  });

  it("may come from a client that is opened for it alone (behaviours 5)", async () => {
    const { connectionString } = database;
    {
      await using client = await createClient({ connectionString, migrate: false, logger: silentLogger });
      await client.addJob("job3", { a: 1 });
    }
    expect(await database.sql("select task_identifier from howdah.jobs")).toEqual([{ task_identifier: "job3" }]);
  });

  it("four times with one key runs once, with the last payload (behaviours 25)", async () => {
    const { task, payloads } = createNotingTask("note");
    await using worker = await createTestWorker(database, { tasks: [task] });
    for (const a of [1, 2, 3, 4]) await worker.client.addJob(task, { a }, { jobKey: "abc" });
    await worker.runOnce();
    expect(payloads).toEqual([{ a: 4 }]);
  });

  it("for later, and again by its key for now, keeps its id and runs once as it is now (behaviours 30)", async () => {
    const { task, payloads } = createNotingTask("note");
    await using worker = await createTestWorker(database, { tasks: [task] });
    const runAt = new Date("2099-01-01");
    const first = await worker.client.addJob(task, "wrong", { jobKey: "abc", runAt });
    expect((await worker.runOnce()).completed).toBe(0);
    const second = await worker.client.addJob(task, "right", { jobKey: "abc" });
    expect(second.id).toBe(first.id);
    expect(second.runAt.getTime()).toBeLessThan(runAt.getTime());
    await worker.runOnce();
    expect(payloads).toEqual(["right"]);
  });

  it("while it waits for its retry runs at once when it is added again by its key (behaviours 33)", async () => {
    const attempts: number[] = [];
    const task = defineTask({
      identifier: "moody",
      run(payload: { fails: boolean }, { job }) {
        attempts.push(job.attempts);
        if (payload.fails) throw new Error("not in the mood");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, { fails: true }, { jobKey: "abc" });
    await worker.runOnce();
    expect(await worker.runOnce()).toMatchObject({ completed: 0, failed: 0 });
    await worker.client.addJob(task, { fails: false }, { jobKey: "abc" });
    expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 0 });
    expect(attempts).toEqual([1, 1]);
  });
});

describe("jobs that were added together", () => {
  it("each run once, with the handler of their task (behaviours 45, 48, 49)", async () => {
    const first = createNotingTask("first");
    const second = createNotingTask("second");
    await using worker = await createTestWorker(database, { tasks: [first.task, second.task] });
    const numbers = Array.from({ length: 512 }, (_, n) => n);
    await worker.client.addJobs([
      ...numbers.map((n) => ({ task: first.task, payload: n })),
      ...numbers.map((n) => ({ identifier: "second", payload: n, spec: { queueName: "shared" } })),
    ]);
    expect((await worker.runOnce()).completed).toBe(1024);
    expect(first.payloads.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers);
    expect(second.payloads).toEqual(numbers);
    expect(await left()).toBe(0);
  });
});
