import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { openProxy } from "../../harness/proxy.ts";
import {
  addDeadJob,
  FAST_RECOVERY,
  PATIENT_RECOVERY,
  registerDead,
  startWorkerProcess,
} from "../../harness/recovery.ts";
import { runCli } from "../../harness/run-cli.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers");
  await database.sql("truncate howdah._howdah_paused_tasks");
});

const stops: (() => Promise<void>)[] = [];
// A worker of a test that has failed must not run the jobs of the next one.
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Goes idle in a moment, and does not look around by itself. */
const ADAPTIVE = {
  pollInterval: "adaptive",
  idleTimeout: "300ms",
  idlePollInterval: "1h",
  recovery: PATIENT_RECOVERY,
} as const;

const SOURCES: readonly (readonly [string, Pick<WorkerOptions, "localQueue">])[] = [
  ["that claims directly", {}],
  ["with a local queue", { localQueue: { size: 10, refetchDelay: { duration: "200ms" } } }],
];

const registered = async (): Promise<string[]> =>
  (await database.sql("select id from howdah._private_workers order by id")).map(({ id }) => String(id));

/** Waits until a worker has gone idle. */
const idle = (worker: Worker): Promise<unknown> =>
  until(() => worker.metrics().idle, { message: "the worker to go idle", deadlineMs: 20_000 });

/** A worker that keeps what its jobs were, and who was registered meanwhile. */
async function start(options: Partial<WorkerOptions> = {}) {
  const ran: unknown[] = [];
  const seen: string[][] = [];
  const quick = defineTask({
    identifier: "quick",
    async run(payload: unknown) {
      seen.push(await registered());
      ran.push(payload);
    },
  });
  const worker = await createTestWorker(database, { ...ADAPTIVE, tasks: [quick], concurrency: 2, ...options });
  const running = worker.run();
  stops.push(() => worker.stop());
  return {
    worker,
    quick,
    ran,
    seen,
    async end(): Promise<void> {
      await worker.stop();
      await running;
      expect(await registered()).toEqual([]);
      expect(await database.sql("select from howdah._private_jobs where locked_at is not null")).toEqual([]);
    },
  };
}

/** Adds a job as a statement by hand does: no worker is notified. */
const addUnannounced = (payload: unknown): Promise<unknown> =>
  database.sql(
    `insert into howdah._private_jobs (task_id, payload, max_attempts)
     select id, $1, 25 from howdah._private_tasks where identifier = 'quick'`,
    [JSON.stringify(payload)],
  );

