import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { createDatabase } from "../../harness/database.ts";
import { PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { createShiftedClock } from "../../harness/shifted-clock.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

const LOST = { code: "HOWDAH_ABORTED_LOST" };

/** A task whose first run goes on until its gate is opened, or until it is told to stop when it obeys; later runs end at once. */
function createFirstHeld({ obeys }: { readonly obeys: boolean }) {
  const gate = createGate();
  const told: string[] = [];
  let runs = 0;
  const task = defineTask({
    identifier: "held",
    async run(name: string, { signal, job }) {
      runs += 1;
      if (runs > 1) return void told.push(`ran ${name}, attempt ${job.attempts}`);
      told.push(`started ${name}`);
      const reason = aborted(signal).then((found) => told.push((found as typeof LOST).code));
      await Promise.race([gate.opened, ...(obeys ? [reason] : [])]);
      told.push(`ended ${name}`);
      signal.throwIfAborted();
    },
  });
  return { task, told, end: gate.open };
}

const sources = [
  ["directly", {}],
  ["into a local queue", { localQueue: { size: 10 } }],
] as const;
const specs = [
  ["without a queue", {}],
  ["of a queue", { queueName: "q" }],
] as const;
const cases = sources.flatMap(([source, options]) =>
  specs.map(([kind, spec]) => [kind, source, { options, spec }] as const),
);

describe.each(cases)("a job %s that is unlocked by force while it runs, and claimed %s again", (_, __, given) => {
  it("is told to stop, runs again when it has, and is done once", async () => {
    const { task, told } = createFirstHeld({ obeys: true });
    const logger = createRecordingLogger();
    const options = { tasks: [task], concurrency: 2, pollInterval: "20ms", logger, ...given.options } as const;
    await using worker = await createTestWorker(database, options);
    const started = record(worker.hooks, "jobStart");
    const completed = record(worker.hooks, "jobComplete");
    const interrupted = record(worker.hooks, "jobInterrupted");
    await worker.client.addJob(task, "a", given.spec);
    const running = worker.run();
    await started.reach();
    await worker.client.forceUnlockWorkers([worker.id]);
    await completed.reach();
    expect(told).toEqual(["started a", LOST.code, "ended a", "ran a, attempt 2"]);
    expect(interrupted.events).toMatchObject([{ reason: "lost" }]);
    expect(logger.messages("warn")).toEqual(["A job was lost while it ran; its handler was told to stop"]);
    await worker.stop();
    await running;
    expect(completed.events).toHaveLength(1);
    expect(await database.sql("select from howdah._private_jobs")).toEqual([]);
    expect(await database.sql("select from howdah._private_job_queues where locked_by is not null")).toEqual([]);
  });
});

describe.each(sources)("a queue that is unlocked by force and claimed %s again", (_, options) => {
  it("waits for a handler that ignores its signal, while others run", async () => {
    const { task, told, end } = createFirstHeld({ obeys: false });
    const others = defineTask({ identifier: "other", run: () => undefined });
    const given = {
      tasks: [task, others],
      concurrency: 2,
      pollInterval: "20ms",
      shutdown: { abortPeriod: "20ms" },
      ...options,
    } as const;
    await using worker = await createTestWorker(database, given);
    const started = record(worker.hooks, "jobStart");
    const completed = record(worker.hooks, "jobComplete");
    const interrupted = record(worker.hooks, "jobInterrupted");
    for (const name of ["a", "b", "c"]) await worker.client.addJob(task, name, { queueName: "q" });
    const running = worker.run();
    await started.reach();
    await worker.client.forceUnlockWorkers([worker.id]);
    await interrupted.reach();
    await until(async () => {
      const [queue] = await database.sql("select locked_at from howdah._private_job_queues");
      return queue?.["locked_at"] !== null;
    });
    for (let n = 0; n < 3; n++) await worker.client.addJob(others);
    await completed.reach(3);
    expect(completed.events.map(({ job }) => job.task)).toEqual(["other", "other", "other"]);
    expect(told).toEqual(["started a", LOST.code]);
    end();
    await completed.reach(6);
    expect(told.slice(2).map((line) => line.split(",")[0])).toEqual(["ended a", "ran a", "ran b", "ran c"]);
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah._private_jobs")).toEqual([]);
    expect(await database.sql("select from howdah._private_job_queues where locked_by is not null")).toEqual([]);
  });
});

describe("a worker that was declared dead while it lives", () => {
  it("gives nothing back a second time: what it had cached runs once, with no attempt counted", async () => {
    const { task, told } = createFirstHeld({ obeys: true });
    const logger = createRecordingLogger();
    await using worker = await createTestWorker(database, {
      tasks: [task],
      logger,
      recovery: PATIENT_RECOVERY,
      localQueue: { size: 20 },
      concurrency: 1,
      pollInterval: "20ms",
    });
    const refused = record(worker.hooks, "jobReleaseRefused");
    const interrupted = record(worker.hooks, "jobInterrupted");
    const completed = record(worker.hooks, "jobComplete");
    const started = record(worker.hooks, "jobStart");
    const names = ["a", "b", "c", "d", "e", "f"];
    for (const name of names) await worker.client.addJob(task, name, name < "d" ? {} : { queueName: "q" });
    const running = worker.run();
    await started.reach();
    // What a sweeper does, all at once.
    await database.sql(
      `with swept as (update howdah._private_workers set _howdah_swept = 1 where id = $1)
       select howdah.recover_dead_worker_jobs(array[$1])`,
      [worker.id],
    );
    await completed.reach(names.length);
    expect(told.slice(0, 3)).toEqual(["started a", LOST.code, "ended a"]);
    expect(told.slice(3).toSorted()).toEqual(names.map((name) => `ran ${name}, attempt 1`));
    expect(interrupted.events).toMatchObject([{ reason: "lost", job: { id: started.events[0]?.job.id } }]);
    // Only what a handler has done is worth a word when it is refused.
    expect(refused.events).toEqual([]);
    expect(logger.messages("warn")).not.toContainEqual(expect.stringContaining("refused"));
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah._private_jobs")).toEqual([]);
  });
});

describe("a handler that has lost its slot", () => {
  it("keeps its queue although its worker goes on under another id and looks after the old one", async () => {
    const clock = createShiftedClock();
    let losesNext = false;
    const driver: Driver = {
      async query(query) {
        const answer = await database.driver.query(query);
        const isClaim = query.text.includes("_howdah_claim");
        const hasJobs = query.text.includes("_howdah_claim_named")
          ? answer.rows.length > 0
          : answer.rows.some(([kind]) => kind === "job");
        if (!losesNext || !isClaim || !hasJobs) return answer;
        losesNext = false;
        throw Object.assign(new Error("The connection was reset."), { code: "ECONNRESET" });
      },
      transaction: (work) => database.driver.transaction(work),
      listen: (channels, handlers) => database.driver.listen(channels, handlers),
      close: () => Promise.resolve(),
    };
    const gate = createGate();
    const ran: string[] = [];
    const stubborn = defineTask({ identifier: "stubborn", timeout: 1, run: () => gate.opened });
    const other = defineTask({ identifier: "other", run: (name: string) => void ran.push(name) });
    await using worker = await createTestWorker(database, {
      tasks: [stubborn, other],
      driver,
      clock,
      concurrency: 2,
      recovery: false,
      shutdown: { abortPeriod: "1ms" },
    });
    const failed = record(worker.hooks, "jobPermanentlyFail");
    await worker.client.addJob(stubborn, {}, { queueName: "q", maxAttempts: 1 });
    await worker.client.addJob(other, "behind it", { queueName: "q" });
    const { id } = worker;
    const running = worker.run();
    await failed.reach();
    losesNext = true;
    await worker.client.addJob(other, "of the lost claim");
    await until(() => {
      clock.skip(10_000);
      return ran.length > 0;
    });
    expect([ran, worker.id === id]).toEqual([["of the lost claim"], false]);
    const lockedBy = async () =>
      (await database.sql("select locked_by from howdah._private_job_queues"))[0]?.["locked_by"];
    expect(await lockedBy()).toBe(id);
    gate.open();
    await until(() => ran.length > 1);
    await worker.stop();
    await running;
    expect(await lockedBy()).toBe(null);
  });
});

describe("a listener that is connected to a server that was restarted", () => {
  it("has the handlers told to stop whose locks did not survive, and no others", async () => {
    let restarts = 0;
    const driver: Driver = {
      query: async (query) => {
        const answer = await database.driver.query(query);
        return query.text.includes("pg_postmaster_start_time()") ? { ...answer, rows: [[String(restarts)]] } : answer;
      },
      transaction: (work) => database.driver.transaction(work),
      listen: (channels, handlers) =>
        database.driver.listen(channels, {
          ...handlers,
          up(session) {
            restarts += 1;
            handlers.up(session);
          },
        }),
      close: () => Promise.resolve(),
    };
    const { task, told } = createFirstHeld({ obeys: true });
    const kept = createGate();
    const other = defineTask({ identifier: "kept", run: () => kept.opened });
    await using worker = await createTestWorker(database, {
      tasks: [task, other],
      driver,
      concurrency: 2,
      pollInterval: "1h",
      recovery: false,
    });
    const started = record(worker.hooks, "jobStart");
    const completed = record(worker.hooks, "jobComplete");
    const { id } = await worker.client.addJob(task, "a");
    await worker.client.addJob(other);
    const running = worker.run();
    await started.reach(2);
    await until(() => restarts === 1);
    const endSessions = () =>
      database.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`,
      );
    await endSessions();
    await until(() => restarts === 2);
    expect(told).toEqual(["started a"]);
    await database.sql("update howdah._private_jobs set locked_at = null, locked_by = null where id = $1", [id]);
    await endSessions();
    await until(() => told.length > 3);
    expect(told).toEqual(["started a", LOST.code, "ended a", "ran a, attempt 2"]);
    kept.open();
    await completed.reach(2);
    await worker.stop();
    await running;
  });
});
