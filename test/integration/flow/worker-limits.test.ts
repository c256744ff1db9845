import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { beyondRate, HandlerIntervals } from "../../harness/handler-intervals.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
const workers: Worker[] = [];

beforeAll(async () => {
  database = await createDatabase();
});

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  await database.sql(`
    truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_lanes, howdah._howdah_buckets,
      howdah._howdah_rules, howdah._howdah_pools`);
});

afterAll(async () => {
  await database.drop();
});

/** A worker that runs until the test ends. */
async function start(options: WorkerOptions): Promise<Worker> {
  const worker = await createTestWorker(database, options);
  workers.push(worker);
  void worker.run();
  return worker;
}

const isDrained = async (): Promise<boolean> =>
  (await database.sql("select from howdah._private_jobs where attempts < max_attempts limit 1")).length === 0;
const lockedLanes = async (): Promise<number> => {
  const [row] = await database.sql(
    "select count(*)::integer as count from howdah._howdah_lanes where locked_at is not null",
  );
  return Number(row?.["count"]);
};

/** A task whose handlers take as many milliseconds as their payload says, and write down when they run. */
function createTimedTask(identifier = "timed") {
  const intervals = new HandlerIntervals();
  const claimedAts = new Map<string, number[]>();
  const task = defineTask({
    identifier,
    async run({ ms }: { ms: number }, { job }) {
      const key = job.queueName ?? "";
      claimedAts.set(key, [...(claimedAts.get(key) ?? []), Number(job.lockedAt)]);
      const interval = intervals.begin(key);
      await systemClock.sleep(ms);
      intervals.end(interval);
    },
  });
  return { task, intervals, claimedAts };
}

const MODES: readonly (readonly [string, Partial<WorkerOptions>])[] = [
  ["directly", {}],
  ["directly, with nothing read ahead", { readAhead: false }],
  ["with a local queue", { localQueue: { size: 20 } }],
  [
    "with two local queues, by polling",
    { localQueue: { size: 10, queueCount: 2 }, useNotificationDelivery: false, pollInterval: "50ms" },
  ],
];

describe.each(MODES)("queues with lanes in a pool, claimed %s", (_, options) => {
  it("never run more jobs at once than their lanes and those of the pool, and use them all", async () => {
    const { task, intervals } = createTimedTask();
    const all = { tasks: [task], concurrency: 6, ...options };
    const { client } = await start(all);
    await client.setQueuePool("shared", { concurrency: 5 });
    await client.setQueueRules("tenant:*", { concurrency: 3, pool: "shared" });
    await Promise.all([start(all), start(all)]);
    const jobs = Array.from({ length: 120 }, (_job, index) => ({
      task: "timed",
      payload: { ms: 5 + (index % 7) * 3 },
      spec: { queueName: `tenant:${index % 4}` },
    }));
    // Others, without a queue and in a serial one, go on beside them.
    const others = Array.from({ length: 60 }, (_job, index) => ({
      task: "timed",
      payload: { ms: 4 },
      spec: index % 2 === 0 ? { queueName: "serial" } : {},
    }));
    await client.addJobs([...jobs, ...others]);
    await until(isDrained, { deadlineMs: 30_000 });
    await until(async () => (await lockedLanes()) === 0);
    expect(intervals.all).toHaveLength(180);
    const tenants = intervals.keys.filter((key) => key.startsWith("tenant"));
    const most = tenants.map((tenant) => intervals.mostAtOnce(({ key }) => key === tenant));
    expect(Math.max(...most)).toBeLessThanOrEqual(3);
    expect(intervals.mostAtOnce(({ key }) => key.startsWith("tenant"))).toBe(5);
    expect(intervals.mostAtOnce(({ key }) => key === "serial")).toBe(1);
  }, 60_000);

  it("start no more jobs than their rate lets them, and as many", async () => {
    const { task, intervals, claimedAts } = createTimedTask();
    const all = { tasks: [task], concurrency: 4, ...options };
    const { client } = await start(all);
    await client.setQueueRules("api", { concurrency: "unlimited", rate: { limit: 50, per: "1s", burst: 5 } });
    await start(all);
    const startedAt = systemClock.monotonic();
    await client.addJobs(
      Array.from({ length: 80 }, () => ({ task: "timed", payload: { ms: 1 }, spec: { queueName: "api" } })),
    );
    await until(isDrained, { deadlineMs: 30_000 });
    const tookMs = systemClock.monotonic() - startedAt;
    expect(intervals.all).toHaveLength(80);
    // The times of claims are rounded to milliseconds.
    const beyond = beyondRate(claimedAts.get("api") ?? [], { limit: 50, perMs: 1_000, burst: 5 });
    expect(beyond).toBeLessThanOrEqual(0.1);
    // 75 tokens have to come back.

    expect(tookMs).toBeGreaterThanOrEqual(1_480);
    expect(tookMs).toBeLessThan(4_000);
  }, 60_000);
});

