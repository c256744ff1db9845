import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { RecoveryOptions } from "../../../src/job/recover/options.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { createDatabase } from "../../harness/database.ts";
import { locked, registered, startWorkerProcess, type WorkerProcess } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers"));

/** A worker that has to watch for that long declares no other dead in a test, and frees no queue. */
const recovery: RecoveryOptions = {
  heartbeatInterval: "400ms",
  heartbeatTimeout: "1s",
  sweepInterval: "400ms",
  watchTime: "1h",
  contactTimeout: "1h",
  queueDelay: "2h",
  sweepThreshold: "1h",
  recoveryDelay: 0,
};

const hold = defineTask({ identifier: "hold", run: () => undefined });
const idle = defineTask({ identifier: "idle", run: () => undefined });

/** A worker that was killed while it ran a job without a queue and one in a queue. */
async function killOne(options: { readonly useNotificationDelivery?: boolean } = {}) {
  const victim = await startWorkerProcess(database, { taskNames: ["hold"], recovery, concurrency: 2, ...options });
  const [loose] = await database.sql("select id from howdah.add_job('hold', '{}')");
  const [queued] = await database.sql("select id from howdah.add_job('hold', '{}', queue_name => 'q')");
  await until(() => victim.told("job").length === 2);
  if (options.useNotificationDelivery !== false) await locked(database, victim.workerId);
  victim.kill();
  await victim.ended;
  return { victim, loose: String(loose?.["id"]), queued: String(queued?.["id"]) };
}

/** As if it had run on another machine, or in a container that is no more. */
const hideProcess = ({ workerId }: WorkerProcess) =>
  database.sql("update howdah._private_workers set _howdah_process = null where id = $1", [workerId]);

/** Runs a worker until it has completed these. Resolves to what it has recovered. */
async function runUntil(worker: Worker, wanted: readonly string[]): Promise<unknown[]> {
  const recovered = record(worker.hooks, "workerRecovered");
  const completed = record(worker.hooks, "jobComplete");
  const running = worker.run();
  await until(() => wanted.every((id) => completed.events.some(({ job }) => job.id === id)), { deadlineMs: 30_000 });
  await worker.stop();
  await running;
  return recovered.events.map(({ previousWorkerId, jobCount }) => [previousWorkerId, jobCount]);
}

describe("the jobs of a worker that was killed alone", () => {
  it.each([
    ["that listened", {}],
    ["that only polled", { useNotificationDelivery: false }],
  ])(
    "%s run as soon as another process of the same machine is there, queued ones too",
    async (_, options) => {
      const { victim, loose, queued } = await killOne(options);
      await using next = await createTestWorker(database, { tasks: [hold], recovery });
      expect(await runUntil(next, [loose, queued])).toEqual([[victim.workerId, 2]]);
    },
    60_000,
  );

  it("run elsewhere once the first session of a new process has seen for long enough that it is gone; queued ones wait", async () => {
    const { victim, loose, queued } = await killOne();
    await hideProcess(victim);
    const next = await startWorkerProcess(database, { taskNames: ["hold"], recovery });
    await next.tells("job", { id: loose });
    // Given back, and held up by its queue, of which it is not known yet that no handler is at it.
    const [job] = await database.sql("select locked_by from howdah.jobs where id = $1", [queued]);
    expect(job).toEqual({ locked_by: null });
    const [queue] = await database.sql("select locked_by from howdah._private_job_queues");
    expect(queue).toEqual({ locked_by: victim.workerId });
    next.kill();
  }, 60_000);

  it("run although no process that comes after it lives for long enough to see that", async () => {
    const { victim, loose } = await killOne();
    await hideProcess(victim);
    const absent = async () => Number((await registered(database, victim.workerId))?.["_howdah_absent_ms"] ?? -1);
    const isGivenBack = async () =>
      (await database.sql("select from howdah.jobs where id = $1 and locked_by = $2", [loose, victim.workerId]))
        .length === 0;
    let lives = 0;
    for (; !(await isGivenBack()); lives += 1) {
      const before = await absent();
      await using life = await startWorkerProcess(database, { taskNames: ["quick"], recovery });
      await until(async () => (await absent()) > before || (await isGivenBack()));
      life.kill();
      await life.ended;
    }
    // What is seen over one pause between two looks is never more than a heartbeat interval.
    expect(lives).toBeGreaterThanOrEqual(4);
  }, 120_000);
});

describe("a worker whose process still runs", () => {
  it("is not declared dead by its process, although its session is lost and its heart stands still", async () => {
    const id = "howdah_0123456789abcdef09";
    await using next = await createTestWorker(database, { tasks: [idle], recovery });
    const recovered = record(next.hooks, "workerRecovered");
    const running = next.run();
    await locked(database, next.id);
    await database.sql(
      `insert into howdah._private_workers (id, last_heartbeat_at, _howdah_lock_key, _howdah_lock_pid, _howdah_process)
       select $1, now(), 5, 5, _howdah_process from howdah._private_workers where id = $2`,
      [id, next.id],
    );
    const { victim } = await killOne();
    // The one that is gone is found, the other one is looked at as often.
    await recovered.reach();
    expect(recovered.events.map(({ previousWorkerId }) => previousWorkerId)).toEqual([victim.workerId]);
    expect(await registered(database, id)).toMatchObject({ _howdah_swept: 0 });
    await next.stop();
    await running;
  }, 60_000);
});
