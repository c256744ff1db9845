import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker, record } from "../../harness/worker.ts";

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

const quick = defineTask({ identifier: "quick", run: () => undefined });

/** A task whose job runs until the gate is opened. */
function createHeld() {
  const gate = createGate();
  return { gate, task: defineTask({ identifier: "held", run: () => gate.opened }) };
}

it.each([{}, { queueName: "q" }])(
  "an open transaction that holds a running job (%j) delays that job, and no other",
  async (spec) => {
    const { task, gate } = createHeld();
    await using worker = await createTestWorker(database, { tasks: [task, quick], concurrency: 4 });
    const started = record(worker.hooks, "jobStart");
    const completed = record(worker.hooks, "jobComplete");
    const { id } = await worker.client.addJob(task, {}, { ...spec, jobKey: "key" });
    const running = worker.run();
    await started.reach();

    // A keyed add of a running job takes the key from it, and so holds its row until the commit.
    const session = await database.connect();
    await session.query("begin");
    await session.query("select howdah.add_job('quick', job_key => 'key')");
    gate.open();
    for (let n = 0; n < 100; n++) await worker.client.addJob(quick, {}, n % 2 ? { queueName: `q${n % 5}` } : {});
    await completed.reach(100);
    expect(completed.events.map(({ job }) => job.id)).not.toContain(id);
    await until(async () => (await database.sql("select from howdah.jobs")).length === 1);

    await session.query("commit");
    await until(async () => (await database.sql("select from howdah.jobs")).length === 0);
    await completed.reach(102);
    expect(completed.events.map(({ job }) => job.id)).toContain(id);
    await worker.stop();
    await running;
  },
);

it("stops within its time although a transaction holds the row of a job that ran, and says what was not written", async () => {
  const { task, gate } = createHeld();
  const shutdown = { gracePeriod: "200ms", abortPeriod: "20ms" } as const;
  const worker = await createTestWorker(database, { tasks: [task], shutdown });
  const started = record(worker.hooks, "jobStart");
  await worker.client.addJob(task);
  const running = worker.run();
  await started.reach();
  const session = await database.connect();
  await session.query("begin");
  await session.query("select from howdah._private_jobs for update");
  gate.open();
  await worker.stop();
  await running;
  await session.query("rollback");
  expect(await database.sql("select locked_by from howdah.jobs")).toEqual([{ locked_by: worker.id }]);
});
