import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { databaseTime } from "../../harness/database-time.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker, type Gate } from "../../harness/worker.ts";

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

/** A task whose jobs run until their gate is opened, and which remembers who runs. */
function createHeldTask(identifier: string) {
  const gates = new Map<string, Gate>();
  const started: string[] = [];
  const running = new Set<string>();
  let most = 0;
  const gateOf = (name: string): Gate => {
    const gate = gates.get(name) ?? createGate();
    gates.set(name, gate);
    return gate;
  };
  const task = defineTask({
    identifier,
    async run(name: string) {
      started.push(name);
      running.add(name);
      most = Math.max(most, running.size);
      await gateOf(name).opened;
      running.delete(name);
    },
  });
  return {
    task,
    started,
    running,
    open: (name: string) => gateOf(name).open(),
    get most() {
      return most;
    },
  };
}

const ids = ["1", "2", "3", "4", "5"];

describe("different queues", () => {
  it("run at once: five jobs in five queues with concurrency 10 are all in progress", async () => {
    const held = createHeldTask("sync");
    await using worker = await createTestWorker(database, { tasks: [held.task], concurrency: 10 });
    for (const id of ids) await worker.client.addJob(held.task, id, { queueName: `queue ${id}` });
    const running = worker.run();

    await until(() => held.running.size === 5);
    const locked = (await worker.client.listQueues()).queues;
    expect(locked).toHaveLength(5);
    for (const queue of locked) {
      expect(queue).toMatchObject({ jobCount: { value: 1 }, lockedBy: worker.id });
      expect(queue.lockedAt).toBeInstanceOf(Date);
    }

    for (const id of ids) held.open(id);
    await until(async () => (await database.sql("select from howdah.jobs")).length === 0);
    await worker.stop();
    await running;
  });
});

describe("one queue", () => {
  it("runs one job at a time, in order, also across three workers", async () => {
    const running = new Set<string>();
    const order: string[] = [];
    let most = 0;
    const task = defineTask({
      identifier: "serial",
      async run(id: string, { query }) {
        running.add(id);
        most = Math.max(most, running.size);
        order.push(id);
        await query("select pg_catalog.pg_sleep(0.01)");
        running.delete(id);
      },
    });
    const workers = await Promise.all(
      [1, 2, 3].map(() => createTestWorker(database, { tasks: [task], concurrency: 4, pollInterval: 100 })),
    );
    const names = Array.from({ length: 20 }, (_, index) => String(index));
    for (const id of names) await workers[0]?.client.addJob(task, id, { queueName: "serial" });
    const runs = workers.map((worker) => worker.run());
    await until(() => order.length === names.length);
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(runs);

    expect(most).toBe(1);
    expect(order).toEqual(names);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });

  it("is locked in the database while its job runs, and free afterwards", async () => {
    const held = createHeldTask("export");
    await using worker = await createTestWorker(database, { tasks: [held.task], concurrency: 2 });
    await worker.client.addJob(held.task, "first", { queueName: "exports" });
    await worker.client.addJob(held.task, "second", { queueName: "exports" });
    const before = await databaseTime(database);
    const run = worker.runOnce();

    await until(() => held.running.has("first"));
    const [queue] = (await worker.client.listQueues()).queues;
    expect(queue).toMatchObject({ name: "exports", jobCount: { value: 2 }, lockedBy: worker.id });
    expect(queue?.lockedAt?.getTime()).toBeGreaterThanOrEqual(before);
    expect(queue?.lockedAt?.getTime()).toBeLessThanOrEqual(await databaseTime(database));
    const [job] = await database.sql("select attempts, locked_by from howdah.jobs where locked_at is not null");
    expect(job).toEqual({ attempts: 1, locked_by: worker.id });

    held.open("first");
    held.open("second");
    expect(await run).toMatchObject({ completed: 2, ended: "drained" });
    expect((await worker.client.listQueues()).queues).toMatchObject([
      { name: "exports", jobCount: { value: 0 }, readyCount: { value: 0 }, lockedAt: null, lockedBy: null },
    ]);
  });

  it("may be shared by different tasks, which then take turns", async () => {
    const charge = createHeldTask("charge");
    const refund = createHeldTask("refund");
    await using worker = await createTestWorker(database, { tasks: [charge.task, refund.task], concurrency: 4 });
    await worker.client.addJob(charge.task, "a", { queueName: "account 1" });
    await worker.client.addJob(refund.task, "b", { queueName: "account 1" });
    await worker.client.addJob(refund.task, "c", { queueName: "account 2" });
    const run = worker.runOnce();

    await until(() => charge.running.has("a") && refund.running.has("c"));
    expect(refund.started).toEqual(["c"]);
    charge.open("a");
    await until(() => refund.started.includes("b"));
    refund.open("b");
    refund.open("c");
    expect(await run).toMatchObject({ completed: 3 });
  });
});

describe("no queue", () => {
  it("is never serial: as many jobs of one task run as there are slots", async () => {
    const held = createHeldTask("mail");
    await using worker = await createTestWorker(database, { tasks: [held.task], concurrency: 3 });
    for (const id of ids) await worker.client.addJob(held.task, id);
    const run = worker.runOnce();

    await until(() => held.running.size === 3);
    expect(await database.sql("select from howdah.jobs where locked_at is not null")).toHaveLength(3);
    for (const id of ids) held.open(id);
    expect(await run).toMatchObject({ completed: 5 });
    expect(held.most).toBe(3);
  });
});

describe("concurrency", () => {
  it("1 runs one job after another and ends after the last", async () => {
    const held = createHeldTask("one");
    await using worker = await createTestWorker(database, { tasks: [held.task], concurrency: 1 });
    for (const id of ids) await worker.client.addJob(held.task, id);
    for (const id of ids) held.open(id);

    expect(await worker.runOnce()).toEqual({ completed: 5, failed: 0, snoozed: 0, ended: "drained" });
    expect(held.most).toBe(1);
    expect(held.started).toEqual(ids);
  });

  it.each([0, -1, 1.5, Number.NaN, "4"])("%s is an error", async (concurrency) => {
    const { task } = createHeldTask("none");
    await expect(createTestWorker(database, { tasks: [task], concurrency: concurrency as number })).rejects.toThrow(
      /Worker option `concurrency` must be/,
    );
  });
});
