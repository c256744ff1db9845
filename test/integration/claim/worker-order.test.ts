import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobSpec } from "../../../src/job/job.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
let order: string[];

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(() => {
  order = [];
});

afterAll(async () => {
  await database.drop();
});

const task = defineTask({
  identifier: "note",
  run(name: string) {
    order.push(name);
  },
});

const EARLIER = "2020-01-01T00:00:00Z";
const LATER = "2020-01-01T00:00:00.001Z";

/** Adds jobs in this order and runs them one at a time. */
async function run(jobs: readonly (readonly [name: string, spec: JobSpec])[]): Promise<string[]> {
  await using worker = await createTestWorker(database, { tasks: [task], concurrency: 1 });
  for (const [name, spec] of jobs) await worker.client.addJob(task, name, spec);
  await worker.runOnce();
  return order;
}

describe("without a queue", () => {
  it("the lowest priority number runs first, then whatever is due longest, then whatever was added first", async () => {
    const found = await run([
      ["added last of all equals", { runAt: LATER }],
      ["after it", { runAt: LATER }],
      ["due longest", { runAt: EARLIER }],
      ["least urgent", { priority: 32_767, runAt: EARLIER }],
      ["most urgent", { priority: -32_768, runAt: LATER }],
      ["urgent", { priority: -1, runAt: LATER }],
    ]);
    expect(found).toEqual([
      "most urgent",
      "urgent",
      "due longest",
      "added last of all equals",
      "after it",
      "least urgent",
    ]);
  });
});

describe("in a queue", () => {
  it("the order is the same", async () => {
    const queueName = "ordered";
    const found = await run([
      ["third", { queueName, runAt: LATER }],
      ["fourth", { queueName, runAt: LATER }],
      ["second", { queueName, runAt: EARLIER }],
      ["last", { queueName, priority: 1, runAt: EARLIER }],
      ["first", { queueName, priority: -1, runAt: LATER }],
    ]);
    expect(found).toEqual(["first", "second", "third", "fourth", "last"]);
  });
});

describe("with and without queues", () => {
  it("heads of queues and jobs without a queue are one order", async () => {
    const found = await run([
      ["third", { queueName: "a", priority: 3 }],
      ["second", { priority: 2 }],
      ["first", { queueName: "b", priority: 1 }],
      ["fourth", { priority: 4 }],
      ["fifth", { queueName: "a", priority: 5 }],
    ]);
    expect(found).toEqual(["first", "second", "third", "fourth", "fifth"]);
  });
});

describe("a job that is not due", () => {
  it("waits, also before less urgent ones, until its time has come", async () => {
    expect(
      await run([
        ["future", { priority: -100, runAt: "2200-01-01T00:00:00Z" }],
        ["future in a queue", { priority: -100, runAt: "2200-01-01T00:00:00Z", queueName: "later" }],
        ["due", { priority: 100 }],
        ["due in the queue", { priority: 100, queueName: "later" }],
      ]),
    ).toEqual(["due", "due in the queue"]);

    await database.sql("update howdah._private_jobs set run_at = now()");
    expect((await run([])).slice(2)).toEqual(["future", "future in a queue"]);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });
});
