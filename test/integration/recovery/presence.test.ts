import packageJson from "../../../package.json" with { type: "json" };
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { pgDriver } from "../../../src/postgres/drivers/pg.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { FAST_RECOVERY, locked, PATIENT_RECOVERY, registered } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { aborted, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
});

afterAll(async () => {
  await database.drop();
});

/** A task that runs until it is told to stop, and keeps why. */
function createWaitingTask() {
  const reasons = new Map<string, unknown>();
  const task = defineTask({
    identifier: "wait",
    async run(name: string, { signal }) {
      reasons.set(name, await aborted(signal));
      throw signal.reason;
    },
  });
  return { task, reasons };
}

const idle = defineTask({ identifier: "idle", run: () => undefined });
const registrations = () => database.sql("select id, metadata from howdah._private_workers");

/** A driver that a test looks over the shoulder of, and in whose way it can stand. */
function watchedDriver(block: (name: string) => boolean = () => false) {
  const driver = pgDriver({ connectionString: database.connectionString });
  const statements: string[] = [];
  const pass = async (query: { readonly name?: string; readonly text: string }): Promise<void> => {
    const name = query.name ?? query.text;
    statements.push(name);
    if (block(name)) throw new Error("the network is down");
  };
  const watched: Driver = {
    query: async (query) => pass(query).then(() => driver.query(query)),
    transaction: (work) => driver.transaction(work),
    listen: (channels, handlers) =>
      driver.listen(channels, {
        ...handlers,
        up: (session) => handlers.up({ query: async (query) => pass(query).then(() => session.query(query)) }),
      }),
    close: () => driver.close(),
  };
  return { driver: watched, statements };
}

describe("a worker that runs", () => {
  it("is registered before it claims, with what others may like to know, and no more when it has stopped", async () => {
    const worker = await createTestWorker(database, { tasks: [idle], concurrency: 3 });
    expect(await registrations()).toEqual([]);
    const seen: unknown[] = [];
    const started = record(worker.hooks, "workerStart");
    worker.hooks.on("workerStart", async () => void seen.push(...(await registrations())));
    const running = worker.run();
    await started.reach();
    await until(() => seen.length > 0);
    expect(seen).toEqual([
      {
        id: worker.id,
        metadata: expect.objectContaining({
          pid: process.pid,
          host: expect.any(String),
          version: packageJson.version,
          revision: expect.any(Number),
          tasks: ["idle"],
          concurrency: 3,
          running: [],
        }),
      },
    ]);
    await locked(database, worker.id);
    await worker.stop();
    await running;
    expect(await registrations()).toEqual([]);
  });

  it("and holds a job is alive for the sweepers of other implementations", async () => {
    const { task } = createWaitingTask();
    await using worker = await createTestWorker(database, { tasks: [task], shutdown: { gracePeriod: 0 } });
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJob(task, "held", { queueName: "q" });
    const running = worker.run();
    await started.reach();
    const seen = await database.sql(
      `select worker_id from howdah.list_stale_workers('30 seconds')
       union all select worker_id from howdah.list_orphan_locked_workers('0')`,
    );
    expect(seen).toEqual([]);
    await worker.stop();
    await running;
  });

  it("is registered in runOnce too, each time", async () => {
    const seen: unknown[] = [];
    const look = defineTask({ identifier: "look", run: async () => void seen.push((await registrations()).length) });
    await using worker = await createTestWorker(database, { tasks: [look] });
    for (let time = 0; time < 2; time += 1) {
      await worker.client.addJob(look);
      await worker.runOnce();
      expect(await registrations()).toEqual([]);
    }
    expect(seen).toEqual([1, 1]);
  });

  it("is not registered when recovery is off, and its id says so", async () => {
    await using worker = await createTestWorker(database, { tasks: [idle], recovery: false });
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob(idle);
    const running = worker.run();
    await completed.reach();
    expect(await registrations()).toEqual([]);
    expect(worker.id).toMatch(/^howdah-[0-9a-f]{18}$/);
    await worker.stop();
    await running;
  });

  it("costs no more than its heartbeats and its looks, and none of them reads the jobs", async () => {
    const { driver, statements } = watchedDriver();
    const recovery = {
      ...FAST_RECOVERY,
      heartbeatInterval: "40ms",
      sweepInterval: "50ms",
      contactTimeout: "1m",
    } as const;
    await using worker = await createTestWorker(database, {
      driver,
      tasks: [idle],
      recovery: { ...recovery, queueDelay: "1m" },
    });
    const running = worker.run();
    await locked(database, worker.id);
    // The one look for unregistered holders that is allowed in ten minutes is over, too.
    await until(() => statements.some((text) => text.includes("_howdah_orphans_v1")));
    const from = statements.length;
    const startedAt = systemClock.monotonic();
    await until(() => statements.slice(from).filter((name) => name.startsWith("howdah_beat")).length >= 20);
    const elapsedMs = systemClock.monotonic() - startedAt;
    const ofPresence = /beat|worker|orphan|recover|sweep|presence|select 1/;
    const presence = statements.slice(from).filter((name) => ofPresence.test(name));
    expect(presence).toContain("howdah_beat_and_look");
    // A heartbeat that is late, or lost its look, finds the other two on their own.
    expect(["howdah_beat_and_look", "howdah_beat", "howdah_workers_1"]).toEqual(
      expect.arrayContaining([...new Set(presence)]),
    );
    expect(presence.length).toBeLessThanOrEqual(elapsedMs / 40 + elapsedMs / 50 + 2);
    await worker.stop();
    await running;
    await driver.close();
  });
});

