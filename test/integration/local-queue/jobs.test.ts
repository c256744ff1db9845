import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

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

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `job ${index}`);

/** Adds jobs, without a queue unless `queueOf` names one for the job at that index. */
async function addAll(worker: Worker, jobNames: readonly string[], queueOf?: (index: number) => string | undefined) {
  await worker.client.addJobs(
    jobNames.map((payload, index) => {
      const queueName = queueOf?.(index);
      return { identifier: "work", payload, spec: queueName === undefined ? {} : { queueName } };
    }),
  );
}

const jobCount = async (): Promise<number> => (await database.sql("select from howdah._private_jobs")).length;

const lockedBy = async (worker: Worker): Promise<number> =>
  (await database.sql("select from howdah._private_jobs where locked_by = $1", [worker.id])).length;

/** A worker whose jobs end at once, and what it did. */
async function createQuickWorker(options: Partial<WorkerOptions>) {
  const done: string[] = [];
  const task = defineTask({ identifier: "work", run: (name: string) => void done.push(name) });
  const worker = await createTestWorker(database, { tasks: [task], ...options });
  return { worker, done };
}

describe("jobs", () => {
  // behaviours 165, 166, 168, 169
  it.each([
    { jobs: 5, size: 10, concurrency: 3, when: "that are added while it runs" },
    { jobs: 20, size: 50, concurrency: 5, when: "that were there before" },
    { jobs: 100, size: 50, concurrency: 10, when: "of several batches" },
    { jobs: 5, size: 1, concurrency: 1, when: "one at a time" },
  ])("$when: all $jobs run with size $size and concurrency $concurrency, each once", async ({ when, ...given }) => {
    const { worker, done } = await createQuickWorker({
      concurrency: given.concurrency,
      localQueue: { size: given.size },
      pollInterval: "30s",
    });
    const isEarly = when !== "that are added while it runs";
    if (isEarly) await addAll(worker, names(given.jobs));
    const polling = record(worker.hooks, "localQueueGetJobsComplete");
    const running = worker.run();
    if (!isEarly) {
      await polling.reach();
      await addAll(worker, names(given.jobs));
    }
    await until(async () => (await jobCount()) === 0);
    await worker.stop();
    await running;
    expect(done.toSorted()).toEqual(names(given.jobs).toSorted());
  });

  // behaviours 170
  it("of one batch run side by side in all slots", async () => {
    const held = createHeldTask("work");
    await using worker = await createTestWorker(database, {
      tasks: [held.task],
      concurrency: 5,
      localQueue: { size: 10 },
    });
    await addAll(worker, names(10));
    const running = worker.run();
    await until(() => held.running.size === 5);
    held.openAll();
    await until(async () => (await jobCount()) === 0);
    await worker.stop();
    await running;
    expect(held.started).toHaveLength(10);
  });

  it("stay locked under the worker's id while they wait, each with an attempt that has begun", async () => {
    const held = createHeldTask("work");
    await using worker = await createTestWorker(database, {
      tasks: [held.task],
      concurrency: 1,
      localQueue: { size: 4 },
    });
    await addAll(worker, names(6));
    const running = worker.run();
    await until(async () => (await lockedBy(worker)) === 4);
    const rows = await database.sql("select payload, attempts, locked_by from howdah._private_jobs order by id");
    expect(rows.filter((row) => row["locked_by"] === worker.id && row["attempts"] === 1)).toHaveLength(4);
    expect(rows.at(-1)).toEqual({ payload: "job 5", attempts: 0, locked_by: null });
    held.openAll();
    await until(async () => (await jobCount()) === 0);
    await worker.stop();
    await running;
    expect(held.started).toEqual(names(6));
  });

  it("are not held at all by default: nothing is locked that does not run", async () => {
    const held = createHeldTask("work");
    await using worker = await createTestWorker(database, { tasks: [held.task], concurrency: 2, pollInterval: 20 });
    const inits = record(worker.hooks, "localQueueInit");
    await addAll(worker, names(10));
    const running = worker.run();
    await until(() => held.running.size === 2);
    expect(await lockedBy(worker)).toBe(2);
    held.openAll();
    await until(async () => (await jobCount()) === 0);
    await worker.stop();
    await running;
    expect(inits.events).toEqual([]);
  });

  it("are claimed directly by runOnce, whatever the options say", async () => {
    const { worker, done } = await createQuickWorker({ localQueue: true, concurrency: 2 });
    const inits = record(worker.hooks, "localQueueInit");
    await addAll(worker, names(20));
    expect(await worker.runOnce()).toMatchObject({ completed: 20, ended: "drained" });
    await worker.stop();
    expect(done).toHaveLength(20);
    expect(inits.events).toEqual([]);
  });
});