describe.each(SOURCES)("an idle worker %s", (_, source) => {
  it("runs what it is notified of, registered again, and goes idle afterwards", async () => {
    const { worker, quick, ran, seen, end } = await start(source);
    for (const round of [1, 2, 3]) {
      await idle(worker);
      await database.sql("select howdah.add_job('quick', $1)", [JSON.stringify(round)]);
      await until(() => ran.length === round);
    }
    await idle(worker);
    await worker.client.addJob(quick, 4, { queueName: "q" });
    await until(() => ran.length === 4);
    expect(ran).toEqual([1, 2, 3, 4]);
    expect(seen).toEqual(Array.from({ length: 4 }, () => [worker.id]));
    await end();
  });

  it("is seen as idle by operators, and not while it is active or gone", async () => {
    const { worker, end } = await start(source);
    await idle(worker);
    await using other = await createDatabase({ schema: "other" });
    await using elsewhere = await createClient({
      connectionString: other.connectionString,
      schema: "other",
      logger: silentLogger,
    });
    const { client } = worker;
    expect(await client.listIdleWorkers()).toEqual([{ serverPid: expect.any(Number), isFromHere: true }]);
    expect(await elsewhere.listIdleWorkers()).toEqual([]);
    const call = (...args: string[]) => runCli([...args, "--database-url", database.connectionString]);
    expect(await call("workers")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^WORKER\t.*\n$/),
      error: "1 more is idle: it only listens, and what it is is not known.\n",
    });
    const healthy = { healthy: true, alive: 0, registered: 0, idle: 1 };
    for (const here of [[], ["--here"]]) {
      const { code, out } = await call("health", "--json", ...here);
      expect({ code, ...JSON.parse(out) }).toMatchObject({ code: 0, ...healthy });
    }
    const { results } = await client.diagnose({ only: ["workers"] });
    expect(results).toMatchObject([{ status: "ok", finding: "0 live, and 1 is idle: what these run is not known." }]);
    await addUnannounced("1");
    const [job] = (await client.listJobs()).jobs;
    expect((await client.explainJob(job?.id ?? "")).reasons).toMatchObject([
      { code: "no_worker", message: expect.stringContaining("1 worker is idle") },
    ]);
    await database.sql("select howdah.add_job('quick')");
    await until(async () => (await client.listActiveWorkers()).length === 1);
    expect(await client.listIdleWorkers()).toEqual([]);
    await end();
    expect((await call("health", "--json")).code).toBe(1);
  });

  it("misses no job that is added while it goes idle", async () => {
    const { worker, ran, end } = await start({ ...source, idleTimeout: "100ms" });
    let idles = 0;
    for (let round = 1; round <= 12; round += 1) {
      await until(() => ran.length === round - 1);
      await systemClock.sleep(100 + Math.random() * 120);
      if (worker.metrics().idle) idles += 1;
      await database.sql("select howdah.add_job('quick', $1)", [JSON.stringify(round)]);
      await until(() => ran.length === round, { message: `job ${round}` });
    }
    // Some came before, and some after.
    expect(idles).toBeGreaterThan(0);
    await end();
  });

  it("misses no job that is added between any two of the statements with which it goes idle", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { connectionString } = proxy;
    const { worker, ran, end } = await start({ ...source, connectionString });
    let jobs = 0;
    for (const part of ["with recursive levels", "_howdah_claim_v2", /^delete from \S+_private_workers/]) {
      for (const at of ["before", "after"] as const) {
        await idle(worker);
        await database.sql("select howdah.add_job('quick', $1)", [JSON.stringify((jobs += 1))]);
        await until(() => ran.length === jobs);
        if (part === "_howdah_claim_v2") await proxy.next("with recursive levels", "after").then((next) => next.pass());
        const caught = await proxy.next(part, at);
        await database.sql("select howdah.add_job('quick', $1)", [JSON.stringify((jobs += 1))]);
        // The notification is there before the statement goes on.
        await systemClock.sleep(50);
        caught.pass();
        await until(() => ran.length === jobs, { message: `the job that came ${at} ${String(part)}` });
      }
    }
    expect(ran).toEqual(Array.from({ length: jobs }, (__, index) => index + 1));
    await end();
  });

  it("is there for a job that is added while it goes idle, and becomes due a moment later", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { worker, ran, end } = await start({ ...source, connectionString: proxy.connectionString });
    await proxy.next("with recursive levels", "after").then((next) => next.pass());
    const scan = await proxy.next("_howdah_claim_v2", "after");
    await database.sql("select howdah.add_job('quick', '1', run_at => clock_timestamp() + interval '1500 ms')");
    // The notification is there before the scan ends.
    await systemClock.sleep(50);
    scan.pass();
    await until(() => ran.length === 1, { deadlineMs: 10_000 });
    await idle(worker);
    await end();
  });

  it("learns of a job that is scheduled meanwhile when it looks around: no worker is notified of it", async () => {
    const { worker, quick, ran, end } = await start({ ...source, idlePollInterval: "1s" });
    await idle(worker);
    await worker.client.addJob(quick, "later", { runIn: "3s" });
    await until(() => ran.length === 1, { deadlineMs: 20_000 });
    await end();
  });

  it("looks around, again and again, and finds what it was not notified of", async () => {
    const { worker, ran, end } = await start({ ...source, idlePollInterval: "500ms" });
    for (const round of [1, 2]) {
      await idle(worker);
      await until(() => !worker.metrics().idle);
      await idle(worker);
      await addUnannounced("silent");
      await until(() => ran.length === round);
    }
    expect(ran).toEqual(["silent", "silent"]);
    await end();
  });

  it("is there when a job becomes due, a pause ends, or a schedule ticks", async () => {
    const { worker, quick, ran, end } = await start(source);
    await worker.client.addJob(quick, "scheduled", { runIn: "1s" });
    await idle(worker);
    await until(() => ran.length === 1);
    await worker.client.pauseTask("quick", { until: new Date(systemClock.now() + 1_500) });
    await worker.client.addJob(quick, "paused");
    await idle(worker);
    await until(() => ran.length === 2);
    await idle(worker);
    await worker.client.schedules.upsert({ id: "s", task: "quick", schedule: "* * * * * *", payload: { tick: 1 } });
    await until(() => ran.length >= 4);
    await worker.client.schedules.remove("s");
    expect(ran.slice(0, 4)).toMatchObject(["scheduled", "paused", { tick: 1 }, { tick: 1 }]);
    await end();
  });

  it("obeys pauses, resumes and cancellations", async () => {
    const gate = createGate();
    const aborts: unknown[] = [];
    const hold = defineTask({
      identifier: "quick",
      async run(payload: unknown, { signal }) {
        signal.addEventListener("abort", () => void aborts.push(payload));
        if (payload === "hold")
          await Promise.race([gate.opened, new Promise((r) => signal.addEventListener("abort", r))]);
        signal.throwIfAborted();
      },
    });
    const { worker, end } = await start({ ...source, tasks: [hold] });
    const completed: unknown[] = [];
    worker.hooks.on("jobComplete", ({ job }) => void completed.push(job.payload));
    await idle(worker);
    await database.sql("select howdah.add_job('quick', '\"later\"', run_at => now() + interval '1 day')");
    await idle(worker);
    await worker.client.pauseTask("quick");
    await idle(worker);
    await worker.client.addJob("quick", "waits");
    await idle(worker);
    expect(completed).toEqual([]);
    await worker.client.resumeTask("quick");
    await until(() => completed.length === 1);
    await idle(worker);
    const { id } = await worker.client.addJob("quick", "hold");
    await until(() => worker.metrics().running === 1);
    await worker.client.cancelJobs([id]);
    await until(() => aborts.length === 1);
    await idle(worker);
    expect([completed, aborts]).toEqual([["waits"], ["hold"]]);
    await end();
  });

  it("stops at once, and leaves nothing", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { worker, end } = await start({ ...source, connectionString: proxy.connectionString });
    await idle(worker);
    const before = proxy.statements.length;
    await end();
    // At most it says once more that it is gone.
    expect(proxy.statements.slice(before).filter((text) => !text.startsWith("delete from"))).toEqual([]);
    expect(proxy.connections).toBe(0);
  });
});