describe("a worker that was declared dead", () => {
  it("tells its handlers to stop, says so once, and goes on under another id", async () => {
    const { task, reasons } = createWaitingTask();
    const logger = createRecordingLogger();
    await using worker = await createTestWorker(database, {
      tasks: [task, idle],
      logger,
      recovery: PATIENT_RECOVERY,
      localQueue: { size: 10 },
      concurrency: 2,
    });
    const errors = record(worker.hooks, "workerError");
    const started = record(worker.hooks, "jobStart");
    const interrupted = record(worker.hooks, "jobInterrupted");
    const { id } = worker;
    await worker.client.addJob(task, "loose");
    await worker.client.addJob(task, "queued", { queueName: "q" });
    const running = worker.run();
    await started.reach(2);
    await database.sql("update howdah._private_workers set _howdah_swept = 1 where id = $1", [id]);
    // Its own sweeper may be the one that recovers the jobs, and says so as well: "crashed".
    const lost = () => interrupted.events.filter(({ reason }) => reason === "lost");
    await until(() => lost().length >= 2, { message: "both handlers to be told" });
    expect([...reasons.keys()].sort()).toEqual(["loose", "queued"]);
    for (const reason of reasons.values()) expect(reason).toMatchObject({ code: "HOWDAH_ABORTED_LOST" });
    expect(lost()).toHaveLength(2);
    expect(worker.id).not.toBe(id);
    expect(errors.events).toMatchObject([{ activity: "keep its registration", workerId: worker.id }]);
    expect(logger.messages("error")).toEqual(["The worker could not keep its registration; it goes on"]);
    await locked(database, worker.id);
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob(idle);
    expect(await completed.reach()).toMatchObject({ workerId: worker.id });
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah.jobs where locked_by = $1", [worker.id])).toEqual([]);
  });

  it("notices the same when its registration was removed", async () => {
    await using worker = await createTestWorker(database, { tasks: [idle], recovery: PATIENT_RECOVERY });
    const running = worker.run();
    const { id } = worker;
    await locked(database, id);
    await database.sql("select howdah.worker_deregister($1)", [id]);
    await until(() => worker.id !== id);
    await locked(database, worker.id);
    await worker.stop();
    await running;
  });
});

describe("a heartbeat", () => {
  it("that does not get through makes a worker tell the handlers of queued jobs to stop before others may have the queue, and no others", async () => {
    let isDown = false;
    const { driver } = watchedDriver((name) => isDown && name.startsWith("howdah_beat"));
    const { task, reasons } = createWaitingTask();
    await using worker = await createTestWorker(database, {
      driver,
      tasks: [task],
      concurrency: 2,
      recovery: { ...FAST_RECOVERY, queueDelay: "1h" },
      shutdown: { gracePeriod: 0 },
    });
    const started = record(worker.hooks, "jobStart");
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJob(task, "loose");
    await worker.client.addJob(task, "queued", { queueName: "q" });
    const running = worker.run();
    await started.reach(2);
    isDown = true;
    await until(() => reasons.has("queued"));
    expect(reasons.get("queued")).toMatchObject({ code: "HOWDAH_ABORTED_LOST" });
    expect(reasons.has("loose")).toBe(false);
    expect(errors.events).toMatchObject([{ activity: "say that it lives" }]);
    isDown = false;
    await worker.stop();
    await running;
    await driver.close();
  });

  it("gets through although handlers use up all connections", async () => {
    const greedy = defineTask({
      identifier: "greedy",
      async run(_payload, { withTransaction, signal }) {
        await withTransaction(() => aborted(signal));
      },
    });
    await using worker = await createTestWorker(database, {
      tasks: [greedy],
      maxConnections: 1,
      connectTimeout: "2s",
      recovery: PATIENT_RECOVERY,
      shutdown: { gracePeriod: 0 },
    });
    const running = worker.run();
    await locked(database, worker.id);
    const started = record(worker.hooks, "jobStart");
    await worker.client.addJob(greedy);
    await started.reach();
    const beat = async () => String((await registered(database, worker.id))?.["last_heartbeat_at"]?.getTime());
    const before = await beat();
    await until(async () => (await beat()) > before);
    await worker.stop();
    await running;
  });
});
