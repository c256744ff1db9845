import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { cancel, snooze } from "../../../src/job/directive.ts";
import { defineBatchTask, type BatchResult } from "../../../src/job/task.ts";
import { unrecoverable } from "../../../src/job/unrecoverable.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

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

interface Item {
  readonly id: number;
}

const THREE = [{ id: 1 }, { id: 2 }, { id: 3 }];

/** Runs one batch job once and returns its row, if it is still there. */
async function runBatch(
  handler: (items: Item[]) => BatchResult | Promise<BatchResult>,
  spec: { payload?: unknown; maxAttempts?: number } = {},
) {
  const task = defineBatchTask({ identifier: "batch", runBatch: handler });
  await using worker = await createTestWorker(database, { tasks: [task] });
  const failed = record(worker.hooks, "jobFail").events;
  const failedForGood = record(worker.hooks, "jobPermanentlyFail").events;
  const { payload = THREE, maxAttempts = 25 } = spec;
  await worker.client.addJob("batch", payload, { maxAttempts });
  const result = await worker.runOnce();
  const [row] = await database.sql(
    "select payload, attempts, last_error, locked_at, run_at > now() as later from howdah._private_jobs",
  );
  return { result, row, failed, failedForGood };
}

describe("a batch handler that is done with everything", () => {
  const done: [string, (items: Item[]) => BatchResult | Promise<BatchResult>][] = [
    ["returns nothing", () => undefined],
    ["is asynchronous", async () => undefined],
    ["returns one entry per item", (items) => items.map(() => "ok")],
    ["returns one promise per item", (items) => items.map(async ({ id }) => id)],
    ["returns null for each", (items) => items.map(() => null)],
  ];
  it.each(done)("completes the job when it %s", async (_how, handler) => {
    const seen: Item[][] = [];
    const { result, row } = await runBatch((items) => {
      seen.push(items);
      return handler(items);
    });
    expect(result).toMatchObject({ completed: 1, failed: 0 });
    expect(row).toBeUndefined();
    expect(seen).toEqual([THREE]);
  });
});

describe("a batch handler that fails as a whole", () => {
  const failing: [string, () => BatchResult | Promise<BatchResult>][] = [
    [
      "throws",
      () => {
        throw new Error("batch failed");
      },
    ],
    ["rejects", () => Promise.reject(new Error("batch failed"))],
  ];
  it.each(failing)("keeps all items when it %s", async (_how, handler) => {
    const { row, failed } = await runBatch(handler);
    expect(row).toMatchObject({
      payload: THREE,
      attempts: 1,
      last_error: "batch failed",
      locked_at: null,
      later: true,
    });
    expect(failed).toHaveLength(1);
  });

  it("is asked for the right number of results", async () => {
    const { row } = await runBatch((items) => items.slice(1));
    expect(row).toMatchObject({ payload: THREE, attempts: 1 });
    expect(row?.["last_error"]).toContain("returned 2 results for 3 payload items");
  });

  it("may not return something else", async () => {
    const { row } = await runBatch(() => "done" as unknown as BatchResult);
    expect(row).toMatchObject({ payload: THREE });
    expect(row?.["last_error"]).toMatch(/must return nothing or one entry per item/);
  });

  it("is not called with a payload that is no list", async () => {
    let calls = 0;
    const { row } = await runBatch(
      () => {
        calls += 1;
      },
      { payload: { id: 1 } },
    );
    expect(calls).toBe(0);
    expect(row).toMatchObject({ payload: { id: 1 }, attempts: 25 });
    expect(row?.["last_error"]).toBe(
      "HOWDAH_PAYLOAD_INVALID: The payload of a batch job must be an array, found an object.",
    );
  });
});