describe("a lane that is freed", () => {
  it("is taken again by the worker that has freed it, at once", async () => {
    const { task, intervals } = createTimedTask();
    const { client } = await start({ tasks: [task], concurrency: 4, pollInterval: "30s" });
    await client.setQueueRules("two", { concurrency: 2 });
    const startedAt = systemClock.monotonic();
    await client.addJobs(
      Array.from({ length: 40 }, () => ({ task: "timed", payload: { ms: 5 }, spec: { queueName: "two" } })),
    );
    await until(isDrained, { deadlineMs: 20_000 });
    expect(systemClock.monotonic() - startedAt).toBeLessThan(5_000);
    expect(intervals.mostAtOnce()).toBe(2);
  }, 30_000);

  it("is taken by another worker that is idle, within its poll interval", async () => {
    const [first, second] = [createHeldTask("first"), createHeldTask("second")];
    const { client } = await start({ tasks: [first.task], concurrency: 1, pollInterval: "500ms" });
    await start({ tasks: [second.task], concurrency: 4, pollInterval: "500ms" });
    await client.setQueueRules("one", { concurrency: 1 });
    await client.addJob("first", "a", { queueName: "one" });
    await until(() => first.running.has("a"));
    await client.addJob("second", "b", { queueName: "one" });
    await systemClock.sleep(700);
    expect(second.started).toEqual([]);
    first.open("a");
    const freedAt = systemClock.monotonic();
    await until(() => second.running.has("b"));
    expect(systemClock.monotonic() - freedAt).toBeLessThan(2_000);
    second.openAll();
  }, 30_000);

  it("is told others when the worker that has freed it has no slot left for it", async () => {
    const held = createHeldTask("held");
    // It holds one job of the queue, and has more of others than slots.
    const busy = await start({ tasks: [held.task], concurrency: 1, localQueue: { size: 10 } });
    const { client } = busy;
    await client.setQueueRules("one", { concurrency: 1 });
    await client.addJob("held", "a", { queueName: "one" });
    await until(() => held.running.has("a"));
    for (const name of ["x", "y"]) await client.addJob("held", name);
    await client.addJob("held", "b", { queueName: "one", priority: 5 });
    const idle = createHeldTask("held");
    await start({ tasks: [idle.task], concurrency: 1, pollInterval: "10s" });
    await until(() => idle.started.length > 0);
    // The other one takes one of x and y, then hears of the lane.
    held.open("a");
    idle.openAll();
    await until(() => idle.started.includes("b") || held.started.includes("b"), { deadlineMs: 5_000 });
    held.openAll();
    await until(isDrained);
  }, 30_000);

  it("is free as soon as a worker stops, whose jobs go back", async () => {
    const held = createHeldTask("held", (_, { signal }) => signal.throwIfAborted());
    const worker = await createTestWorker(database, {
      tasks: [held.task],
      concurrency: 3,
      shutdown: { gracePeriod: 0, abortPeriod: 0, interruptedJobRetryDelay: 0 },
    });
    const running = worker.run();
    await worker.client.setQueuePool("shared", { concurrency: 2 });
    await worker.client.setQueueRules("k", { concurrency: 3, pool: "shared" });
    for (const name of ["a", "b", "c"]) await worker.client.addJob("held", name, { queueName: "k" });
    await until(() => held.running.size === 2);
    expect(await lockedLanes()).toBe(4);
    held.openAll();
    await worker.stop();
    await running;
    expect(await lockedLanes()).toBe(0);
  }, 30_000);
});

