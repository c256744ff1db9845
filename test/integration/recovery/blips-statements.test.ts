import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { type CatchPoint, openProxy, type Proxy } from "../../harness/proxy.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

// Connections that end in the middle of a statement: before the server has seen
// it, when its answer is on the way, or so that it arrives although its client
// is gone.
const database = await createDatabase();
const proxy = await openProxy(database.connectionString);
afterAll(async () => {
  await proxy.close();
  await database.drop();
});
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

const { connectionString } = proxy;
const CLAIM = "_howdah_claim";
const RELEASE = "_howdah_release";
const ADD = /_howdah_add|_howdah_insert|add_job/;

/** When the connection ends, in words and for the proxy. */
type End = [words: string, at: CatchPoint, how: "cut" | "cutClient"];

const ENDS: End[] = [
  ["before the server has seen it", "before", "cut"],
  ["and it arrives later", "before", "cutClient"],
  ["after the commit", "after", "cut"],
];

/** Ends the connection of the next statement with this text. */
async function breakNext(through: Proxy, text: string | RegExp, [, at, how]: End): Promise<void> {
  (await through.next(text, at))[how]();
}

/** Nothing is stored any more, and nothing is locked. */
async function everythingDone(): Promise<void> {
  await until(async () => (await database.sql("select from howdah._private_jobs")).length === 0, {
    message: "all jobs to be done",
  });
  await until(
    async () => (await database.sql("select from howdah._private_job_queues where locked_at is not null")).length === 0,
    { message: "all queues to be free" },
  );
}

/** A task that counts its runs; the first one of a job may fail. */
function createCounter(failsFirst = false) {
  const runs = new Map<string, number>();
  const task = defineTask({
    identifier: "job",
    retry: { type: "fixed", delay: 10 },
    run(_: unknown, { job }) {
      runs.set(job.id, (runs.get(job.id) ?? 0) + 1);
      if (failsFirst && job.attempts === 1) throw new Error("the first time");
    },
  });
  return { task, runs: () => [...runs.values()].toSorted((a, b) => a - b) };
}

const SOURCES = [
  ["directly", {}],
  ["with a local queue", { localQueue: { size: 10 } }],
] as const;

describe.each(SOURCES)("a worker that claims %s", (_, source) => {
  describe.each(ENDS)("and whose connection ends in the middle of a release, %s", (...end) => {
    it.each([
      ["completes its jobs once, and says so once", false],
      ["counts a failure once", true],
    ])("%s", async (_title, failsFirst) => {
      const { task, runs } = createCounter(failsFirst);
      await using worker = await createTestWorker(database, {
        tasks: [task],
        connectionString,
        pollInterval: "100ms",
        ...source,
      });
      const completed = record(worker.hooks, "jobComplete");
      const failed = record(worker.hooks, "jobFail");
      const refused = record(worker.hooks, "jobReleaseRefused");
      const errors = record(worker.hooks, "workerError");
      await worker.client.addJobs([1, 2, 3].map((n) => ({ task, spec: n > 1 ? { queueName: "q" } : {} })));
      const breaking = breakNext(proxy, RELEASE, end);
      const running = worker.run();
      await breaking;
      await everythingDone();
      await completed.reach(3);
      await worker.stop();
      await running;
      expect(runs()).toEqual(failsFirst ? [2, 2, 2] : [1, 1, 1]);
      expect([completed.events.length, failed.events.length]).toEqual([3, failsFirst ? 3 : 0]);
      expect(refused.events).toEqual([]);
      expect(errors.events.map(({ activity }) => activity)).toEqual(["release jobs"]);
    });
  });

  it.each(ENDS)("and whose connection ends in the middle of a claim, %s, runs every job once", async (...end) => {
    const clock = createShiftedClock();
    const { task, runs } = createCounter();
    await using worker = await createTestWorker(database, { tasks: [task], connectionString, clock, ...source });
    const firstId = worker.id;
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs([1, 2, 3].map((n) => ({ task, spec: n > 1 ? { queueName: "q" } : {} })));
    const breaking = breakNext(proxy, CLAIM, end);
    const running = worker.run();
    await breaking;
    await until(() => worker.id !== firstId, { message: "another id" });
    // What the lost claim has locked is given back when it is certain that it is over.
    await until(
      () => {
        clock.skip(1_000);
        return runs().length === 3;
      },
      { message: "all jobs to run" },
    );
    await everythingDone();
    await worker.stop();
    await running;
    expect(runs()).toEqual([1, 1, 1]);
    expect(errors.events.map(({ activity }) => activity)).toContain("claim jobs");
  });
});

it.each(ENDS)(
  "runOnce, when its connection ends in the middle of a claim, %s, runs every job in the end",
  async (...end) => {
    const clock = createShiftedClock();
    const { task, runs } = createCounter();
    await using worker = await createTestWorker(database, { tasks: [task], connectionString, clock });
    await worker.client.addJobs([1, 2, 3].map((n) => ({ task, spec: n > 1 ? { queueName: "q" } : {} })));
    const breaking = breakNext(proxy, CLAIM, end);
    const first = worker.runOnce();
    await breaking;
    await first;
    await until(
      async () => {
        clock.skip(5_000);
        await worker.runOnce();
        return runs().length === 3;
      },
      { message: "all jobs to run" },
    );
    await everythingDone();
    expect(runs()).toEqual([1, 1, 1]);
  },
);

