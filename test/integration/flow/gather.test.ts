import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineGatherTask, defineTask, rateLimited, type GatherResult } from "../../../src/index.ts";
import type { GatheredJob } from "../../../src/job/execute/gather-context.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase } from "../../harness/database.ts";
import { emptyRules } from "../../harness/shape-queues.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker, record } from "../../harness/worker.ts";

// Calls that do several jobs of a queue, by workers as they are.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => emptyRules(database));

interface Push {
  readonly n: number;
}

type Answer = (jobs: GatheredJob<Push>[]) => GatherResult | Promise<GatherResult>;

/** A task that gathers, and its calls as the numbers in their payloads. */
function createPush(size = 10, answer: Answer = () => undefined) {
  const calls: number[][] = [];
  const task = defineGatherTask({
    identifier: "push",
    gather: { size },
    retry: { type: "fixed", delay: 0 },
    runMany(jobs: GatheredJob<Push>[]) {
      calls.push(jobs.map(({ payload }) => payload.n));
      return answer(jobs);
    },
  });
  return { task, calls };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** As many jobs, one after another, of queues in turn. */
const pushes = (count: number, ...queues: string[]) =>
  upTo(count).map((n) => ({
    identifier: "push",
    payload: { n },
    spec: { queueName: queues[n % queues.length] ?? "q" },
  }));

const lanes = () => database.sql("select owner_id, lane from howdah._howdah_lanes where locked_by is not null");
const locked = () =>
  database.sql(
    "select queue_name from howdah._private_job_queues where locked_by is not null and locked_by <> '_howdah_lanes'",
  );

describe.each<[string, Partial<WorkerOptions>]>([
  ["claims directly", {}],
  ["claims directly, and for one slot", { concurrency: 1 }],
  ["has a local queue", { localQueue: { size: 100 } }],
])("a worker that %s", (_how, options) => {
  it("does the jobs of a serial queue in calls, in their order, and frees it", async () => {
    const { task, calls } = createPush(10);
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4, ...options });
    await worker.client.addJobs(pushes(35, "q"));
    await worker.runOnce();
    expect(calls).toEqual([upTo(10), upTo(20).slice(10), upTo(30).slice(20), upTo(35).slice(30)]);
    expect(await locked()).toEqual([]);
  });

  it("keeps the jobs of several queues apart, and never has two calls of one at once", async () => {
    const running = new Map<string | null, number>();
    const most: number[] = [];
    const { task, calls } = createPush(5, async (jobs) => {
      const names = new Set(jobs.map(({ job }) => job.queueName));
      expect(names.size).toBe(1);
      const [name = null] = names;
      running.set(name, (running.get(name) ?? 0) + 1);
      most.push(running.get(name) ?? 0);
      await new Promise((resolve) => setImmediate(resolve));
      running.set(name, (running.get(name) ?? 0) - 1);
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4, ...options });
    await worker.client.addJobs(pushes(60, "a", "b", "c"));
    await worker.runOnce();
    expect(Math.max(...most)).toBe(1);
    for (const queue of [0, 1, 2]) {
      const done = calls.filter(([first]) => (first ?? 0) % 3 === queue).flat();
      expect(done).toEqual(upTo(60).filter((n) => n % 3 === queue));
    }
    expect(calls.length).toBeLessThan(24);
  });

  it("does those of another task by themselves, and overtakes none of them", async () => {
    const done: (number | number[])[] = [];
    const { task } = createPush(10, (jobs) => void done.push(jobs.map(({ payload }) => payload.n)));
    const other = defineTask({ identifier: "other", run: ({ n }: Push) => void done.push(n) });
    await using worker = await createTestWorker(database, { tasks: [task, other], concurrency: 4, ...options });
    const mixed = pushes(7, "q").map((job, n) => (n === 3 ? { ...job, identifier: "other" } : job));
    await worker.client.addJobs(mixed);
    await worker.runOnce();
    expect(done.slice(0, 2)).toEqual([[0, 1, 2], 3]);
    expect(done.flat()).toEqual(upTo(7));
    if (!options.localQueue) expect(done[2]).toEqual([4, 5, 6]);
  });

  it("runs one that has failed, or has to wait, again after those that were done with it", async () => {
    const { task, calls } = createPush(10, (jobs) =>
      jobs.map(({ payload: { n }, job }) => (n === 1 && job.attempts === 1 ? new Error("not yet") : undefined)),
    );
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4, ...options });
    const failed = record(worker.hooks, "jobFail");
    await worker.client.addJobs(pushes(4, "q"));
    await worker.runOnce();
    expect(calls).toEqual([[0, 1, 2, 3], [1]]);
    expect(failed.events.map(({ job }) => job.payload)).toEqual([{ n: 1 }]);
    expect(await locked()).toEqual([]);
  });

  it("takes one lane, of the queue and of its pool, and one token for a call", async () => {
    const gate = createGate();
    const { task, calls } = createPush(10, () => gate.opened);
    await using worker = await createTestWorker(database, { tasks: [task], ...options, concurrency: 8 });
    await worker.client.setQueuePool("all", { concurrency: 3 });
    await worker.client.setQueueRules("q*", {
      concurrency: 2,
      pool: "all",
      rate: { limit: 60, per: "1h", burst: 5 },
    });
    await worker.client.addJobs(pushes(80, "q1", "q2"));
    const running = worker.run();
    await until(() => calls.length === 3);
    // Two of one queue and one of the other: the pool has three lanes.
    expect(calls.map(({ length }) => length)).toEqual([10, 10, 10]);
    for (const call of calls) expect(new Set(call.map((n) => n % 2)).size).toBe(1);
    expect(await lanes()).toHaveLength(6);
    gate.open();
    // Five tokens of each queue, and 40 jobs of each.
    await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0);
    expect(calls).toHaveLength(8);
    await worker.stop();
    await running;
    expect(await lanes()).toEqual([]);
  });

  it("starts jobs of a queue without a limit with one token for a call", async () => {
    const { task, calls } = createPush(10);
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4, ...options });
    await worker.client.setQueueRules("q", { concurrency: "unlimited", rate: { limit: 1, per: "1h", burst: 3 } });
    await worker.client.addJobs(pushes(50, "q"));
    await worker.runOnce({ deadline: 3_000 });
    expect(calls.map(({ length }) => length)).toEqual([10, 10, 10]);
    expect(calls.flat().toSorted((a, b) => a - b)).toEqual(upTo(30));
  });

  it("keeps the order of a queue of one lane", async () => {
    const { task, calls } = createPush(4);
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4, ...options });
    await worker.client.setQueueRules("q", { concurrency: 1 });
    await worker.client.addJobs(pushes(11, "q"));
    await worker.runOnce();
    expect(calls.flat()).toEqual(upTo(11));
    expect(calls[0]).toEqual([0, 1, 2, 3]);
    expect(await lanes()).toEqual([]);
  });
});

