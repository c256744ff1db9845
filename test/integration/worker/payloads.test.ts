import { type } from "arktype";
import * as v from "valibot";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineBatchTask, defineTask, type AnyTask } from "../../../src/job/task.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
let handled: unknown[];

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  handled = [];
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

const run = (payload: unknown): void => void handled.push(payload);

// Each stores a text and hands over a number.
const tasks: readonly [library: string, task: AnyTask][] = [
  [
    "zod",
    defineTask({ identifier: "zod", payload: z.object({ count: z.string().regex(/^\d+$/).transform(Number) }), run }),
  ],
  [
    "valibot",
    defineTask({
      identifier: "valibot",
      payload: v.object({ count: v.pipe(v.string(), v.digits(), v.transform(Number)) }),
      run,
    }),
  ],
  ["arktype", defineTask({ identifier: "arktype", payload: type({ count: "string.integer.parse" }), run })],
];

describe.each(tasks)("a schema of %s", (_library, task) => {
  it("is applied when the job runs: what is stored goes in, what the handler gets comes out", async () => {
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, { count: "42" });
    expect(await database.sql("select payload from howdah._private_jobs")).toEqual([{ payload: { count: "42" } }]);

    expect(await worker.runOnce()).toMatchObject({ completed: 1 });
    expect(handled).toEqual([{ count: 42 }]);
  });

  it("refuses a payload before it is stored", async () => {
    await using worker = await createTestWorker(database, { tasks: [task] });
    await expect(worker.client.addJob(task, { count: "many" })).rejects.toMatchObject({
      code: "HOWDAH_PAYLOAD_INVALID",
    });
    expect(await database.sql("select from howdah._private_jobs")).toHaveLength(0);
  });

  it("fails a stored payload that does not fit for good, without calling the handler or quoting the payload", async () => {
    await using worker = await createTestWorker(database, { tasks: [task] });
    const failed = record(worker.hooks, "jobPermanentlyFail");
    await worker.client.addJob(task.identifier, { count: "hunter2" });

    expect(await worker.runOnce()).toMatchObject({ completed: 0, failed: 1 });
    expect(handled).toEqual([]);
    expect(failed.events).toMatchObject([{ error: { name: "HowdahError", code: "HOWDAH_PAYLOAD_INVALID" } }]);
    const [row] = await database.sql("select attempts, max_attempts, payload, last_error from howdah._private_jobs");
    expect(row).toMatchObject({ attempts: 25, max_attempts: 25, payload: { count: "hunter2" } });
    expect(row?.["last_error"]).toMatch(
      /^HOWDAH_PAYLOAD_INVALID: The payload does not fit its schema: payload\.count: /,
    );
    expect(row?.["last_error"]).not.toContain("hunter2");
  });
});

describe("a stored payload that does not fit", () => {
  const count = z.object({ count: z.number() });
  const retry = { type: "fixed", delay: 0 } as const;

  /** Adds a job that is started three times at most and returns how its attempts ended. */
  async function attempts(task: AnyTask, options: Partial<WorkerOptions> = {}, payload: unknown = {}) {
    await using worker = await createTestWorker(database, { tasks: [task], ...options });
    const [retried, final] = [record(worker.hooks, "jobFail"), record(worker.hooks, "jobPermanentlyFail")];
    await worker.client.addJob(task.identifier, payload, { maxAttempts: 3 });
    await worker.runOnce();
    return { retried: retried.events.length, final: final.events.length };
  }

  it("is tried again like any failure when the worker or the task says so, of whom the task has the last word", async () => {
    const plain = defineTask({ identifier: "plain", payload: count, retry, run });
    expect(await attempts(plain)).toEqual({ retried: 0, final: 1 });
    expect(await attempts(plain, { invalidPayload: "retry" })).toEqual({ retried: 2, final: 1 });
    const patient = defineTask({ identifier: "patient", payload: count, retry, invalidPayload: "retry", run });
    expect(await attempts(patient)).toEqual({ retried: 2, final: 1 });
    const strict = defineTask({ identifier: "strict", payload: count, retry, invalidPayload: "fail", run });
    expect(await attempts(strict, { invalidPayload: "retry" })).toEqual({ retried: 0, final: 1 });
  });

  it("ends a batch job for good, with all its items", async () => {
    const batch = defineBatchTask({ identifier: "batch", item: count, retry, runBatch: run });
    const payload = [{ count: 1 }, { count: "two" }];
    expect(await attempts(batch, {}, payload)).toEqual({ retried: 0, final: 1 });
    expect(handled).toEqual([]);
    const [row] = await database.sql("select payload, last_error from howdah._private_jobs");
    expect(row).toMatchObject({ payload, last_error: expect.stringContaining("payload[1].count") as unknown });
  });

  it("is not what a handler meets that adds a job with such a payload", async () => {
    const child = defineTask({ identifier: "child", payload: count, run });
    const parent = defineTask({
      identifier: "parent",
      retry,
      async run(_payload: unknown, { client }) {
        await client.addJob(child, { count: "two" } as never);
      },
    });
    expect(await attempts(parent)).toEqual({ retried: 2, final: 1 });
  });

  it("is not the same as a schema that fails, which is tried again", async () => {
    const broken = defineTask({
      identifier: "broken",
      payload: z.object({}).refine(() => {
        throw new Error("no connection to the directory");
      }),
      retry,
      run,
    });
    expect(await attempts(broken)).toEqual({ retried: 2, final: 1 });
  });

  it("is refused with a policy that does not exist", () => {
    const define = () => defineTask({ identifier: "t", invalidPayload: "ignore" as "fail", run });
    expect(define).toThrow(
      expect.objectContaining({
        code: "HOWDAH_OPTION_INVALID",
        message: expect.stringContaining("`invalidPayload`") as unknown,
      }),
    );
  });
});

describe("without a schema", () => {
  it.each([
    [{}, undefined],
    [null, null],
    [[], []],
    ["text with \u0000 and \ud83d", "text with \u0000 and \ud83d"],
    [{ deep: [1, { nested: true }] }, { deep: [1, { nested: true }] }],
    [0, 0],
    [false, false],
  ])("the handler gets %j as it was added", async (expected, added) => {
    const task = defineTask({ identifier: "plain", run });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob("plain", added);
    await worker.runOnce();
    expect(handled).toEqual([expected]);
  });
});
