import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RecoveryOptions } from "../../../src/job/recover/options.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { addDeadJob, FAST_RECOVERY, registerDead, registered } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
  await database.sql("update howdah._howdah_sweeper set orphans_at = '-infinity'");
});

afterAll(async () => {
  await database.drop();
});

const DEAD = "howdah_0123456789abcdef01";

/** No living worker is watched here, and nothing queued is run. */
const HASTY: RecoveryOptions = {
  ...FAST_RECOVERY,
  heartbeatInterval: "100ms",
  sweepInterval: "50ms",
  contactTimeout: "200ms",
  queueDelay: "500ms",
};

/** A worker that runs nothing of what the dead have left. */
async function createWatcher({
  recovery,
  ...options
}: Omit<Partial<WorkerOptions>, "recovery"> & { recovery?: RecoveryOptions } = {}) {
  const idle = defineTask({ identifier: "idle", run: () => undefined });
  return createTestWorker(database, { tasks: [idle], recovery: { ...HASTY, ...recovery }, ...options });
}

const job = async (id: string) => {
  const [row] = await database.sql("select *, run_at > now() as later from howdah._private_jobs where id = $1", [id]);
  return row;
};
const unlocked = (id: string) => until(async () => (await job(id))?.["locked_by"] === null);
const buried = (id = DEAD) => until(async () => (await registered(database, id)) === undefined, { deadlineMs: 30_000 });

describe("what a dead worker held", () => {
  it("is given back in stages: jobs, then queues, then its registration", async () => {
    await registerDead(database, DEAD);
    const loose = await addDeadJob(database, DEAD);
    const queued = await addDeadJob(database, DEAD, { queueName: "q" });
    const removed = await addDeadJob(database, DEAD, { changes: "_howdah_detached = true, attempts = 25" });
    const later = await addDeadJob(database, DEAD, { changes: "run_at = '2200-01-01'" });
    const logger = createRecordingLogger();
    await using watcher = await createWatcher({ logger });
    const before = await job(queued);
    const running = watcher.run();
    await unlocked(queued);
    const usual = { attempts: 0, last_error: "Job recovered after worker interruption", _howdah_recoveries: 1 };
    expect(await job(loose)).toMatchObject(usual);
    expect(await job(queued)).toMatchObject({ ...usual, run_at: before?.["run_at"] });
    expect(await job(removed)).toMatchObject({ attempts: 25, locked_by: null });
    expect(await job(later)).toMatchObject({ ...usual, run_at: new Date("2200-01-01") });
    await buried();
    expect((await watcher.client.listQueues()).queues).toMatchObject([{ lockedBy: null }]);
    expect(logger.entries.filter(({ fields }) => fields["worker"] === DEAD).map(({ message }) => message)).toEqual([
      "A worker is dead; its jobs were returned",
      "The queues of a dead worker are free",
    ]);
    expect(logger.messages("error")).toContain("A job of a dead worker has no attempt left");
    await watcher.stop();
    await running;
  });

  it("runs after half to all of the delay, but for a queued job, which keeps its place", async () => {
    await registerDead(database, DEAD);
    const loose = await addDeadJob(database, DEAD);
    const queued = await addDeadJob(database, DEAD, { queueName: "q" });
    await using watcher = await createWatcher({ recovery: { recoveryDelay: "1h" } });
    const running = watcher.run();
    await unlocked(loose);
    const delay = `select extract(epoch from run_at - updated_at) as seconds from howdah._private_jobs where id = $1`;
    const [row] = await database.sql(delay, [loose]);
    expect(Number(row?.["seconds"])).toBeGreaterThanOrEqual(1_800);
    expect(Number(row?.["seconds"])).toBeLessThanOrEqual(3_600);
    expect(await job(queued)).toMatchObject({ later: false });
    await watcher.stop();
    await running;
  });

  it("counts as a failure, with its delay, when workers keep dying with it", async () => {
    await registerDead(database, DEAD);
    const id = await addDeadJob(database, DEAD, { changes: "_howdah_recoveries = -2, attempts = 3" });
    const last = await addDeadJob(database, DEAD, { changes: "_howdah_recoveries = -3, attempts = 25" });
    const logger = createRecordingLogger();
    await using watcher = await createWatcher({ logger });
    const running = watcher.run();
    await unlocked(id);
    const message = (count: number) => `The worker died while it ran this job; ${count} had died with it before`;
    expect(await job(id)).toMatchObject({ attempts: 3, later: true, last_error: message(2), _howdah_recoveries: 3 });
    expect(await job(last)).toMatchObject({ attempts: 25, last_error: message(3), _howdah_exhausted: true });
    await until(() => logger.entries.some((entry) => entry.fields["job"] === last));
    expect(logger.messages("error")).toEqual(["A job of a dead worker has no attempt left"]);
    await watcher.stop();
    await running;
  });

  it("is tried again later when another session has a row locked, and its registration stays until then", async () => {
    await registerDead(database, DEAD);
    const busy = await addDeadJob(database, DEAD);
    const free = await addDeadJob(database, DEAD);
    const user = await database.connect();
    await user.query("begin");
    await user.query("select from howdah._private_jobs where id = $1 for update", [busy]);
    await using watcher = await createWatcher();
    const recovered = record(watcher.hooks, "workerRecovered");
    const running = watcher.run();
    await unlocked(free);
    // One round may ask several times.
    await recovered.reach(1);
    expect(await job(busy)).toMatchObject({ locked_by: DEAD });
    await user.query("rollback");
    await unlocked(busy);
    await buried();
    expect(recovered.events.map(({ jobCount }) => jobCount)).toEqual([1, 1]);
    await watcher.stop();
    await running;
  });

  it("is found by others when the sweeper that declared it dead has died itself", async () => {
    await registerDead(database, DEAD);
    await database.sql("update howdah._private_workers set _howdah_swept = 1");
    const id = await addDeadJob(database, DEAD);
    await using watcher = await createWatcher();
    const running = watcher.run();
    await unlocked(id);
    await buried();
    expect(await job(id)).toMatchObject({ attempts: 0, _howdah_recoveries: 1 });
    await watcher.stop();
    await running;
  });
});

