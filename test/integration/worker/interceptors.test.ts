import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EVENT_NAMES } from "../../../src/hooks/events.ts";
import type { HookHandlers, HookName } from "../../../src/hooks/emitter.ts";
import type { Plugin } from "../../../src/hooks/plugin.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

/** Counts events, and the questions of interceptors, which it leaves to the others. */
function createCounter(): Plugin & { readonly counts: Partial<Record<HookName, number>> } {
  const counts: Partial<Record<HookName, number>> = {};
  const count = (name: HookName) => () => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  return {
    name: "counter",
    counts,
    register(hooks) {
      for (const name of EVENT_NAMES) hooks.on(name, count(name));
      hooks.on("beforeJobRun", count("beforeJobRun"));
      hooks.on("afterJobRun", count("afterJobRun"));
      hooks.on("beforeJobSchedule", count("beforeJobSchedule"));
    },
  };
}

const seen: unknown[] = [];
const works = defineTask({ identifier: "works", run: (payload: unknown) => void seen.push(payload) });
const fails = defineTask({
  identifier: "fails",
  run() {
    throw new Error("no");
  },
});
const batch = defineBatchTask({ identifier: "batch", runBatch: (items: unknown[]) => void seen.push(items) });
const tasks = [works, fails, batch];

/** Runs one job with these interceptors; what became of it, and who was told and asked. */
async function runOne(identifier: string, hooks: Partial<HookHandlers>, maxAttempts = 25) {
  seen.length = 0;
  const counter = createCounter();
  await using worker = await createTestWorker(database, { tasks, hooks, plugins: [counter] });
  await worker.client.addJob(identifier, {}, { maxAttempts });
  const result = await worker.runOnce();
  const rows = await database.sql("select attempts, last_error, locked_by from howdah._private_jobs");
  const { workerInit: _init, workerStart: _start, workerShutdown: _shutdown, claimEnd: _, ...counts } = counter.counts;
  return { result, row: rows[0], counts };
}

const fetched = { beforeJobSchedule: 1, jobAdd: 1, jobFetch: 1, jobSettle: 1 };

describe("one job", () => {
  it("that succeeds is asked about before and after, and told of once each (behaviours 214, 228)", async () => {
    const { counts } = await runOne("works", {});
    expect(counts).toEqual({ ...fetched, beforeJobRun: 1, jobStart: 1, afterJobRun: 1, jobComplete: 1 });
  });

  it("that fails is asked about before and after, and told of once each (behaviours 218)", async () => {
    const { counts } = await runOne("fails", {});
    expect(counts).toEqual({ ...fetched, beforeJobRun: 1, jobStart: 1, afterJobRun: 1, jobFail: 1 });
  });
});

describe("beforeJobRun", () => {
  it("skips a job, which is completed without having started (behaviours 216)", async () => {
    const { row, counts, result } = await runOne("works", { beforeJobRun: () => ({ action: "skip" }) });
    expect(row).toBeUndefined();
    expect(result).toMatchObject({ completed: 1, failed: 0 });
    expect(counts).toEqual({ ...fetched, jobComplete: 1 });
    expect(seen).toEqual([]);
  });

  it("fails a job, which is tried again later and has not started (behaviours 217)", async () => {
    const hooks = { beforeJobRun: () => ({ action: "fail", message: "Forced failure by hook" }) as const };
    const { row, counts } = await runOne("works", hooks);
    expect(row).toEqual({ attempts: 1, last_error: "Forced failure by hook", locked_by: null });
    expect(counts).toEqual({ ...fetched, jobFail: 1 });
    expect(seen).toEqual([]);
  });

  it("rewrites what handlers are given, the items of a batch too", async () => {
    const hooks: Partial<HookHandlers> = {
      beforeJobRun: ({ payload }) => ({
        action: "continue",
        payload: Array.isArray(payload) ? payload.map((item) => [item]) : { given: payload },
      }),
    };
    await runOne("works", hooks);
    expect(seen).toEqual([{ given: {} }]);
    seen.length = 0;
    await using worker = await createTestWorker(database, { tasks, hooks });
    await worker.client.addBatchJob(batch, [1, 2]);
    await worker.runOnce();
    expect(seen).toEqual([[[1], [2]]]);
  });
});

describe("afterJobRun", () => {
  it("skips what a handler did: a job that failed is completed and gone (behaviours 220)", async () => {
    const { row, counts } = await runOne("fails", { afterJobRun: () => ({ action: "skip" }) });
    expect(row).toBeUndefined();
    expect(counts).toEqual({ ...fetched, beforeJobRun: 1, jobStart: 1, jobComplete: 1 });
  });

  it("fails a job whose handler has succeeded (behaviours 221)", async () => {
    const { row, counts } = await runOne("works", {
      afterJobRun: () => ({ action: "fail", message: "after hook failed" }),
    });
    expect(row).toEqual({ attempts: 1, last_error: "after hook failed", locked_by: null });
    expect(counts).toEqual({ ...fetched, beforeJobRun: 1, jobStart: 1, jobFail: 1 });
  });

  it("fails a last attempt for good, which is told of once (behaviours 222)", async () => {
    const hooks = { afterJobRun: () => ({ action: "fail", message: "no" }) as const };
    const { counts } = await runOne("works", hooks, 1);
    expect(counts).toMatchObject({ jobPermanentlyFail: 1 });
    expect(counts).not.toHaveProperty("jobFail");
  });
});

describe("an interceptor that misbehaves", () => {
  it.each([
    [
      "throws",
      () => {
        throw new Error("hook broken");
      },
      "The interceptor `beforeJobRun` failed: hook broken",
    ],
    ["answers nonsense", () => ({ action: "explode" }), /answered with the action "explode"/],
    ["never answers", () => new Promise(() => undefined), "The interceptor `beforeJobRun` did not answer within 1 ms."],
  ])("fails the attempt when it %s, and the worker goes on", async (_, handler, message) => {
    await using worker = await createTestWorker(database, {
      tasks,
      interceptorTimeout: 1,
      hooks: { beforeJobRun: (event) => (event.job.task === "works" ? (handler() as never) : undefined) },
    });
    await worker.client.addJob(works, {});
    await worker.client.addJob(batch, [1]);
    expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 1 });
    const [row] = await database.sql("select last_error, locked_by from howdah._private_jobs");
    expect(row).toMatchObject({ last_error: expect.stringMatching(message), locked_by: null });
  });
});

describe("a plugin", () => {
  it("that cannot register stops the worker from being created, and is named", async () => {
    const plugin: Plugin = { name: "metrics", register: () => Promise.reject(new Error("port taken")) };
    await expect(createTestWorker(database, { tasks, plugins: [plugin] })).rejects.toMatchObject({
      code: "HOWDAH_PLUGIN_FAILED",
      message: 'Plugin "metrics" could not register its hooks: port taken',
    });
  });
});
