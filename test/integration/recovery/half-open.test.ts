import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Worker } from "../../../src/index.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy, type Proxy } from "../../harness/proxy.ts";
import { locked, PATIENT_RECOVERY, registered } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers"));

// The limit leaves a living worker little more than it needs.
const recovery = { ...PATIENT_RECOVERY, heartbeatInterval: "1s", lockLossTimeout: "3s" } as const;

const beatOf = async ({ id }: Worker): Promise<string> =>
  String((await registered(database, id))?.["last_heartbeat_at"]?.getTime());

/** Waits for the next heartbeat of a worker: what happens right after it is noticed last. */
async function beaten(worker: Worker): Promise<void> {
  const before = await beatOf(worker);
  await until(async () => (await beatOf(worker)) !== before, { message: "a heartbeat" });
}

/** A worker that runs jobs behind a proxy, and one on a way of its own that watches it. */
async function setUp(proxy: Proxy) {
  const gate = createGate();
  const hold = defineTask({ identifier: "hold", run: () => gate.opened });
  const idle = defineTask({ identifier: "idle", run: () => undefined });
  const { connectionString } = proxy;
  const worker = await createTestWorker(database, {
    tasks: [hold],
    connectionString,
    concurrency: 4,
    recovery,
  });
  const watcher = await createTestWorker(database, { tasks: [idle], recovery });
  const started = record(worker.hooks, "jobStart");
  const completed = record(worker.hooks, "jobComplete");
  const recovered = record(watcher.hooks, "workerRecovered");
  const { id } = worker;
  await watcher.client.addJobs([0, 1, 2].map((n) => ({ task: hold, spec: n === 0 ? { queueName: "q" } : {} })));
  const running = [worker.run(), watcher.run()];
  await started.reach(3);
  await locked(database, watcher.id);
  return {
    worker,
    /** All that it runs is still its own, and it completes that. Resolves to how often it was declared dead. */
    async livesOn(): Promise<number> {
      expect(recovered.events).toEqual([]);
      expect(await registered(database, id)).toMatchObject({ _howdah_swept: 0 });
      const held = await database.sql("select attempts from howdah.jobs where locked_by = $1", [id]);
      expect(held).toEqual(Array.from({ length: 3 }, () => ({ attempts: 1 })));
      // The client's side of what was lost ends now.
      proxy.cut();
      gate.open();
      await completed.reach(3);
      expect(recovered.events).toEqual([]);
      await worker.stop();
      await watcher.stop();
      await Promise.all(running);
      return recovered.events.length;
    },
  };
}

describe("a living worker", () => {
  it("is not declared dead when all its connections are lost without a word, those that lie idle as well", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { worker, livesOn } = await setUp(proxy);
    await locked(database, worker.id);
    await Promise.all(Array.from({ length: 5 }, () => worker.client.getJob("1")));
    await beaten(worker);
    proxy.strand();
    await beaten(worker);
    await beaten(worker);
    expect(await livesOn()).toBe(0);
  }, 60_000);

  it("is heard of as soon as connections can be made again that hung for a while", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { worker, livesOn } = await setUp(proxy);
    await locked(database, worker.id);
    await beaten(worker);
    proxy.strand();
    proxy.hold();
    // Not longer than the limit less the time from one heartbeat to the next.
    const attempts = proxy.connections;
    await until(() => proxy.connections > attempts);
    proxy.allow();
    await beaten(worker);
    expect(await livesOn()).toBe(0);
  }, 60_000);
});

describe("workers behind a proxy that restarts", () => {
  const outage = { ...PATIENT_RECOVERY, heartbeatInterval: "400ms", sweepInterval: "400ms", watchTime: "8s" } as const;
  const awayMs = 4_000;

  it("are not declared dead by one on another way, nor by one that has just started", async () => {
    await using proxy = await openProxy(database.connectionString);
    const idle = defineTask({ identifier: "idle", run: () => undefined });
    // Without a claim under way when connections are cut: a worker goes on under another id after a lost one.
    const options = { tasks: [idle], recovery: outage, pollInterval: "5m" } as const;
    const { connectionString } = proxy;
    const behind = await Promise.all(
      Array.from({ length: 3 }, () => createTestWorker(database, { ...options, connectionString })),
    );
    const watcher = await createTestWorker(database, options);
    const newcomer = await createTestWorker(database, options);
    const ids = behind.map(({ id }) => id);
    const recovered = [watcher, newcomer].map(({ hooks }) => record(hooks, "workerRecovered"));
    const startedAt = systemClock.monotonic();
    const running = [...behind, watcher].map((worker) => worker.run());
    for (const { id } of [...behind, watcher]) await locked(database, id);
    // As if each had a machine of its own.
    await database.sql("update howdah._private_workers set _howdah_process = id");
    await until(() => systemClock.monotonic() - startedAt > 9_000);

    proxy.refuse();
    running.push(newcomer.run());
    const awayAt = systemClock.monotonic();
    await until(() => systemClock.monotonic() - awayAt > awayMs);
    proxy.allow();
    for (const worker of behind) await beaten(worker);
    expect(recovered.flatMap(({ events }) => events)).toEqual([]);
    expect(behind.map(({ id }) => id)).toEqual(ids);
    await Promise.all([...behind, watcher, newcomer].map((worker) => worker.stop()));
    await Promise.all(running);
  }, 60_000);
});