describe("a claim of a dead worker that commits late", () => {
  it("is given back before the registration goes", async () => {
    await registerDead(database, DEAD);
    await database.sql("update howdah._private_workers set _howdah_swept = 3");
    const id = await addDeadJob(database, DEAD, { queueName: "q" });
    await using watcher = await createWatcher();
    const recovered = record(watcher.hooks, "workerRecovered");
    const running = watcher.run();
    await buried();
    expect(await job(id)).toMatchObject({ attempts: 0, locked_by: null });
    expect((await watcher.client.listQueues()).queues).toMatchObject([{ lockedBy: null }]);
    expect(recovered.events).toMatchObject([{ previousWorkerId: DEAD, jobCount: 1 }]);
    await watcher.stop();
    await running;
  });
});

describe("the interceptor jobRecovery", () => {
  it("may reschedule, fail or skip each job, and jobInterrupted tells of those that were taken", async () => {
    await registerDead(database, DEAD);
    const ids = {
      moved: await addDeadJob(database, DEAD, { task: "moved" }),
      counted: await addDeadJob(database, DEAD, { task: "counted", changes: "attempts = 2" }),
      failing: await addDeadJob(database, DEAD, { task: "failing" }),
      left: await addDeadJob(database, DEAD, { task: "left", queueName: "q" }),
      usual: await addDeadJob(database, DEAD, { task: "usual" }),
      broken: await addDeadJob(database, DEAD, { task: "broken" }),
    };
    await using watcher = await createWatcher();
    const runAt = new Date("2100-01-01T00:00:00.123Z");
    const asked: unknown[] = [];
    watcher.hooks.on("jobRecovery", ({ job: { task }, previousWorkerId, reason, workerId }) => {
      asked.push([previousWorkerId, reason, workerId]);
      if (task === "moved") return { action: "reschedule", runAt };
      if (task === "counted") return { action: "reschedule", runAt, attempts: 7 };
      if (task === "failing") return { action: "fail", message: "no more" };
      if (task === "left") return { action: "skip" };
      if (task === "broken") throw new Error("a bug in a hook");
      return undefined;
    });
    const interrupted = record(watcher.hooks, "jobInterrupted");
    const errors = record(watcher.hooks, "workerError");
    const running = watcher.run();
    await unlocked(ids.broken);
    expect(await job(ids.moved)).toMatchObject({ run_at: runAt, attempts: 0 });
    expect(await job(ids.counted)).toMatchObject({ run_at: runAt, attempts: 7 });
    expect(await job(ids.failing)).toMatchObject({ last_error: "no more", attempts: 1, later: true });
    expect(await job(ids.usual)).toMatchObject({ attempts: 0, later: false });
    expect(await job(ids.broken)).toMatchObject({ attempts: 0 });
    await interrupted.reach(5);
    expect(interrupted.events.map((event) => event.job.task).sort()).toEqual([
      "broken",
      "counted",
      "failing",
      "moved",
      "usual",
    ]);
    expect(interrupted.events[0]).toMatchObject({ workerId: DEAD, reason: "crashed" });
    expect(asked[0]).toEqual([DEAD, "crashed", watcher.id]);
    expect(errors.events).toMatchObject([{ activity: "ask a hook about a job to recover" }]);
    // What was skipped stays, and so does its queue.
    await until(async () => (await registered(database, DEAD))?.["_howdah_swept"] === 3);
    expect(await job(ids.left)).toMatchObject({ locked_by: DEAD, attempts: 1 });
    expect((await watcher.client.listQueues()).queues).toMatchObject([{ lockedBy: DEAD }]);
    await watcher.stop();
    await running;
  });
});

