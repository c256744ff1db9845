import { type } from "arktype";
import * as v from "valibot";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineTask, type AnyTask } from "../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../harness/database.ts";
import { createTestWorker } from "../harness/worker.ts";

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

  it("fails a stored payload that does not fit, without calling the handler or quoting the payload", async () => {
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task.identifier, { count: "hunter2" });

    expect(await worker.runOnce()).toMatchObject({ completed: 0, failed: 1 });
    expect(handled).toEqual([]);
    const [row] = await database.sql("select attempts, last_error from howdah.jobs");
    expect(row?.["attempts"]).toBe(1);
    expect(row?.["last_error"]).toMatch(/^The payload does not fit its schema: payload\.count: /);
    expect(row?.["last_error"]).not.toContain("hunter2");
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