describe.each(ENDS)("a worker that is stopped and whose connection ends while it gives jobs back, %s", (...end) => {
  it("has given them back with all their attempts", async () => {
    const { task } = createCounter();
    const held = defineTask({ identifier: "held", run: (_: unknown, { signal }) => untilAborted(signal) });
    const worker = await createTestWorker(database, {
      tasks: [task, held],
      connectionString,
      concurrency: 1,
      localQueue: { size: 10 },
      shutdown: { gracePeriod: "300ms", abortPeriod: "1s" },
    });
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJob(held, {}, { priority: -1 });
    await worker.client.addJobs([1, 2, 3].map((n) => ({ task, spec: n > 1 ? { queueName: "q" } : {} })));
    const running = worker.run();
    await started.reach();
    const cached = "select from howdah._private_jobs where locked_by is not null";
    await until(async () => (await database.sql(cached)).length === 4);
    const breaking = breakNext(proxy, RELEASE, end);
    const stopping = worker.stop();
    await breaking;
    await stopping;
    await running;
    const jobs = await database.sql("select attempts, locked_by from howdah._private_jobs");
    expect(jobs).toEqual(Array.from({ length: 4 }, () => ({ attempts: 0, locked_by: null })));
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
  });
});

it.each(ENDS)(
  "a worker whose connection ends in the middle of a heartbeat, %s, lives on under its id",
  async (...end) => {
    const { task } = createCounter();
    const recovery = { heartbeatInterval: "50ms" } as const;
    await using worker = await createTestWorker(database, { tasks: [task], connectionString, recovery });
    const { id } = worker;
    const completed = record(worker.hooks, "jobComplete");
    const errors = record(worker.hooks, "workerError");
    const beat = /update[^]*_private_workers/;
    const beats = (): number => proxy.statements.filter((text) => beat.test(text)).length;
    const breaking = breakNext(proxy, beat, end);
    const running = worker.run();
    await breaking;
    const before = beats();
    await until(() => beats() > before + 3, { message: "further heartbeats" });
    await worker.client.addJob(task);
    await completed.reach();
    expect(worker.id).toBe(id);
    await worker.stop();
    await running;
    const activities = errors.events.map(({ activity }) => activity);
    expect(activities).toEqual([...new Set(activities)]);
  },
);

it.each(ENDS)(
  "a handler whose commit loses its connection, %s, has its effect once, and its job ends once",
  async (...end) => {
    await database.sql("create table if not exists public.effects (job bigint)");
    await database.sql("truncate public.effects");
    const task = defineTask({
      identifier: "job",
      retry: { type: "fixed", delay: 10 },
      run: (_: unknown, context) =>
        context.withTransaction(async (transaction) => {
          await transaction.query({ text: "insert into public.effects values ($1)", values: [context.job.id] });
          await context.complete(transaction);
        }),
    });
    await using worker = await createTestWorker(database, { tasks: [task], connectionString, pollInterval: "100ms" });
    const completed = record(worker.hooks, "jobComplete");
    const refused = record(worker.hooks, "jobReleaseRefused");
    const { id } = await worker.client.addJob(task, {}, { queueName: "q" });
    const breaking = breakNext(proxy, /^commit$/, end);
    const running = worker.run();
    await breaking;
    await everythingDone();
    await completed.reach();
    await worker.stop();
    await running;
    expect(await database.sql("select job from public.effects")).toEqual([{ job: id }]);
    expect([completed.events.length, refused.events.length]).toEqual([1, 0]);
  },
);

describe.each(ENDS)("a worker whose connection ends while it is created, %s", (...end) => {
  it.each(["_howdah_migrations", "_private_tasks"])("comes about all the same (%s)", async (text) => {
    const { task } = createCounter();
    const breaking = breakNext(proxy, text, end);
    await using worker = await createTestWorker(database, { tasks: [task], connectionString });
    await breaking;
    await worker.client.addJob(task);
    expect(await worker.runOnce()).toMatchObject({ completed: 1 });
  });
});

describe.each(ENDS)("a client whose connection ends in the middle of an add, %s", (...end) => {
  it("is told so, and repeats it safely with a key", async () => {
    const client = await createClient({ connectionString, migrate: false, logger: silentLogger });
    const add = () => client.addJob("t", {}, { jobKey: "k", runAt: new Date(Date.UTC(2100, 0)) });
    const breaking = breakNext(proxy, ADD, end);
    const adding = add();
    await breaking;
    await expect(adding).rejects.toMatchObject({ code: "HOWDAH_CONNECTION_LOST" });
    const stored = async () => (await database.sql("select revision from howdah._private_jobs")).length;
    if (end[2] === "cutClient") await until(async () => (await stored()) === 1);
    expect(await stored()).toBe(end[1] === "before" && end[2] === "cut" ? 0 : 1);
    await add();
    expect(await stored()).toBe(1);
    await client.close();
  });
});

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
