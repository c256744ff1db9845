import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobContext } from "../../../src/job/execute/context.ts";
import type { GatheredJob } from "../../../src/job/execute/gather-context.ts";
import { snooze } from "../../../src/job/directive.ts";
import { defineBatchTask, defineGatherTask, defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { openProxy } from "../../harness/proxy.ts";
import { FAST_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createGate, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
beforeEach(() =>
  database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_progress, howdah._howdah_job_logs",
  ),
);
afterAll(() => database.drop());

const leftOf = (table: "_howdah_progress" | "_howdah_job_logs") =>
  database.sql(`select job_id::text from howdah.${table} order by 1`);

describe.each<[string, Partial<WorkerOptions>, { queueName?: string }]>([
  ["claims directly", {}, {}],
  ["has a local queue", { localQueue: { size: 50 } }, {}],
  ["runs a chain", {}, { queueName: "q" }],
])("the notes of a worker that %s", (_how, options, spec) => {
  it("are read beside the job while it runs, and go with it", async () => {
    const gate = createGate();
    const task = defineTask({
      identifier: "import",
      logs: true,
      async run({ n }: { n: number }, { progress, log }) {
        progress({ done: n, of: 10 });
        log("begun", { n });
        await gate.opened;
        log("ended");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4, ...options });
    const { client } = worker;
    const completed = record(worker.hooks, "jobComplete");
    const jobs = await client.addJobs([1, 2, 3].map((n) => ({ task, payload: { n }, spec })));
    const running = worker.run();
    const [first] = jobs;
    const read = await until(async () => {
      const job = await client.getJob(first?.id ?? "");
      return job?.progress && job;
    });
    expect(read).toMatchObject({ state: "running", progress: { value: { done: 1, of: 10 } } });
    expect(Math.abs((read?.progress?.at.getTime() ?? 0) - systemClock.now())).toBeLessThan(20_000);
    const lines = await until(async () => {
      const found = await client.listJobLogs(first?.id ?? "");
      return found.length > 0 && found;
    });
    expect(lines).toEqual([{ at: expect.any(Date), attempt: 1, message: "begun", fields: { n: 1 } }]);
    gate.open();
    await completed.reach(3);
    await worker.stop();
    await running;
    expect(await leftOf("_howdah_progress")).toEqual([]);
    expect(await leftOf("_howdah_job_logs")).toEqual([]);
  });
});

describe("progress", () => {
  it("is that of each job of a call which does several", async () => {
    const gate = createGate();
    const task = defineGatherTask({
      identifier: "push",
      logs: true,
      gather: { size: 10, within: 200 },
      async runMany(jobs: GatheredJob<number>[]) {
        for (const { payload, progress, log } of jobs) {
          progress(payload);
          log(`job ${payload}`);
        }
        await gate.opened;
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 4 });
    const added = await worker.client.addJobs([1, 2, 3].map((n) => ({ task, payload: n })));
    const running = worker.run();
    await until(async () => {
      const jobs = await Promise.all(added.map(({ id }) => worker.client.getJob(id)));
      return jobs.map((job) => job?.progress?.value).join() === "1,2,3";
    });
    const lines = await Promise.all(added.map(({ id }) => worker.client.listJobLogs(id)));
    expect(lines.flat().map(({ message }) => message)).toEqual(["job 1", "job 2", "job 3"]);
    gate.open();
    await worker.stop();
    await running;
  });

  it("stays with a job that failed or waits, and the next attempt goes on from there", async () => {
    const seen: unknown[] = [];
    const task = defineBatchTask({
      identifier: "batch",
      retry: { type: "fixed", delay: 0 },
      async runBatch(_items: number[], { job, client, progress }) {
        seen.push((await client.getJob(job.id))?.progress?.value);
        progress(job.attempts);
        await until(async () => (await client.getJob(job.id))?.progress?.value === job.attempts);
        if (job.attempts === 1) throw new Error("no");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addBatchJob(task, [1]);
    await worker.runOnce();
    expect(seen).toEqual([undefined, 1]);
    expect(await leftOf("_howdah_progress")).toEqual([]);
  });

  it("is refused with a code when it is too large, which fails the attempt unless the handler catches it", async () => {
    const logger = createRecordingLogger();
    const task = defineTask({ identifier: "large", run: (_: unknown, { progress }) => progress("x".repeat(9_000)) });
    await using worker = await createTestWorker(database, { tasks: [task], logger });
    const { id } = await worker.client.addJob(task, {}, { maxAttempts: 1 });
    await worker.runOnce();
    expect((await worker.client.getJob(id))?.lastError).toBe(
      "A progress must have at most 8192 bytes as JSON; found 9002.",
    );
  });

  it("costs a worker one statement a second, however many jobs have one", async () => {
    await using proxy = await openProxy(database.connectionString);
    const gate = createGate();
    const held = defineTask({
      identifier: "held",
      async run(_: unknown, { progress, signal }) {
        for (let n = 0; !signal.aborted; n++) {
          progress(n);
          await systemClock.sleep(50, signal);
          if (await Promise.race([gate.opened.then(() => true), Promise.resolve(false)])) return;
        }
      },
    });
    const options = { tasks: [held], concurrency: 200, connectionString: proxy.connectionString };
    await using worker = await createTestWorker(database, options);
    await worker.client.addJobs(Array.from({ length: 200 }, () => ({ identifier: "held" })));
    const running = worker.run();
    const written = () => database.sql("select count(*)::int as n from howdah._howdah_progress");
    await until(async () => (await written())[0]?.["n"] === 200);
    const notes = () => proxy.statements.filter((text) => text.includes("_howdah_note_v1")).length;
    const [before, since] = [notes(), systemClock.monotonic()];
    await until(() => notes() >= before + 3, { deadlineMs: 20_000 });
    const seconds = (systemClock.monotonic() - since) / 1_000;
    expect(notes() - before).toBeLessThanOrEqual(seconds + 1);
    gate.open();
    await worker.stop();
    await running;
  });

  it("is not written by a worker that has lost the job, and does not take the place of a later claim's", async () => {
    const contexts: JobContext[] = [];
    const held = createHeldTask("held", (_name, context) => void contexts.push(context));
    const task = {
      ...held.task,
      run: (name: string, context: JobContext) => {
        contexts.push(context);
        return held.task.run(name, context);
      },
    };
    await using worker = await createTestWorker(database, { tasks: [task], recovery: false });
    const { id } = await worker.client.addJob(task, "a");
    const running = worker.run();
    await until(() => contexts.length === 1);
    contexts[0]?.progress("mine");
    await until(async () => (await worker.client.getJob(id))?.progress?.value === "mine");
    // Another worker has it now, and has said how far it is.
    await database.sql("update howdah._private_jobs set locked_by = 'other', locked_at = now() + interval '1 second'");
    await database.sql(`update howdah._howdah_progress set value = '"theirs"', claimed_at = now() + interval '1 hour'`);
    contexts[0]?.progress("late");
    await systemClock.sleep(1_500);
    expect((await worker.client.getJob(id))?.progress?.value).toBe("theirs");
    // Even while the database still takes the first claim for the one that counts.
    await database.sql(`update howdah._private_jobs set locked_by = $1, locked_at = now()`, [worker.id]);
    await database.sql(
      `select howdah._howdah_note_v1(array[job.id], array[locked_by], array[howdah._howdah_us(locked_at)], '{"\\"old\\""}',
         '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}') from howdah._private_jobs as job`,
    );
    expect((await worker.client.getJob(id))?.progress?.value).toBe("theirs");
    held.openAll();
    await worker.stop();
    await running;
  });
});

describe("the log of a job", () => {
  it("has the newest lines of all attempts, in the order of time, and goes to the worker's log as well", async () => {
    const logger = createRecordingLogger();
    const task = defineTask({
      identifier: "chatty",
      logs: { lines: 5 },
      run(_: unknown, { job, log }) {
        for (let n = 1; n <= 4; n++) log(`attempt ${job.attempts} line ${n}`, { n });
        if (job.attempts === 1) throw new Error("no");
        return snooze("1h");
      },
      retry: { type: "fixed", delay: 0 },
    });
    await using worker = await createTestWorker(database, { tasks: [task], logger });
    const { id } = await worker.client.addJob(task);
    await worker.runOnce();
    const lines = await worker.client.listJobLogs(id);
    expect(lines.map(({ attempt, message }) => [attempt, message])).toEqual([
      [1, "attempt 1 line 4"],
      [2, "attempt 2 line 1"],
      [2, "attempt 2 line 2"],
      [2, "attempt 2 line 3"],
      [2, "attempt 2 line 4"],
    ]);
    expect((await worker.client.listJobLogs(id, { limit: 2 })).map(({ message }) => message)).toEqual([
      "attempt 2 line 3",
      "attempt 2 line 4",
    ]);
    const logged = logger.entries.filter(({ message }) => message.startsWith("attempt"));
    expect(logged).toHaveLength(8);
    expect(logged[0]).toMatchObject({ level: "info", fields: { job: id, task: "chatty", attempt: 1, n: 1 } });
  });

  it("is not kept where the task does not ask for it", async () => {
    const logger = createRecordingLogger();
    const task = defineTask({
      identifier: "plain",
      run(_: unknown, { log }) {
        log("seen");
        return snooze("1h");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], logger });
    const { id } = await worker.client.addJob(task);
    await worker.runOnce();
    expect(await worker.client.listJobLogs(id)).toEqual([]);
    expect(logger.messages("info")).toContain("seen");
  });

  it("has what a killed worker's handler logged up to a second before, and goes when the job does", async () => {
    const task = defineTask({
      identifier: "killed",
      logs: true,
      async run(_: unknown, { job, log, signal }) {
        log(`attempt ${job.attempts}`);
        if (job.attempts === 1 && job.lastError === null) await new Promise(() => signal);
      },
    });
    await using proxy = await openProxy(database.connectionString);
    const doomed = await createTestWorker(database, {
      tasks: [task],
      connectionString: proxy.connectionString,
      recovery: FAST_RECOVERY,
      shutdown: { gracePeriod: 0, abortPeriod: 0 },
    });
    await using survivor = await createTestWorker(database, { tasks: [task], recovery: FAST_RECOVERY });
    const { client } = survivor;
    const { id } = await client.addJob(task);
    const dying = doomed.run();
    await until(async () => (await client.listJobLogs(id)).length === 1);
    await proxy.close();
    const completed = record(survivor.hooks, "jobComplete");
    const running = survivor.run();
    await completed.reach(1);
    await survivor.stop();
    await running;
    expect(await leftOf("_howdah_job_logs")).toEqual([]);
    await doomed.stop();
    await dying;
  });
});
