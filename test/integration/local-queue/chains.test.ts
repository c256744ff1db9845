import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { snooze } from "../../../src/job/directive.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask, type AfterGate } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";

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

interface JobRow {
  readonly payload: string;
  readonly attempts: number;
  readonly locked_by: string | null;
  readonly last_error: string | null;
}

const jobRows = async (): Promise<JobRow[]> =>
  (await database.sql(
    "select payload, attempts, locked_by, last_error from howdah._private_jobs order by id",
  )) as JobRow[];

const unlocked = async (): Promise<string[]> =>
  (await jobRows()).filter((row) => row.locked_by === null).map(({ payload }) => payload);

async function queueLockedBy(): Promise<string | null> {
  const [row] = await database.sql("select locked_by from howdah._private_job_queues");
  return row?.["locked_by"] as string | null;
}

/** A worker that runs one chain of four jobs, "a" to "d", whose first one is at work. */
async function startChain(options: Partial<WorkerOptions> = {}, afterwards?: AfterGate) {
  const held = createHeldTask("work", afterwards);
  const worker = await createTestWorker(database, {
    tasks: [held.task],
    concurrency: 2,
    localQueue: { size: 10 },
    ...options,
  });
  const returns = record(worker.hooks, "localQueueReturnJobs");
  for (const name of ["a", "b", "c", "d"]) await worker.client.addJob(held.task, name, { queueName: "chained" });
  const running = worker.run();
  await until(() => held.running.has("a"));
  return {
    held,
    worker,
    running,
    returns,
    async end(): Promise<void> {
      held.openAll();
      await until(async () => (await jobRows()).length === 0);
      await worker.stop();
      await running;
    },
  };
}