describe("a batch", () => {
  it("is served without a statement for each job", async () => {
    const { worker } = await createQuickWorker({ localQueue: { size: 200 }, concurrency: 4, pollInterval: "30s" });
    const fetches = record(worker.hooks, "localQueueGetJobsComplete");
    await addAll(worker, names(200));
    const running = worker.run();
    await until(async () => (await jobCount()) === 0);
    await worker.stop();
    await running;
    expect(fetches.events.filter(({ count }) => count > 0).map(({ count }) => count)).toEqual([200]);
  });
});

describe("several local queues", () => {
  // behaviours 172
  it("are as many as asked for: 4 of them, each told of, run all 12 jobs", async () => {
    const { worker, done } = await createQuickWorker({ concurrency: 5, localQueue: { size: 3, queueCount: 4 } });
    const inits = record(worker.hooks, "localQueueInit");
    await addAll(worker, names(12));
    const running = worker.run();
    await until(async () => (await jobCount()) === 0);
    await worker.stop();
    await running;
    expect(inits.events.map(({ queue, workerId }) => [queue, workerId])).toEqual(
      [0, 1, 2, 3].map((n) => [n, worker.id]),
    );
    expect(done).toHaveLength(12);
  });

  // behaviours 173
  it("are no more than slots", async () => {
    const { worker } = await createQuickWorker({ concurrency: 2, localQueue: { queueCount: 4 } });
    const inits = record(worker.hooks, "localQueueInit");
    const running = worker.run();
    await inits.reach(2);
    await worker.stop();
    await running;
    expect(inits.events).toHaveLength(2);
  });

  it.each([
    ["without a queue", undefined],
    ["in three queues, counted job by job", 3],
  ])("hold at most size × queueCount jobs %s, and the running ones come on top", async (_, queueCount) => {
    const held = createHeldTask("work");
    await using worker = await createTestWorker(database, {
      tasks: [held.task],
      concurrency: 5,
      localQueue: { size: 3, queueCount: 4 },
    });
    const all = names(60);
    await addAll(worker, all, (index) => (queueCount === undefined ? undefined : `queue ${index % queueCount}`));
    const sampled: number[] = [];
    /** How many jobs are locked and were not started: those that started meanwhile do not count, so never too many. */
    const sample = async (): Promise<number> => {
      const locked = await database.sql("select payload from howdah._private_jobs where locked_by = $1", [worker.id]);
      const cached = locked.filter((row) => !held.started.includes(row["payload"] as string)).length;
      sampled.push(cached);
      return cached;
    };
    const running = worker.run();
    // Without a queue there are four batches of three, of which five slots have taken what they can.
    const least = queueCount === undefined ? 4 * 3 - 5 : 0;
    await until(async () => (await sample()) >= least);
    for (const [index] of all.entries()) {
      const name = await until(() => held.started[index], { message: `the start of job number ${index}` });
      held.open(name);
      await sample();
    }
    await until(async () => (await sample()) === 0 && (await jobCount()) === 0);
    await worker.stop();
    await running;
    expect(Math.max(...sampled)).toBeLessThanOrEqual(12);
    expect(Math.max(...sampled)).toBeGreaterThan(0);
    expect(held.started).toHaveLength(60);
  });
});