describe("a call of a queue with rules", () => {
  it("parks the queue for all of it", async () => {
    const { task, calls } = createPush(4, () => rateLimited({ after: "1h" }));
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    await worker.client.setQueueRules("q", { concurrency: 1 });
    await worker.client.addJobs(pushes(8, "q"));
    await worker.runOnce();
    expect(calls).toEqual([[0, 1, 2, 3]]);
    const rows = await database.sql("select attempts, locked_by from howdah._private_jobs where run_at > now()");
    expect(rows).toEqual(Array(4).fill({ attempts: 0, locked_by: null }));
    expect(await lanes()).toEqual([]);
  });

  it("brings no more jobs than a worker may still run", async () => {
    const { task, calls } = createPush(10);
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 2 });
    await worker.client.addJobs(pushes(30, "a", "b"));
    const { ended } = await worker.runOnce({ maxJobs: 7 });
    expect([ended, calls.flat().length]).toEqual(["maxJobs", 7]);
    expect(await locked()).toEqual([]);
  });

  it("does not bring more bytes than a claim may", async () => {
    const { task, calls } = createPush(100);
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 2, maxClaimBytes: 10_000 });
    const filler = "x".repeat(1_000);
    await worker.client.addJobs(pushes(40, "q").map((job) => ({ ...job, payload: { ...job.payload, filler } })));
    await worker.runOnce();
    expect(calls.flat()).toEqual(upTo(40));
    expect(Math.max(...calls.map(({ length }) => length))).toBeLessThanOrEqual(9);
  });
});
