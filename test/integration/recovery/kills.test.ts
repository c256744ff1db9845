import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { FAST_RECOVERY, locked, registered, startWorkerProcess } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
});

describe("a worker that is killed", () => {
  it("has its jobs run elsewhere, cached and queued ones too, in order, and no attempt is counted", async () => {
    const victim = await startWorkerProcess(database, {
      taskNames: ["hold"],
      concurrency: 2,
      localQueue: { size: 20 },
    });
    await locked(database, victim.workerId);
    await using helper = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "hold", run: () => undefined })],
      concurrency: 1,
      pollInterval: "100ms",
      recovery: FAST_RECOVERY,
    });
    const queued = { queueName: "q" };
    const chain = await helper.client.addJobs([1, 2, 3].map(() => ({ task: "hold", payload: {}, spec: queued })));
    await victim.tells("job", { task: "hold" });
    const loose = await helper.client.addJobs([1, 2, 3].map(() => ({ task: "hold", payload: {} })));
    await until(async () => {
      const rows = await database.sql("select from howdah.jobs where locked_by = $1", [victim.workerId]);
      return rows.length === chain.length + loose.length;
    });

    const completed = record(helper.hooks, "jobComplete");
    const recovered = record(helper.hooks, "workerRecovered");
    const running = helper.run();
    victim.kill();
    await completed.reach(6);
    const ran = completed.events.map(({ job }) => job);
    const idsOf = (jobs: readonly { readonly id: string }[]) => jobs.map(({ id }) => id);
    const isQueued = (job: { readonly queueName: string | null }) => job.queueName !== null;
    expect(idsOf(ran.filter((job) => !isQueued(job))).sort()).toEqual(idsOf(loose).sort());
    expect(idsOf(ran.filter(isQueued))).toEqual(idsOf(chain));
    expect(ran.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(recovered.events).toEqual([{ workerId: helper.id, previousWorkerId: victim.workerId, jobCount: 6 }]);
    // Its registration is the last thing to go.
    await until(async () => (await registered(database, victim.workerId)) === undefined, { deadlineMs: 30_000 });
    await helper.stop();
    await running;
  });

  it("by its first job, before anybody has seen its session, is missed as soon", async () => {
    await using helper = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "die", run: () => undefined })],
      pollInterval: "100ms",
      recovery: FAST_RECOVERY,
    });
    const { id } = await helper.client.addJob("die");
    const victim = await startWorkerProcess(database, { taskNames: ["die"] });
    await victim.ended;
    const completed = record(helper.hooks, "jobComplete");
    const running = helper.run();
    expect((await completed.reach()).job).toMatchObject({ id, attempts: 1 });
    await helper.stop();
    await running;
  });

  it("and that only polls, is missed after the threshold", async () => {
    const victim = await startWorkerProcess(database, { taskNames: ["hold"], useNotificationDelivery: false });
    await using helper = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "hold", run: () => undefined })],
      pollInterval: "100ms",
      useNotificationDelivery: false,
      recovery: { ...FAST_RECOVERY, sweepThreshold: "2s" },
    });
    const completed = record(helper.hooks, "jobComplete");
    const { id } = await helper.client.addJob("hold");
    await victim.tells("job", { id });
    expect(await registered(database, victim.workerId)).toMatchObject({ lock: "none" });
    victim.kill();
    const running = helper.run();
    expect((await completed.reach()).job).toMatchObject({ id, attempts: 1 });
    await helper.stop();
    await running;
  });

  it("leaves nothing to two sweepers that both give the same job back", async () => {
    const victim = await startWorkerProcess(database, {
      taskNames: ["hold"],
      concurrency: 1,
      localQueue: { size: 200 },
    });
    await locked(database, victim.workerId);
    const idle = defineTask({ identifier: "idle", run: () => undefined });
    const options = { tasks: [idle], recovery: FAST_RECOVERY } as const;
    await using first = await createTestWorker(database, options);
    await using second = await createTestWorker(database, options);
    const reports = [first, second].map(({ hooks }) => record(hooks, "workerRecovered"));
    await first.client.addJobs(Array.from({ length: 200 }, () => ({ task: "hold", payload: {} })));
    const held = () => database.sql("select from howdah.jobs where locked_by = $1", [victim.workerId]);
    await until(async () => (await held()).length === 200);
    const running = [first.run(), second.run()];
    await Promise.all([first, second].map(({ id }) => locked(database, id)));
    victim.kill();
    await until(async () => (await registered(database, victim.workerId)) === undefined, { deadlineMs: 30_000 });
    const counts = await database.sql(`
      select _howdah_recoveries as recoveries, attempts, count(*)::integer
      from howdah._private_jobs where locked_by is null group by 1, 2`);
    expect(counts).toEqual([{ recoveries: 1, attempts: 0, count: 200 }]);
    const told = reports.flatMap(({ events }) => events.map(({ jobCount }) => jobCount));
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(200);
    await Promise.all([first.stop(), second.stop(), ...running]);
  });
});

describe("a worker that lives", () => {
  it("is left alone while it is stopped, and goes on when it wakes", async () => {
    const sleeper = await startWorkerProcess(database, { taskNames: ["quick", "block"] });
    await locked(database, sleeper.workerId);
    await using watcher = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "idle", run: () => undefined })],
      recovery: FAST_RECOVERY,
    });
    const running = watcher.run();
    sleeper.kill("SIGSTOP");
    // Far longer than a worker without a session would live.
    await until(async () => {
      const [row] = await database.sql(
        "select from howdah._private_workers where id = $1 and last_heartbeat_at < now() - interval '4 seconds'",
        [sleeper.workerId],
      );
      return row !== undefined;
    });
    expect(await registered(database, sleeper.workerId)).toMatchObject({ lock: "held", _howdah_swept: 0 });
    sleeper.kill("SIGCONT");
    await sleeper.tells("log", { level: "warn", message: "The event loop was blocked, or the process stood still" });
    const { id } = await watcher.client.addJob("quick");
    await sleeper.tells("ran", { id });
    expect((await sleeper.tells("job", { id }))["workerId"]).toBe(sleeper.workerId);

    // The same from inside: a handler that does not let go of the event loop.
    await watcher.client.addJob("block", { ms: 2_500 });
    const blocked = await sleeper.tells("log", { tasks: "block" });
    expect(blocked).toMatchObject({ message: "The event loop was blocked, or the process stood still" });
    expect(await registered(database, sleeper.workerId)).toMatchObject({ _howdah_swept: 0 });
    await watcher.stop();
    await running;
  });

  it("is left alone when its session is ended again and again, and is watched by the next one", async () => {
    await using watcher = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "idle", run: () => undefined })],
      recovery: FAST_RECOVERY,
    });
    await using flaky = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "idle", run: () => undefined })],
      recovery: FAST_RECOVERY,
    });
    const recovered = record(watcher.hooks, "workerRecovered");
    const running = [watcher.run(), flaky.run()];
    const { id } = flaky;
    const keys = new Set<unknown>();
    for (let time = 0; time < 3; time += 1) {
      await locked(database, id);
      const row = await registered(database, id);
      keys.add(row?.["_howdah_lock_key"]);
      await database.sql("select pg_terminate_backend($1)", [row?.["_howdah_lock_pid"]]);
      await until(async () => {
        const next = await registered(database, id);
        return next?.["lock"] === "held" && !keys.has(next["_howdah_lock_key"]);
      });
    }
    expect(flaky.id).toBe(id);
    expect(recovered.events).toEqual([]);
    await Promise.all([watcher.stop(), flaky.stop(), ...running]);
  });
});
