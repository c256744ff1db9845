import pg from "pg";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { createShiftedClock, type ShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker, record } from "../../harness/worker.ts";

// A network, a pool and a clock that let a worker down.
const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

const task = defineTask({ identifier: "job", run: () => undefined });

async function jobsLeft(): Promise<number> {
  return (await database.sql("select from howdah._private_jobs")).length;
}

/** Waits for the last job while the worker's time goes faster: a lost claim is looked after when it is certain to be over. */
async function drained(clock: ShiftedClock, stepMs = 2_000): Promise<void> {
  await until(
    async () => {
      if ((await jobsLeft()) === 0) return true;
      clock.skip(stepMs);
      return false;
    },
    { message: "the last job to be done", deadlineMs: 20_000 },
  );
}

function names(count: number): { task: string; payload: number; spec: object }[] {
  return Array.from({ length: count }, (_, n) => ({
    task: "job",
    payload: n,
    spec: n % 2 ? { queueName: `q${n % 5}` } : {},
  }));
}

/** A task that keeps what it was run for. */
function createLedger() {
  const runs: number[] = [];
  const ledger = defineTask({ identifier: "job", run: (n: number) => void runs.push(n) });
  return {
    task: ledger,
    runs: () => runs.toSorted((a, b) => a - b),
    expected: (count: number) => [...Array(count).keys()],
  };
}

describe.each([
  ["directly", {}],
  ["with a local queue", { localQueue: { size: 20 } }],
] as const)("a worker that claims %s", (_, source) => {
  it.each([1, 40, 300, 900, 2_500, 6_000])(
    "runs each job once when its connections end after %i bytes, up and down",
    async (bytes) => {
      await using proxy = await openProxy(database.connectionString);
      const clock = createShiftedClock();
      const { task: counted, runs, expected } = createLedger();
      const { connectionString } = proxy;
      await using worker = await createTestWorker(database, { tasks: [counted], connectionString, clock, ...source });
      await worker.client.addJobs(names(40));
      const running = worker.run();
      for (const direction of ["down", "up"] as const) {
        const before = proxy.ended;
        proxy.cutAfter(direction, bytes);
        await until(async () => proxy.ended > before || (await jobsLeft()) === 0);
        proxy.allow();
      }
      await drained(clock);
      await worker.stop();
      await running;
      expect(runs()).toEqual(expected(40));
    },
  );
});

describe("a server that goes silent", () => {
  it("is noticed: the worker connects and listens again, runs what was added meanwhile, and complains once of each", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { connectionString } = proxy;
    const clock = createShiftedClock();
    await using worker = await createTestWorker(database, {
      tasks: [task],
      connectionString,
      clock,
      connectTimeout: "2s",
      statementTimeout: "1s",
      pollInterval: "1h",
    });
    const completed = record(worker.hooks, "jobComplete");
    const errors = record(worker.hooks, "workerError");
    const running = worker.run();
    await worker.client.addJob(task);
    await completed.reach();
    proxy.hold();
    await database.sql("select howdah.add_job('job')");
    // The listener asks for a sign of life now and then, and gives up when there is none.
    const listening = "listen for new jobs, and polls for them";
    await until(() => {
      clock.skip(1_000);
      return errors.events.some(({ activity }) => activity === listening);
    });
    for (let rounds = 0; rounds < 30; rounds++) {
      clock.skip(2_000);
      await clock.sleep(5);
    }
    proxy.allow();
    // In small steps: a slow machine, too, has to answer before the timeouts above are over.
    await drained(clock, 250);
    // It listens again: no worker polls for an hour.
    await until(() => {
      clock.skip(250);
      return proxy.statements.filter((text) => text.startsWith("listen")).length > 1;
    });
    await database.sql("select howdah.add_job('job')");
    await drained(clock, 250);
    await worker.stop();
    await running;
    const times = new Map<string, number>();
    for (const { activity } of errors.events) times.set(activity, (times.get(activity) ?? 0) + 1);
    expect(times.get(listening)).toBe(1);
    expect([...times.values()].every((count) => count <= 2)).toBe(true);
  }, 60_000);

  it("right after it took a connection costs no place in the pool", async () => {
    await using proxy = await openProxy(database.connectionString);
    const clock = createShiftedClock();
    const { connectionString } = proxy;
    const driver = pgDriver({ connectionString, maxConnections: 1, connectTimeout: "2s", clock });
    const catching = proxy.next("default_transaction_isolation", "before");
    const asking = driver.query({ text: "select 1" });
    await catching;
    clock.skip(3_000);
    await expect(asking).rejects.toMatchObject({ code: "HOWDAH_DATABASE_UNREACHABLE" });
    expect(await driver.query({ text: "select 1" })).toMatchObject({ rows: [["1"]] });
    await driver.close();
  });

  it("right after it took a connection to listen on is tried again", async () => {
    await using proxy = await openProxy(database.connectionString);
    const clock = createShiftedClock();
    const { connectionString } = proxy;
    await using worker = await createTestWorker(database, {
      tasks: [task],
      connectionString,
      clock,
      connectTimeout: "2s",
    });
    const running = worker.run();
    await until(() => proxy.statements.some((text) => text.startsWith("listen")));
    // The listener reconnects first: nothing else is under way.
    const catching = proxy.next("default_transaction_isolation", "before");
    proxy.cut();
    await catching;
    await until(
      () => {
        clock.skip(1_000);
        return proxy.statements.filter((text) => text.startsWith("listen")).length > 1;
      },
      { message: "the worker to listen again" },
    );
    await worker.stop();
    await running;
  });
});

