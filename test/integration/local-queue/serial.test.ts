import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { startNode, type TestProcess } from "../../harness/process.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
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

/** What `serial-worker.mjs` tells. */
type Told =
  | {
      readonly kind: "ran";
      readonly id: string;
      readonly queue: string;
      readonly index: number;
      readonly attempt: number;
      readonly failed: boolean;
      /** Microseconds by the machine's monotonic clock, which all its processes share. */
      readonly start: number;
      readonly end: number;
    }
  | { readonly kind: "completed" | "refused"; readonly id: string }
  | { readonly kind: "returned"; readonly count: number }
  | { readonly kind: "mode"; readonly newMode: string }
  | { readonly kind: "error"; readonly activity: string; readonly message: string }
  | { readonly kind: "started" | "stopped" };

type Ran = Extract<Told, { kind: "ran" }>;

const toldBy = (process: TestProcess): Told[] => process.lines.map((line) => JSON.parse(line) as Told);

function toldOf<Kind extends Told["kind"]>(told: readonly Told[], kind: Kind): Extract<Told, { kind: Kind }>[] {
  return told.filter((one): one is Extract<Told, { kind: Kind }> => one.kind === kind);
}

const startWorker = (options: object): Promise<TestProcess> =>
  startNode(new URL("../fixtures/serial-worker.mjs", import.meta.url), {
    args: [JSON.stringify({ connectionString: database.connectionString, ...options })],
  });