describe("more lanes or fewer while jobs run", () => {
  it("count for all that starts from then on", async () => {
    const held = createHeldTask("held");
    const { client } = await start({ tasks: [held.task], concurrency: 10 });
    await client.setQueueRules("k", { concurrency: 5 });
    for (let job = 0; job < 12; job++) await client.addJob("held", `a${job}`, { queueName: "k" });
    await until(() => held.running.size === 5);
    await client.setQueueRules("k", { concurrency: 2 });
    // As many may run until they have ended, but no more than two of those that start from now on.
    const before = [...held.running];
    held.open(before[0] ?? "");
    await systemClock.sleep(200);
    expect(held.started.length).toBeLessThanOrEqual(7);
    for (const name of before) held.open(name);
    await until(() => held.running.size === 2 && held.started.length === 7);
    await systemClock.sleep(300);
    expect(held.started).toHaveLength(7);
    held.open([...held.running][0] ?? "");
    await until(() => held.started.length === 8);
    expect(held.running.size).toBe(2);
    await client.setQueueRules("k", { concurrency: "unlimited" });
    await until(() => held.started.length === 12);
    await client.setQueueRules("k", null);
    held.openAll();
    await until(isDrained);
    expect(await lockedLanes()).toBe(0);
  }, 30_000);
});

describe("a queue with rules", () => {
  it("starts nothing after its pause has returned, and goes on when that ends", async () => {
    const held = createHeldTask("held");
    const { client } = await start({ tasks: [held.task], concurrency: 4 });
    await client.setQueueRules("k", { concurrency: 2 });
    for (const name of ["a", "b", "c", "d"]) await client.addJob("held", name, { queueName: "k" });
    await until(() => held.running.size === 2);
    await client.pauseQueue("k");
    held.openAll();
    await until(() => held.running.size === 0);
    await systemClock.sleep(300);
    expect(held.started).toHaveLength(2);
    await client.resumeQueue("k");
    await until(isDrained);
  }, 30_000);

  it("has its turn beside one with an old backlog, and its share of the starts", async () => {
    const started: string[] = [];
    const task = defineTask({
      identifier: "named",
      run: (_payload: unknown, { job }) => void started.push(job.queueName ?? ""),
    });
    const worker = await createTestWorker(database, { tasks: [task], concurrency: 1 });
    workers.push(worker);
    await worker.client.setQueueRules("tenant:*", { concurrency: 5 });
    await worker.client.setQueueRules("tenant:big", { concurrency: 5, share: 3 });
    for (const queueName of ["tenant:old", "tenant:new", "tenant:big"]) {
      await worker.client.addJobs(Array.from({ length: 20 }, () => ({ task: "named", spec: { queueName } })));
    }
    void worker.run();
    await until(isDrained);
    // By age the old one would have had all of them.
    const first = started.slice(0, 25);
    const countOf = (queue: string): number => first.filter((name) => name === queue).length;
    expect(countOf("tenant:old")).toBeLessThanOrEqual(7);
    expect(countOf("tenant:new")).toBeGreaterThanOrEqual(4);
    expect(countOf("tenant:big")).toBeGreaterThanOrEqual(12);
  }, 30_000);

  it("starts its jobs by priority, and tries those again that fail", async () => {
    const started: string[] = [];
    const task = defineTask({
      identifier: "named",
      retry: { type: "fixed", delay: 0 },
      async run({ name, fails = 0 }: { name: string; fails?: number }, { job }) {
        started.push(`${name} ${job.attempts}`);
        await systemClock.sleep(5);
        if (job.attempts <= fails) throw new Error("as told");
      },
    });
    const worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    workers.push(worker);
    await worker.client.setQueueRules("k", { concurrency: 1 });
    await worker.client.addJob("named", { name: "late" }, { queueName: "k", priority: 5 });
    await worker.client.addJob("named", { name: "failing", fails: 1 }, { queueName: "k", priority: 1 });
    await worker.client.addJob("named", { name: "urgent" }, { queueName: "k", priority: -5 });
    void worker.run();
    await until(isDrained);
    expect(started).toEqual(["urgent 1", "failing 1", "failing 2", "late 1"]);
    expect(await lockedLanes()).toBe(0);
  }, 30_000);
});
