import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
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

const task = defineTask({ identifier: "job", run: () => undefined });
/** A worker whose next poll is an hour away: whatever starts was announced, or looked for after the listener came back. */
function createListeningWorker() {
  const elsewhere = new URL(database.connectionString);
  elsewhere.searchParams.set("application_name", "listener");
  const options = { tasks: [task], pollInterval: "1h", listenConnectionString: elsewhere.href } as const;
  return createTestWorker(database, options);
}

/** The sessions that listen in this database, and have been told that they do. */
async function listeners(): Promise<number[]> {
  const rows = await database.sql(
    `select pid from pg_stat_activity
     where datname = current_database() and application_name = 'listener' and state = 'idle'
       and query <> '' and query !~* '^set default'`,
  );
  return rows.map((row) => Number(row["pid"]));
}

describe("a worker that listens", () => {
  it.each([
    ["by its own client", (client: { addJob(name: string): Promise<unknown> }) => client.addJob("job")],
    ["from SQL", () => database.sql("select howdah.add_job('job')")],
    ["from SQL, to a queue", () => database.sql("select howdah.add_job('job', queue_name => 'q')")],
  ] as const)("starts a job at once that was added %s while it was idle", async (_how, add) => {
    await using worker = await createListeningWorker();
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await until(async () => (await listeners()).length === 1);
    // The first look is over as soon as a job has run that was there before.
    await worker.client.addJob(task);
    await completed.reach();

    await add(worker.client);
    await completed.reach(2);
    await worker.stop();
    await running;
    expect(await listeners()).toEqual([]);
  });

  it("listens again after its session was ended, and finds what was added meanwhile", async () => {
    await using worker = await createListeningWorker();
    const completed = record(worker.hooks, "jobComplete");
    const errors = record(worker.hooks, "workerError");
    const running = worker.run();
    // Asked once: a moment later the session may be busy.
    let pid: number | undefined;
    await until(async () => ([pid] = await listeners()).length === 1);
    await worker.client.addJob(task);
    await completed.reach();

    // One statement ends the listener and adds a job without a notification.
    await database.sql(
      `with ended as (select pg_terminate_backend($1))
       insert into howdah._private_jobs (task_id, payload)
       select task.id, '"unannounced"' from howdah._private_tasks as task, ended where task.identifier = 'job'`,
      [pid],
    );
    await errors.reach();
    expect(errors.events).toMatchObject([{ activity: "listen for new jobs, and polls for them" }]);
    await completed.reach(2);
    await until(async () => (await listeners()).some((other) => other !== pid));

    await database.sql("select howdah.add_job('job')");
    await completed.reach(3);
    await worker.stop();
    await running;
    expect(errors.events).toHaveLength(1);
  });

  it("stops although the listener never came about", async () => {
    const gate = createGate();
    const stuck: Driver = {
      query: (query) => database.driver.query(query),
      transaction: (work) => database.driver.transaction(work),
      close: () => Promise.resolve(),
      async listen() {
        await gate.opened;
        throw new Error("gave up");
      },
    };
    const worker = await createTestWorker(database, { tasks: [task], driver: stuck, pollInterval: "50ms" });
    const completed = record(worker.hooks, "jobComplete");
    const ended = record(worker.hooks, "workerShutdown");
    await worker.client.addJob(task);
    const running = worker.run();
    await completed.reach();
    void worker.stop();
    await ended.reach();
    gate.open();
    await running;
    expect(ended.events).toHaveLength(1);
  });
});

describe("useNotificationDelivery: false", () => {
  it("opens no listener and finds jobs by polling", async () => {
    await using worker = await createTestWorker(database, {
      tasks: [task],
      pollInterval: "50ms",
      useNotificationDelivery: false,
    });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await worker.client.addJob(task);
    await completed.reach();
    await worker.client.addJob(task);
    await worker.client.addJob(task, {}, { queueName: "q" });
    await completed.reach(3);
    expect(await listeners()).toEqual([]);
    await worker.stop();
    await running;
  });
});

describe("a job that becomes due", () => {
  it("is found by polling, with and without a queue", async () => {
    await using worker = await createTestWorker(database, { tasks: [task], pollInterval: "50ms" });
    const completed = record(worker.hooks, "jobComplete");
    const running = worker.run();
    await database.sql("select howdah.add_job('job', run_at => now() + interval '0.3 s')");
    await database.sql("select howdah.add_job('job', run_at => now() + interval '0.3 s', queue_name => 'q')");
    await completed.reach(2);
    for (const { job } of completed.events) {
      expect(job.lockedAt?.getTime()).toBeGreaterThanOrEqual(job.runAt.getTime());
    }
    await worker.stop();
    await running;
  });
});