/** Numbers from 0 to 1 that look random and are the same in each run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

/** Adds `perQueue` jobs to each of N queues, taking turns. */
async function addJobs(queueCount: number, perQueue: number): Promise<string[]> {
  const random = createRandom(42);
  await using client = await createClient({ connectionString: database.connectionString, migrate: false });
  const jobs = Array.from({ length: queueCount * perQueue }, (_, position) => {
    const queue = `queue ${position % queueCount}`;
    const isStubborn = random() < 0.01;
    const payload = {
      queue,
      index: Math.floor(position / queueCount),
      ms: Math.floor(random() * 4),
      failures: random() < 0.05 ? 1 : 0,
      stubbornMs: isStubborn ? 60 : 0,
    };
    return { identifier: isStubborn ? "stubborn" : "serial", payload, spec: { queueName: queue } };
  });
  return (await client.addJobs(jobs)).map(({ id }) => id);
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** Two runs of one queue of which the second began before the first had ended. */
function overlaps(runs: readonly Ran[]): string[] {
  const found: string[] = [];
  for (const inQueue of groupBy(runs, ({ queue }) => queue).values()) {
    const sorted = inQueue.toSorted((a, b) => a.start - b.start);
    for (const [position, run] of sorted.entries()) {
      const before = sorted[position - 1];
      if (before && run.start < before.end) found.push(`${run.queue}: ${before.index} and ${run.index}`);
    }
  }
  return found;
}

/** The order in which jobs that ran only once began, per queue, where it is not that in which they were added. */
function disorders(runs: readonly Ran[]): string[] {
  const attempts = groupBy(runs, ({ id }) => id);
  const steady = runs.filter(({ id }) => attempts.get(id)?.length === 1);
  return [...groupBy(steady, ({ queue }) => queue)].flatMap(([queue, inQueue]) => {
    const order = inQueue.toSorted((a, b) => a.start - b.start).map(({ index }) => index);
    return order.every((index, position) => index > (order[position - 1] ?? -1))
      ? []
      : [`${queue}: ${order.join(" ")}`];
  });
}

describe("a named queue", () => {
  it("never runs two jobs at once across processes, whatever they are made to do, and every job completes once", async () => {
    const ids = await addJobs(100, 40);
    const local = {
      concurrency: 6,
      localQueue: { size: 12, queueCount: 4, ttl: 15 },
      shutdown: { gracePeriod: "10s", abortPeriod: 5 },
    };
    const workers = await Promise.all([
      ...[1, 2, 3, 4].map(() => startWorker(local)),
      startWorker({ ...local, localQueue: false }),
    ]);
    const first = workers[0];
    await until(() => toldOf(toldBy(first), "completed").length > 100, { deadlineMs: 30_000 });
    first.kill("SIGTERM");
    await first.line('"stopped"', 30_000);
    await until(async () => (await database.sql("select from howdah._private_jobs limit 1")).length === 0, {
      deadlineMs: 60_000,
      message: "all jobs to complete",
    });
    for (const worker of workers.slice(1)) worker.kill("SIGTERM");
    await Promise.all(workers.map((worker) => worker.line('"stopped"', 30_000)));
    const told = workers.flatMap(toldBy);
    const runs = toldOf(told, "ran");

    expect(overlaps(runs)).toEqual([]);
    expect(disorders(runs)).toEqual([]);
    const completed = toldOf(told, "completed").map(({ id }) => id);
    expect(completed).toHaveLength(ids.length);
    expect(new Set(completed)).toEqual(new Set(ids));
    expect(toldOf(told, "error")).toEqual([]);
    expect(toldOf(told, "refused")).toEqual([]);
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
    // All of it was really done: jobs that waited too long, that failed, and handlers that ignored their signal.
    expect(toldOf(told, "returned").length).toBeGreaterThan(0);
    expect(toldOf(told, "mode").filter(({ newMode }) => newMode === "ttlExpired").length).toBeGreaterThan(0);
    expect(runs.filter(({ failed }) => failed).length).toBeGreaterThan(100);
    expect(runs.filter(({ end, start }) => end - start > 50_000).length).toBeGreaterThan(10);
  }, 120_000);
});

describe("an operator who unlocks a living worker", () => {
  it("gives its jobs to others: what it still does with them is refused and reported, and no job is lost", async () => {
    const names = ["a", "b", "c", "d"];
    const slow = createHeldTask("work");
    const logger = createRecordingLogger();
    const clock = createShiftedClock();
    await using living = await createTestWorker(database, {
      tasks: [slow.task],
      concurrency: 1,
      localQueue: { size: 10 },
      logger,
      clock,
    });
    const refusals = record(living.hooks, "jobReleaseRefused");
    const completions = record(living.hooks, "jobComplete");
    const running = living.run();
    // When its session begins to listen a worker asks about all that it holds, so it gets its jobs after that.
    await until(async () => (await living.client.listActiveWorkers()).some(({ session }) => session === "held"));
    // As long as something is cached, it fetches nothing, so what is unlocked is left to others.
    await living.client.addJobs([
      ...names.map((name) => ({ task: slow.task, payload: name, spec: { queueName: "shared" } })),
      { task: slow.task, payload: "cached", spec: { priority: 10 } },
    ]);
    await until(() => slow.running.has("a"));

    await living.client.forceUnlockWorkers([living.id]);
    const quick = createHeldTask("work");
    quick.openAll();
    await using other = await createTestWorker(database, { tasks: [quick.task] });
    const completedElsewhere = record(other.hooks, "jobComplete");
    expect(await other.runOnce()).toMatchObject({ completed: 5, ended: "drained" });
    expect(quick.started.filter((name) => name !== "cached")).toEqual(names);

    // This worker is not notified that the rest is no longer its own. After so long it gives it back, or asks.
    clock.skip(1_000);
    slow.openAll();
    await refusals.reach(4);
    await living.stop();
    await running;
    expect(new Set(refusals.events.map(({ job }) => job.payload))).toEqual(new Set(names));
    expect(logger.messages("warn").filter((message) => message.includes("refused"))).toHaveLength(4);
    expect(slow.started).toEqual(["a"]);
    expect(completions.events).toEqual([]);
    expect(completedElsewhere.events).toHaveLength(5);
    expect(await database.sql("select from howdah._private_jobs")).toEqual([]);
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
  });

  it("takes no lock from those who hold the queue since", async () => {
    const slow = createHeldTask("work");
    const later = createHeldTask("work");
    const clock = createShiftedClock();
    await using living = await createTestWorker(database, {
      tasks: [slow.task],
      concurrency: 1,
      localQueue: { size: 10 },
      clock,
    });
    const refusals = record(living.hooks, "jobReleaseRefused");
    for (const name of ["a", "b"]) await living.client.addJob(slow.task, name, { queueName: "shared" });
    await living.client.addJob(slow.task, "cached", { priority: 10 });
    const running = living.run();
    await until(() => slow.running.has("a"));
    await living.client.forceUnlockWorkers([living.id]);
    await using other = await createTestWorker(database, { tasks: [later.task], localQueue: { size: 10 } });
    const runningLater = other.run();
    await until(() => later.running.has("a"));
    clock.skip(1_000);
    slow.openAll();
    await refusals.reach(2);
    await living.stop();
    await running;
    const queues = (await other.client.listQueues()).queues;
    expect(queues).toMatchObject([{ name: "shared", jobCount: { value: 2 }, lockedBy: other.id }]);
    expect([...later.running]).toContain("a");
    expect(later.started).not.toContain("b");
    later.openAll();
    await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0);
    await other.stop();
    await runningLater;
    expect(later.started.filter((name) => name !== "cached")).toEqual(["a", "b"]);
  });
});