describe("a pool of the application that is used up", () => {
  it("is waited for; the worker says so once, and goes on when there is room", async () => {
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 3 });
    const { task: counted, runs, expected } = createLedger();
    const worker = await createTestWorker(database, {
      tasks: [counted],
      pool,
      connectTimeout: "1s",
      pollInterval: "50ms",
    });
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(names(10));
    const taken = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
    const running = worker.run();
    await until(() => errors.events.some(({ activity }) => activity === "claim jobs"));
    expect(runs()).toEqual([]);
    for (const client of taken) client.release();
    await until(async () => (await jobsLeft()) === 0);
    await worker.stop();
    await running;
    await pool.end();
    expect(runs()).toEqual(expected(10));
    expect(errors.events.filter(({ activity }) => activity === "claim jobs")).toHaveLength(1);
  });

  it("with a query_timeout of its own loses no job to a claim that it gave up", async () => {
    const blocker = await database.connect();
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 5, query_timeout: 1_000 });
    pool.on("error", () => {});
    const clock = createShiftedClock();
    const { task: counted, runs, expected } = createLedger();
    const worker = await createTestWorker(database, { tasks: [counted], pool, clock, useNotificationDelivery: false });
    const firstId = worker.id;
    await worker.client.addJobs(names(4));
    await blocker.query("begin; lock table howdah._private_jobs in access exclusive mode");
    const running = worker.run();
    await until(() => worker.id !== firstId, { message: "another id" });
    await blocker.query("commit");
    await drained(clock);
    await worker.stop();
    await running;
    await pool.end();
    expect(runs()).toEqual(expected(4));
  });
});

describe("a machine's clock that is set", () => {
  it.each([
    ["forward", 86_400_000],
    ["back", -86_400_000],
  ])("%s by a day changes nothing: what is due runs, what is not waits", async (_, ms) => {
    const clock = createShiftedClock();
    const gate = createGate();
    const held = defineTask({ identifier: "held", timeout: "1h", run: () => gate.opened });
    await using worker = await createTestWorker(database, { tasks: [task, held], clock, pollInterval: "50ms" });
    const started = record(worker.hooks, "jobStart");
    const completed = record(worker.hooks, "jobComplete");
    const failed = record(worker.hooks, "jobFail");
    const errors = record(worker.hooks, "workerError");
    const running = worker.run();
    await worker.client.addJob(held, {}, { queueName: "q" });
    await started.reach();
    await database.sql("select howdah.add_job('job', run_at => now() + interval '1 hour')");
    clock.jump(ms);
    await worker.client.addJob(task);
    await completed.reach();
    gate.open();
    await completed.reach(2);
    expect(await jobsLeft()).toBe(1);
    expect([failed.events, errors.events]).toEqual([[], []]);
    await worker.stop();
    await running;
  });
});