describe("a chain", () => {
  it("is claimed as a whole, and runs one job after another, in order, in one slot", async () => {
    const { held, worker, end } = await startChain();
    expect((await jobRows()).map((row) => [row.payload, row.attempts, row.locked_by])).toEqual(
      ["a", "b", "c", "d"].map((name) => [name, 1, worker.id]),
    );
    // The second slot is free for others.
    await worker.client.addJob(held.task, "other");
    await until(() => held.running.has("other"));
    expect([...held.running]).toEqual(["a", "other"]);
    held.open("a");
    await until(() => held.running.has("b"));
    expect([...held.running]).toEqual(["other", "b"]);
    await end();
    expect(held.started.filter((name) => name !== "other")).toEqual(["a", "b", "c", "d"]);
  });

  it("keeps its queue locked until its last job is released, in the same statement", async () => {
    const { held, worker, running } = await startChain();
    const seen: { readonly jobs: number; readonly lockedBy: string | null }[] = [];
    const look = async (): Promise<number> => {
      const [row] = await database.sql(
        "select (select count(*)::integer from howdah._private_jobs) as jobs, locked_by from howdah._private_job_queues",
      );
      seen.push({ jobs: row?.["jobs"] as number, lockedBy: row?.["locked_by"] as string | null });
      return row?.["jobs"] as number;
    };
    for (const [index, name] of ["a", "b", "c", "d"].entries()) {
      held.open(name);
      await until(async () => (await look()) === 3 - index);
    }
    await worker.stop();
    await running;
    for (const { jobs, lockedBy } of seen) expect(lockedBy).toBe(jobs > 0 ? worker.id : null);
    expect(seen.map(({ jobs }) => jobs)).toEqual(expect.arrayContaining([3, 2, 1, 0]));
  });

  it("goes on with the next job when one fails, which goes back to its queue", async () => {
    const { held, worker, end } = await startChain({}, (name, { job }) => {
      if (name === "b" && job.attempts === 1) throw new Error("b is not ready");
    });
    held.open("a");
    held.open("b");
    await until(() => held.running.has("c"));
    await until(async () => (await unlocked()).length === 1);
    expect((await jobRows()).map((row) => [row.payload, row.attempts, row.locked_by, row.last_error])).toEqual([
      ["b", 1, null, expect.stringContaining("b is not ready")],
      ["c", 1, worker.id, null],
      ["d", 1, worker.id, null],
    ]);
    expect(await queueLockedBy()).toBe(worker.id);
    await database.sql(
      "select howdah.reschedule_jobs(array(select id from howdah._private_jobs where payload::text = '\"b\"'), run_at := now())",
    );
    await end();
    expect(held.started).toEqual(["a", "b", "c", "d", "b"]);
  });

  it("goes on with the next job when one is snoozed, whose attempt is refunded", async () => {
    const { held, worker, running } = await startChain({}, (name) => (name === "b" ? snooze("1h") : undefined));
    held.openAll();
    await until(async () => (await jobRows()).length === 1);
    await until(async () => (await queueLockedBy()) === null);
    expect(await jobRows()).toEqual([{ payload: "b", attempts: 0, locked_by: null, last_error: null }]);
    expect(held.started).toEqual(["a", "b", "c", "d"]);
    await worker.stop();
    await running;
  });

  it("gives back what was not started when that has waited too long, and keeps its queue", async () => {
    const { held, worker, running, returns } = await startChain({ localQueue: { size: 10, ttl: 50 } });
    await returns.reach();
    expect(returns.events[0]).toEqual({ workerId: worker.id, queue: 0, count: 3 });
    await until(async () => (await unlocked()).length === 3);
    expect((await jobRows()).map((row) => [row.payload, row.attempts])).toEqual([
      ["a", 1],
      ["b", 0],
      ["c", 0],
      ["d", 0],
    ]);
    expect(await queueLockedBy()).toBe(worker.id);
    // Another worker does what else there is, and leaves the queue alone.
    const beside = createHeldTask("beside");
    const others = createHeldTask("work");
    beside.openAll();
    others.openAll();
    await using other = await createTestWorker(database, { tasks: [beside.task, others.task] });
    await other.client.addJob(beside.task, "elsewhere");
    expect(await other.runOnce()).toMatchObject({ completed: 1 });
    expect([beside.started, others.started]).toEqual([["elsewhere"], []]);

    held.openAll();
    await until(async () => (await jobRows()).length === 0);
    expect(await other.runOnce()).toMatchObject({ completed: 0 });
    expect(held.started).toEqual(["a", "b", "c", "d"]);
    await worker.stop();
    await running;
    expect(await queueLockedBy()).toBe(null);
  });

  it("gives back what was not started when the worker stops, and frees its queue with the job that runs", async () => {
    const { held, worker, running } = await startChain({ shutdown: { gracePeriod: "20s" } });
    const stopping = worker.stop();
    await until(async () => (await unlocked()).length === 3);
    expect((await jobRows()).map((row) => [row.payload, row.attempts, row.locked_by])).toEqual([
      ["a", 1, worker.id],
      ["b", 0, null],
      ["c", 0, null],
      ["d", 0, null],
    ]);
    expect(await queueLockedBy()).toBe(worker.id);
    held.open("a");
    await stopping;
    await running;
    expect(await unlocked()).toEqual(["b", "c", "d"]);
    expect(await queueLockedBy()).toBe(null);
    expect(held.started).toEqual(["a"]);
  });

  it("of many jobs takes only a share of the batch when other queues wait", async () => {
    const held = createHeldTask("work");
    await using worker = await createTestWorker(database, {
      tasks: [held.task],
      concurrency: 3,
      localQueue: { size: 9 },
    });
    for (const queueName of ["one", "two", "three"]) {
      for (let index = 0; index < 20; index++) {
        await worker.client.addJob(held.task, `${queueName} ${index}`, { queueName });
      }
    }
    const running = worker.run();
    await until(() => held.running.size === 3);
    expect([...held.running].toSorted()).toEqual(["one 0", "three 0", "two 0"]);
    held.openAll();
    await until(async () => (await jobRows()).length === 0);
    await worker.stop();
    await running;
    for (const queueName of ["one", "two", "three"]) {
      expect(held.started.filter((name) => name.startsWith(`${queueName} `))).toEqual(
        Array.from({ length: 20 }, (_, index) => `${queueName} ${index}`),
      );
    }
  });
});