describe("an idle worker", () => {
  it("is off the register, and sends no statement over any connection", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { connectionString } = proxy;
    // A crontab that is not due costs nothing either.
    const crontab = "0 0 1 1 * quick";
    const clock = createShiftedClock();
    const options = { connectionString, crontab, clock };
    const workers = await Promise.all(SOURCES.map(([, source]) => start({ ...options, ...source })));
    await Promise.all(workers.map(({ worker }) => idle(worker)));
    expect(await registered()).toEqual([]);
    const before = [...proxy.statements];
    // Half an hour, in which everything that a worker does by itself would be due many times.
    for (let minute = 1; minute <= 30; minute += 1) {
      clock.skip(60_000);
      await systemClock.sleep(50);
    }
    expect(proxy.statements).toEqual(before);
    expect(workers.map(({ worker }) => worker.metrics())).toMatchObject([{ idle: true }, { idle: true }]);
    expect(proxy.connections).toBeGreaterThanOrEqual(2);
    await Promise.all(workers.map(({ worker }) => worker.stop()));
    for (const { end } of workers) await end();
  });

  it("returns when the session that it listens on ends, and hears of jobs over the next one", async () => {
    const { worker, ran, end } = await start();
    for (const round of [1, 2]) {
      await idle(worker);
      await database.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name like 'howdah worker%' and datname = current_database()`,
      );
      await until(async () => (await registered()).includes(worker.id), { message: "it to be registered again" });
      await idle(worker);
      await database.sql("select howdah.add_job('quick', '1')");
      await until(() => ran.length === round);
    }
    await end();
  });

  it("leaves nothing to recover when it is killed", async () => {
    await using process = await startWorkerProcess(database, { ...ADAPTIVE, taskNames: ["quick"] });
    await until(async () => (await registered()).length === 0, { message: "it to go idle" });
    process.kill("SIGKILL");
    await process.ended;
    expect(await registered()).toEqual([]);
    const locks = "select from pg_locks where locktype = 'advisory' and classid = 1752135524 and database = $1::oid";
    const [row] = await database.sql("select oid from pg_database where datname = current_database()");
    await until(async () => (await database.sql(locks, [row?.["oid"]])).length === 0);
  });

  it("does not go idle before a dead worker is recovered, and finds one when it looks around", async () => {
    const { worker, ran, end } = await start({ recovery: FAST_RECOVERY, idlePollInterval: "1s" });
    for (const round of [1, 2]) {
      await idle(worker);
      const dead = `howdah_${String(round).repeat(18)}`;
      await registerDead(database, dead);
      await addDeadJob(database, dead);
      await until(() => ran.length === round, { message: "the job of the dead worker", deadlineMs: 20_000 });
      await idle(worker);
      expect(await registered()).toEqual([]);
    }
    await end();
  });

  it("is one of several: those who are idle leave the others alone", async () => {
    const workers = await Promise.all([
      start(),
      start(),
      start({ pollInterval: "1s", idleTimeout: undefined, idlePollInterval: undefined }),
    ]);
    const [first, second, third] = workers;
    await Promise.all([idle(first.worker), idle(second.worker)]);
    expect(await registered()).toEqual([third.worker.id]);
    expect(third.worker.metrics().idle).toBe(false);
    await database.sql("select howdah.add_job('quick', '1') from generate_series(1, 30)");
    await until(() => workers.reduce((sum, { ran }) => sum + ran.length, 0) === 30);
    await Promise.all([idle(first.worker), idle(second.worker)]);
    await Promise.all(workers.map(({ worker }) => worker.stop()));
    for (const { end } of workers) await end();
  });

  it("keeps its next jobs when the statement by which it left the register arrives late", async () => {
    await using proxy = await openProxy(database.connectionString);
    const held = createHeldTask("quick", (_, { signal }) => signal.throwIfAborted());
    const { connectionString } = proxy;
    const { worker, end } = await start({ connectionString, tasks: [held.task] });
    const ended: string[] = [];
    worker.hooks.on("jobComplete", ({ job }) => void ended.push(job.id));
    const late = await proxy.next(/^delete from \S+_private_workers/, "before");
    const [leaver] = await registered();
    // It leaves over another connection.
    await idle(worker);
    const { id } = await worker.client.addJob("quick", "a");
    await until(() => held.started.length === 1);
    await until(async () => (await registered()).length > 0);
    await database.sql(late.text, [[leaver]]);
    const beats = () => proxy.statements.filter((text) => text.includes("last_heartbeat_at =")).length;
    const before = beats();
    await until(() => beats() > before + 3);
    held.openAll();
    await until(() => ended.length === 1);
    expect(ended).toEqual([id]);
    late.cut();
    await end();
  });

  it("stays on the register as long as that does not answer", async () => {
    await using proxy = await openProxy(database.connectionString);
    const { worker, ran, end } = await start({ connectionString: proxy.connectionString });
    for (const round of [1, 2]) {
      const caught = await proxy.next(/^delete from \S+_private_workers/, round === 1 ? "before" : "after");
      caught.cut();
      await database.sql("select howdah.add_job('quick', '1')");
      await until(() => ran.length === round);
      await idle(worker);
      await database.sql("select howdah.add_job('quick', '1')");
      await until(() => ran.length === round + 1);
      ran.length = round;
    }
    await idle(worker);
    expect(await registered()).toEqual([]);
    await end();
  });
});