describe("a batch handler with failed items", () => {
  const results: [string, () => BatchResult][] = [
    ["an Error", () => [undefined, new Error("no 2"), undefined]],
    ["a rejected promise", () => [undefined, Promise.reject(new Error("no 2")), Promise.resolve(3)]],
  ];
  it.each(results)("keeps only those, marked by %s", async (_how, handler) => {
    const { row, failed, result } = await runBatch(handler);
    expect(result).toMatchObject({ completed: 0, failed: 1 });
    expect(row).toMatchObject({ payload: [{ id: 2 }], attempts: 1, locked_at: null, later: true });
    expect(row?.["last_error"]).toBe("1 batch item(s) failed: 1: no 2");
    expect(failed).toMatchObject([{ error: { code: "HOWDAH_BATCH_ITEMS_FAILED" } }]);
  });

  it("keeps them also after the last attempt", async () => {
    const { row, failedForGood } = await runBatch(() => [new Error("a"), undefined, new Error("b")], {
      maxAttempts: 1,
    });
    expect(row).toMatchObject({ payload: [{ id: 1 }, { id: 3 }], attempts: 1 });
    expect(failedForGood).toHaveLength(1);
  });

  it("runs them again, and only them, until all are done", async () => {
    const seen: number[][] = [];
    const task = defineBatchTask({
      identifier: "in parts",
      retry: { type: "fixed", delay: 0 },
      runBatch(items: Item[]) {
        seen.push(items.map(({ id }) => id));
        return items.map(({ id }, index) => (index === 0 ? undefined : new Error(`not yet ${id}`)));
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addBatchJob(task, THREE);
    expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 2 });
    expect(seen).toEqual([[1, 2, 3], [2, 3], [3]]);
  });
});

describe("a batch handler", () => {
  it("counts what Promise.allSettled says was rejected as failed", async () => {
    const { result, row } = await runBatch((items) =>
      Promise.allSettled(
        items.map(async ({ id }) => {
          if (id === 2) throw new Error("broken");
        }),
      ),
    );
    expect(result).toMatchObject({ completed: 0, failed: 1 });
    expect(row).toMatchObject({ payload: [{ id: 2 }], last_error: "1 batch item(s) failed: 1: broken" });
  });

  it("leaves numbers in what is stored as they are: merged by key, failed in part, revived", async () => {
    const items = [
      '{"id": 9007199254740993, "price": 1.10}',
      '{"id": 2}',
      "[1e400, 0.1000000000000000055511151231257827]",
    ];
    const task = defineBatchTask({
      identifier: "batch",
      retry: { type: "fixed", delay: 0 },
      runBatch: () => [new Error("no"), undefined, new Error("no")],
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await database.sql("select howdah.add_job('batch', $1, job_key => 'k', max_attempts => 1)", [`[${items[0]}]`]);
    await database.sql("select howdah.add_job('batch', $1, job_key => 'k', max_attempts => 1)", [
      `[${items.slice(1).join(",")}]`,
    ]);
    await worker.runOnce();
    const [stored] = await database.sql("select id from howdah._private_jobs");
    await worker.client.rescheduleJobs([String(stored?.["id"])], { attempts: 0, maxAttempts: 5 });
    const [row] = await database.sql(
      `select payload #>> '{0,id}' as id, payload #>> '{0,price}' as price, json_array_length(payload) as length,
         (payload #>> '{1,0}')::numeric = 1e400 as huge, payload #>> '{1,1}' as fine, attempts
       from howdah._private_jobs`,
    );
    expect(row).toEqual({
      id: "9007199254740993",
      price: "1.10",
      length: 2,
      huge: true,
      fine: "0.1000000000000000055511151231257827",
      attempts: 0,
    });
  });

  it("may snooze the whole job, which keeps its items and its attempt", async () => {
    const { row, result } = await runBatch(() => snooze("1h"));
    expect(result).toMatchObject({ snoozed: 1 });
    expect(row).toMatchObject({ payload: THREE, attempts: 0, last_error: null, later: true });
  });

  it("may cancel the whole job", async () => {
    const { row } = await runBatch(() => cancel("no longer wanted"));
    expect(row).toMatchObject({ payload: THREE, attempts: 25, last_error: "no longer wanted" });
  });

  it("may give up for good", async () => {
    const { row } = await runBatch(() => {
      throw unrecoverable(new Error("gone"));
    });
    expect(row).toMatchObject({ payload: THREE, attempts: 25, last_error: "gone" });
  });

  it("gets what its schema makes of each item, and failed items stay as they were stored", async () => {
    const seen: unknown[] = [];
    const task = defineBatchTask({
      identifier: "typed batch",
      item: z.object({ id: z.string().transform(Number) }),
      runBatch(items) {
        seen.push(items);
        return items.map(({ id }) => (id === 2 ? new Error("no") : undefined));
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addBatchJob(task, [{ id: "1" }, { id: "2" }]);
    await worker.runOnce();
    expect(seen).toEqual([[{ id: 1 }, { id: 2 }]]);
    expect(await database.sql("select payload from howdah._private_jobs")).toEqual([{ payload: [{ id: "2" }] }]);
  });

  it("is not called when one stored item does not fit, and the message says which", async () => {
    let calls = 0;
    const task = defineBatchTask({
      identifier: "strict batch",
      item: z.object({ id: z.number() }),
      runBatch() {
        calls += 1;
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob("strict batch", [{ id: 1 }, { id: "two" }]);
    await worker.runOnce();
    expect(calls).toBe(0);
    const [row] = await database.sql("select last_error from howdah.jobs");
    expect(row?.["last_error"]).toMatch(/payload\[1\]\.id/);
  });
});
