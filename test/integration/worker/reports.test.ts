import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import { countIndexedJobs } from "../../../src/postgres/queries/count-jobs.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { withBrokenClaims } from "../../harness/broken-claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { addDeadJob, PATIENT_RECOVERY } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase();
const client = clientOver({ ...database, logger: silentLogger });
afterAll(() => database.drop());
beforeEach(() =>
  database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers, howdah._howdah_paused_tasks",
  ),
);

const OPTIONS = { pollInterval: "50ms", recovery: { ...PATIENT_RECOVERY, heartbeatInterval: "200ms" } } as const;

const reportOf = async (workerId: string) =>
  (await client.listActiveWorkers()).find(({ id }) => id === workerId)?.report;

describe("the report of a worker", () => {
  it("says with its heartbeats what it runs, and what waits in its memory", async () => {
    const held = createHeldTask("held");
    await using worker = await createTestWorker(database, {
      ...OPTIONS,
      tasks: [held.task],
      concurrency: 2,
      localQueue: { size: 10 },
    });
    const jobs = await client.addJobs(
      ["a", "b", "c"].map((payload) => ({ identifier: "held", payload, spec: { queueName: `queue ${payload}` } })),
    );
    const before = systemClock.now();
    const running = worker.run();
    const report = await until(async () => {
      const said = await reportOf(worker.id);
      return said && said.running.length === 2 && said.cached === 1 ? said : undefined;
    });
    expect(report).toMatchObject({
      pid: process.pid,
      slots: 2,
      busy: 2,
      localQueueSize: 10,
      unwritten: 0,
      locked: 3,
      tasks: ["held"],
      moreTasks: 0,
      moreRunning: 0,
      claims: { failingSince: null, lastError: null },
      isRetired: false,
      isStopping: false,
    });
    const named = report.running.map(({ id, task, queueName }) => ({ id, task, queueName })).sort(byId);
    const started = jobs.filter(({ payload }) => held.started.includes(String(payload)));
    expect(named).toEqual(started.map(({ id, queueName }) => ({ id, task: "held", queueName })).sort(byId));
    for (const { since } of report.running) expect(Math.abs(since.getTime() - before)).toBeLessThan(60_000);
    held.openAll();
    await until(async () => (await reportOf(worker.id))?.locked === 0);
    await worker.stop();
    await running;
    expect(await reportOf(worker.id)).toBeUndefined();
  });

  it("says since when its claims fail, and no longer when they succeed", async () => {
    const held = createHeldTask("held");
    await using worker = await createTestWorker(database, { ...OPTIONS, tasks: [held.task] });
    const running = worker.run();
    await until(() => reportOf(worker.id));
    await withBrokenClaims(database, async () => {
      const failing = await until(async () => {
        const said = await reportOf(worker.id);
        return said?.claims.failingSince ? said.claims : undefined;
      });
      expect(failing.lastError).toMatch(/^function howdah\._howdah_\w*claim/);
    });
    await until(async () => (await reportOf(worker.id))?.claims.failingSince === null);
    await worker.stop();
    await running;
  });
});

describe("jobs that run", () => {
  /** More due jobs on both sides of what is added between than a search looks at. */
  const surround = async (between: () => Promise<string>): Promise<string> => {
    const add = (count: number) =>
      database.sql(`insert into howdah._private_jobs (task_id) select 1000000 from generate_series(1, ${count})`);
    await add(3_100);
    const id = await between();
    await add(1_100);
    return id;
  };

  it("are found by the reports of their workers behind any number of others", async () => {
    const held = createHeldTask("held");
    const id = await surround(async () => (await client.addJob("held", "a")).id);
    await using worker = await createTestWorker(database, { ...OPTIONS, tasks: [held.task] });
    const running = worker.run();
    await until(async () => (await reportOf(worker.id))?.running.length === 1);
    expect((await client.listJobs({ state: "running" })).jobs.map((job) => job.id)).toEqual([id]);
    const { held: counted } = await countIndexedJobs({ executor: database.driver, schema: database.schema });
    expect(counted).toMatchObject({ all: 1, isComplete: false, told: 1, untold: 0 });
    held.openAll();
    await until(async () => (await client.getJob(id)) === undefined);
    // What a worker said before its job ended is no job that runs.
    expect((await client.listJobs({ state: "running" })).jobs).toEqual([]);
    await worker.stop();
    await running;
  });

  it("are found without a report where claims take them, and counted beside those of reports", async () => {
    await database.sql(`insert into howdah._private_workers (id, last_heartbeat_at, metadata) values
      ('old', now(), '{"pid": 7, "tasks": ["quick"], "concurrency": 4}'),
      ('howdah_new', now(), '{"running": [], "locked": 5}'),
      ('swept', now(), '{"running": [], "locked": 100}'),
      ('odd', now(), '{"running": [1, null, {"id": "x"}, {"id": "99999999999999999999"}], "locked": "-7"}'),
      ('odder', now(), '"running"'), ('oddest', now(), '["running"]')`);
    await database.sql("update howdah._private_workers set _howdah_swept = 1 where id = 'swept'");
    const ids = [await addDeadJob(database, "old"), await addDeadJob(database, "graphile_worker_1")];
    expect((await client.listJobs({ state: "running" })).jobs.map((job) => job.id)).toEqual(ids);
    const { held: counted } = await countIndexedJobs({ executor: database.driver, schema: database.schema });
    expect(counted).toMatchObject({ all: 2, isComplete: true, told: 5, untold: 2 });
  });
});

function byId(one: { readonly id: string }, other: { readonly id: string }): number {
  return Number(one.id) - Number(other.id);
}
