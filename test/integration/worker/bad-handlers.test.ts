import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createGate, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

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

const good = defineTask({ identifier: "good", run: () => undefined });

function cyclic(): Error {
  const error = new Error("round and round");
  error.cause = error;
  return error;
}

function hostile(): object {
  return Object.defineProperty({}, "message", {
    get() {
      throw new Error("even this");
    },
  });
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** What is thrown, and what stands in `last_error`. */
const thrown: [string, unknown, RegExp][] = [
  ["a string", "just a text", /^just a text$/],
  ["an empty string", "", /''$/],
  ["null", null, /null$/],
  ["undefined", undefined, /undefined$/],
  ["a number", 42, /42$/],
  ["an object", { code: 7 }, /code: 7/],
  ["an object with a throwing getter", hostile(), /^Thrown was no error/],
  ["a revoked proxy", revoked(), /.+/],
  ["an error with a cyclic cause", cyclic(), /^round and round$/],
  ["an error without a message", new Error(), /^Error$/],
  ["an error with characters that PostgreSQL refuses", new Error("a\u0000b\ud83d"), /^a\?b\?$/],
  ["a very long error", new Error("x".repeat(1_000_000)), /^x{9997}\.\.\.$/],
  ["an aggregate", new AggregateError([new Error("one"), "two"], "both"), /^both: \[1\] one/],
  ["a function", () => undefined, /unction/],
];

/** Runs the bad job between good ones, all of one queue, and returns its row. */
async function runBeside(handler: () => unknown) {
  // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- the compiler wants it
  const bad = defineTask({ identifier: "bad", run: handler as () => void });
  const logger = createRecordingLogger();
  await using worker = await createTestWorker(database, { tasks: [bad, good], logger, concurrency: 2 });
  const completed = record(worker.hooks, "jobComplete");
  await worker.client.addJob(good, {}, { queueName: "q" });
  await worker.client.addJob(bad, {}, { queueName: "q" });
  await worker.client.addJob(good, {}, { queueName: "q" });
  await worker.client.addJob(good);
  expect(await worker.runOnce()).toEqual({ completed: 3, failed: 1, snoozed: 0, ended: "drained" });
  expect(completed.events.every(({ job }) => job.task === "good")).toBe(true);
  expect(logger.messages("error")).toEqual([]);
  const rows = await database.sql("select task_identifier, attempts, locked_at, last_error from howdah.jobs");
  expect(rows).toMatchObject([{ task_identifier: "bad", attempts: 1, locked_at: null }]);
  return String(rows[0]?.["last_error"]);
}

describe("a handler that throws", () => {
  it.each(thrown)("%s fails its job and nothing else", async (_what, error, message) => {
    const lastError = await runBeside(() => {
      throw error;
    });
    expect(lastError).toMatch(message);
  });
});

describe("a handler that rejects", () => {
  it.each(thrown)("with %s fails its job and nothing else", async (_what, error, message) => {
    const lastError = await runBeside(() => Promise.reject(error));
    expect(lastError).toMatch(message);
  });

  it("through a thenable of its own fails its job", async () => {
    const thenable = {
      // oxlint-disable-next-line unicorn/no-thenable -- that is what handlers return
      then(_resolve: () => void, reject: (error: Error) => void) {
        reject(new Error("no promise"));
      },
    };
    expect(await runBeside(() => thenable)).toBe("no promise");
  });

  it("through a thenable that throws fails its job", async () => {
    const thenable = {
      // oxlint-disable-next-line unicorn/no-thenable -- that is what handlers return
      get then() {
        throw new Error("not even that");
      },
    };
    expect(await runBeside(() => thenable)).toBe("not even that");
  });
});

describe("a handler that returns", () => {
  const values: [string, unknown][] = [
    ["a value", { whatever: 1 }],
    ["an error", new Error("returned, not thrown")],
    ["a revoked proxy in a list", [revoked()]],
    // oxlint-disable-next-line unicorn/no-thenable -- that is what handlers return
    ["a thenable", { then: (resolve: () => void) => resolve() }],
  ];
  it.each(values)("%s has completed its job", async (_what, value) => {
    const task = defineTask({ identifier: "returns", run: (() => value) as () => void });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task);
    expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 0 });
  });
});

describe("a handler that never settles", () => {
  it("keeps its slot and nothing else, until the worker is stopped", async () => {
    const never = defineTask({ identifier: "never", run: () => createGate().opened });
    const shutdown = { gracePeriod: "20ms", abortPeriod: "20ms" } as const;
    const worker = await createTestWorker(database, { tasks: [never, good], concurrency: 2, shutdown });
    const completed = record(worker.hooks, "jobComplete");
    const { id } = await worker.client.addJob(never);
    for (let n = 0; n < 20; n++) await worker.client.addJob(good, {}, n % 2 ? { queueName: "q" } : {});
    const running = worker.run();
    await completed.reach(20);
    expect(await worker.client.getJob(id)).toMatchObject({ state: "running", attempts: 1 });
    await worker.stop();
    await running;
    const rows = await database.sql("select attempts, locked_at from howdah.jobs");
    expect(rows).toEqual([{ attempts: 0, locked_at: null }]);
  });
});

describe("a stored payload that no handler expects", () => {
  it("of many levels or many megabytes reaches the handler or fails its own job only", async () => {
    const sizes: number[] = [];
    const reads = defineTask({
      identifier: "reads",
      run: (payload: unknown) => void sizes.push(JSON.stringify(payload).length),
    });
    await using worker = await createTestWorker(database, { tasks: [reads, good] });
    await worker.client.addJob(reads, { text: "y".repeat(10_000_000) });
    await worker.client.addJob(reads, JSON.parse("[".repeat(1_000) + "]".repeat(1_000)));
    await worker.client.addJob(good);
    expect(await worker.runOnce()).toMatchObject({ completed: 3 });
    expect(sizes.toSorted((a, b) => a - b)).toEqual([2_000, 10_000_011]);
  });
});
