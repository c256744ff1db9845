import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createGate, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

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

/** A task whose first call waits for the first gate, the second for the second, and so on. */
function createCalls(end: (call: number) => void = () => undefined) {
  const gates = [createGate(), createGate(), createGate()];
  let calls = 0;
  const task = defineTask({
    identifier: "job",
    async run() {
      const call = calls;
      calls += 1;
      await gates[call]?.opened;
      end(call);
    },
  });
  return { task, open: (call: number) => gates[call]?.open() };
}

describe.each([{}, { queueName: "q" }])("a worker whose job (%j) was unlocked and claimed by another", (spec) => {
  const ends: [string, (call: number) => void][] = [
    ["completion", () => undefined],
    [
      "failure",
      (call) => {
        if (call === 0) throw new Error("from the first worker");
      },
    ],
  ];
  it.each(ends)("has its %s refused and reported; the other's counts", async (_kind, end) => {
    const { task, open } = createCalls(end);
    const logger = createRecordingLogger();
    // With its only slot taken it does not claim the job again itself.
    const options = { tasks: [task], logger, concurrency: 1, shutdown: { gracePeriod: "1h" } } as const;
    const first = await createTestWorker(database, options);
    const refused = record(first.hooks, "jobReleaseRefused");
    const outcomes = (["jobComplete", "jobFail"] as const).map((name) => record(first.hooks, name));
    await using second = await createTestWorker(database, { tasks: [task], pollInterval: "20ms" });
    const firstStarted = record(first.hooks, "jobStart");
    const secondStarted = record(second.hooks, "jobStart");
    const completed = record(second.hooks, "jobComplete");
    const { id } = await first.client.addJob(task, {}, spec);

    const firstRun = first.run();
    await firstStarted.reach();
    void first.stop();
    await second.client.forceUnlockWorkers([first.id]);
    const secondRun = second.run();
    await secondStarted.reach();

    open(0);
    await refused.reach();
    await firstRun;
    expect(refused.events).toMatchObject([{ workerId: first.id, job: { id } }]);
    expect(logger.messages("warn")).toEqual(["The outcome of a job was refused: it no longer belongs to this worker"]);
    expect(outcomes.map(({ events }) => events.length)).toEqual([0, 0]);
    const held = await database.sql("select locked_by, attempts, last_error from howdah.jobs");
    expect(held).toEqual([{ locked_by: second.id, attempts: 2, last_error: null }]);
    const queues = (await second.client.listQueues()).queues;
    expect(queues.map(({ lockedBy }) => lockedBy)).toEqual("queueName" in spec ? [second.id] : []);

    open(1);
    await completed.reach();
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
    await second.stop();
    await secondRun;
  });
});

describe("a job that was deleted while it ran", () => {
  it("has its outcome refused and reported, and the worker goes on", async () => {
    const { task, open } = createCalls();
    await using worker = await createTestWorker(database, { tasks: [task] });
    const started = record(worker.hooks, "jobStart");
    const refused = record(worker.hooks, "jobReleaseRefused");
    const completed = record(worker.hooks, "jobComplete");
    await worker.client.addJob(task, {}, { queueName: "q" });
    await worker.client.addJob(task, {}, { queueName: "q" });
    const running = worker.run();
    const { job } = await started.reach();
    await database.sql("delete from howdah._private_jobs where id = $1", [job.id]);
    open(0);
    open(1);
    await refused.reach();
    await completed.reach();
    expect(completed.events.map((event) => event.job.id)).not.toContain(job.id);
    await worker.stop();
    await running;
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toHaveLength(0);
  });
});