describe("a worker that only its heartbeat stands for", () => {
  const silent = (id: string) =>
    database.sql("insert into howdah._private_workers (id, last_heartbeat_at) values ($1, now())", [id]);

  it("gets more time while it holds a job with a resilient flag", async () => {
    const other = "howdah_0123456789abcdef02";
    await silent(DEAD);
    await silent(other);
    const resilient = await addDeadJob(database, DEAD, { changes: `flags = '{"tough": true}'` });
    const usual = await addDeadJob(database, other, { changes: `flags = '{"tough": false}'` });
    const options = {
      sweepThreshold: "500ms",
      resilientJobFlags: ["tough"],
      resilientSweepThresholdMultiplier: 3_600,
    } as const;
    await using watcher = await createWatcher({ recovery: options });
    const running = watcher.run();
    await unlocked(usual);
    await buried(other);
    expect(await job(resilient)).toMatchObject({ locked_by: DEAD });
    await watcher.stop();
    await running;
  });

  it("lives as long as it beats, and when one of another kind beats after it was declared dead", async () => {
    await database.sql(`select howdah.worker_heartbeat('graphile_worker_1')`);
    // Its registration goes after twice the queueDelay: not before it could be seen that it was declared dead.
    await using watcher = await createWatcher({ recovery: { sweepThreshold: "500ms", queueDelay: "5s" } });
    const running = watcher.run();
    await until(async () => Number((await registered(database, "graphile_worker_1"))?.["_howdah_swept"]) > 0);
    await database.sql(`select howdah.worker_heartbeat('graphile_worker_1')`);
    await until(async () => (await registered(database, "graphile_worker_1"))?.["_howdah_swept"] === 0);
    await watcher.stop();
    await running;
  });
});

describe("locks of workers that are not registered", () => {
  it("are given back when the id is one of ours, and after hours when it is not, without a refund", async () => {
    const ours = await addDeadJob(database, DEAD, {
      queueName: "q",
      changes: "locked_at = now() - interval '1 minute'",
    });
    await database.sql("update howdah._private_job_queues set locked_at = now() - interval '1 minute'");
    // Younger than a second for as long as this takes.
    const young = await addDeadJob(database, "howdah_0123456789abcdef02", {
      changes: "locked_at = now() + interval '1 hour'",
    });
    const pool = await addDeadJob(database, "pool-1", { changes: "locked_at = now() - interval '5 hours'" });
    const busyPool = await addDeadJob(database, "pool-1");
    const withoutRecovery = await addDeadJob(database, "howdah-0123456789abcdef03", {
      changes: "locked_at = now() - interval '1 hour'",
    });
    await using watcher = await createWatcher();
    const running = watcher.run();
    await unlocked(pool);
    expect(await job(pool)).toMatchObject({ attempts: 1, _howdah_recoveries: 1 });
    expect(await job(ours)).toMatchObject({ locked_by: null, attempts: 0 });
    expect((await watcher.client.listQueues()).queues).toMatchObject([{ lockedBy: null }]);
    for (const id of [young, busyPool, withoutRecovery]) expect((await job(id))?.["locked_by"]).not.toBeNull();
    await watcher.stop();
    await running;
  });
});