describe("the hooks", () => {
  it("show every change of mode, every fetch and every return", async () => {
    const held = createHeldTask("work");
    await using worker = await createTestWorker(database, {
      tasks: [held.task],
      concurrency: 1,
      localQueue: { size: 3 },
      pollInterval: "30s",
    });
    const modes = record(worker.hooks, "localQueueSetMode");
    const fetches = record(worker.hooks, "localQueueGetJobsComplete");
    const returns = record(worker.hooks, "localQueueReturnJobs");
    await addAll(worker, names(3));
    const running = worker.run();
    await until(() => held.running.size === 1);
    await worker.client.addJob(held.task, "job 3");
    held.open("job 0");
    held.open("job 1");
    await until(() => held.running.has("job 2"));
    await fetches.reach(2);
    held.open("job 2");
    await until(() => held.running.has("job 3"));
    await addAll(worker, ["job 4", "job 5"]);
    await until(() => modes.events.at(-1)?.newMode === "waiting");
    held.openAll();
    const stopping = worker.stop();
    await stopping;
    await running;
    const changes = modes.events.map(({ oldMode, newMode }) => `${oldMode} > ${newMode}`);
    expect(changes[0]).toBe("starting > polling");
    expect(changes[1]).toBe("polling > waiting");
    expect(changes[2]).toBe("waiting > polling");
    expect(changes.at(-1)).toMatch(/^(waiting|polling) > released$/);
    for (const [index, change] of changes.slice(1).entries()) {
      expect(change.split(" > ")[0], "each change begins where the last one ended").toBe(
        changes[index]?.split(" > ")[1],
      );
    }
    for (const { workerId, queue } of [...modes.events, ...fetches.events, ...returns.events]) {
      expect([workerId, queue]).toEqual([worker.id, 0]);
    }
    expect(fetches.events[0]?.count).toBe(3);
    const given = fetches.events.reduce((sum, { count }) => sum + count, 0);
    const returned = returns.events.reduce((sum, { count }) => sum + count, 0);
    expect(given - returned).toBe(held.started.length);
  });
});

describe("forbidden flags", () => {
  // behaviours 113
  it.each([
    ["a list", ["special"]],
    ["a function", () => ["special"]],
    ["an asynchronous function", async () => Promise.resolve(["special"])],
    ["a function that forbids nothing", () => null],
  ])("as %s switch the local queue off, which is said once", async (what, forbiddenFlags) => {
    const logger = createRecordingLogger();
    const { worker, done } = await createQuickWorker({ localQueue: { size: 10 }, forbiddenFlags, logger });
    const inits = record(worker.hooks, "localQueueInit");
    for (const name of names(3)) {
      await worker.client.addJob("work", name);
      await worker.client.addJob("work", `flagged ${name}`, { flags: ["special"] });
    }
    const expected = what === "a function that forbids nothing" ? 6 : 3;
    const running = worker.run();
    await until(() => done.length === expected);
    await until(async () => (await jobCount()) === 6 - expected);
    await worker.stop();
    await running;
    expect(inits.events).toEqual([]);
    expect(logger.messages("warn")).toEqual(["The local queue is off because this worker has forbidden flags"]);
    const left = await database.sql("select attempts, flags from howdah._private_jobs");
    expect(left).toEqual(Array.from({ length: 6 - expected }, () => ({ attempts: 0, flags: { special: true } })));
  });

  it("as an empty list leave it on, and nothing is said", async () => {
    const logger = createRecordingLogger();
    const { worker, done } = await createQuickWorker({ localQueue: { size: 10 }, forbiddenFlags: [], logger });
    const inits = record(worker.hooks, "localQueueInit");
    await worker.client.addJob("work", "flagged", { flags: ["special"] });
    const running = worker.run();
    await until(() => done.length === 1);
    await worker.stop();
    await running;
    expect(inits.events).toHaveLength(1);
    expect(logger.messages("warn")).toEqual([]);
  });
});

describe("options that make no sense", () => {
  it.each([
    [{ localQueue: { size: 0 } }, "`localQueue.size`"],
    [{ localQueue: { queueCount: 0 } }, "`localQueue.queueCount`"],
    [{ localQueue: { ttl: 0 } }, "`localQueue.ttl`"],
    [
      { pollInterval: 50, localQueue: { refetchDelay: true } },
      "(100 ms) must not be larger than `pollInterval` (50 ms)",
    ],
  ])("are refused before anything is connected: %o", async (options, message) => {
    const task = defineTask({ identifier: "work", run: () => undefined });
    const given = { tasks: [task], connectionString: "postgres://stranger@127.0.0.1:1/nothing", ...options };
    await expect(createTestWorker(database, given as WorkerOptions)).rejects.toThrow(message);
  });
});
