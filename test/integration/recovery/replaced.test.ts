import { afterAll, beforeEach, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase } from "../../harness/database.ts";
import { openProxy } from "../../harness/proxy.ts";
import { locked, PATIENT_RECOVERY, registered } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createGate, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers"));

const idle = defineTask({ identifier: "idle", run: () => undefined });
const other = defineTask({ identifier: "other", run: () => undefined });

/** Waits for N more heartbeats of a worker. */
async function beats(workerId: string, count: number): Promise<void> {
  const beat = async (): Promise<string> =>
    String((await registered(database, workerId))?.["last_heartbeat_at"]?.getTime());
  for (let n = 0; n < count; n += 1) {
    const before = await beat();
    await until(async () => (await beat()) !== before, { message: "a heartbeat", deadlineMs: 30_000 });
  }
}

it("in a rolling deploy no worker is declared dead: neither one that finishes its jobs while others have started, nor a new one", async () => {
  const gate = createGate();
  const hold = defineTask({ identifier: "hold", run: () => gate.opened });
  const options = { tasks: [hold, idle], recovery: PATIENT_RECOVERY, concurrency: 2 } as const;
  const old = await createTestWorker(database, { ...options, shutdown: { gracePeriod: "1m" } });
  const started = record(old.hooks, "jobStart");
  const completed = record(old.hooks, "jobComplete");
  const { id } = old;
  await old.client.addJobs([0, 1].map((n) => ({ task: hold, spec: n === 0 ? { queueName: "q" } : {} })));
  const running = [old.run()];
  await started.reach(2);
  await locked(database, id);

  // The old one takes nothing any more, and finishes what it runs; the new ones come meanwhile.
  const stopping = old.stop();
  const fresh = await Promise.all([0, 1].map(() => createTestWorker(database, options)));
  const recovered = fresh.map(({ hooks }) => record(hooks, "workerRecovered"));
  running.push(...fresh.map((worker) => worker.run()));
  for (const worker of fresh) await locked(database, worker.id);
  await beats(id, 4);
  expect(await registered(database, id)).toMatchObject({ _howdah_swept: 0 });
  gate.open();
  await completed.reach(2);
  await stopping;
  for (const worker of fresh) await beats(worker.id, 4);
  expect(await registered(database, id)).toBeUndefined();
  expect(recovered.flatMap(({ events }) => events)).toEqual([]);
  expect(completed.events.map(({ job }) => job.attempts)).toEqual([1, 1]);
  await Promise.all(fresh.map((worker) => worker.stop()));
  await Promise.all(running);
}, 90_000);

it("a worker that is let in no more lives by the sessions that it has", async () => {
  await using proxy = await openProxy(database.connectionString);
  const { connectionString } = proxy;
  const worker = await createTestWorker(database, { tasks: [idle], connectionString, recovery: PATIENT_RECOVERY });
  const watcher = await createTestWorker(database, { tasks: [other], recovery: PATIENT_RECOVERY });
  const recovered = record(watcher.hooks, "workerRecovered");
  const completed = record(worker.hooks, "jobComplete");
  const { id } = worker;
  const running = [worker.run(), watcher.run()];
  for (const each of [id, watcher.id]) await locked(database, each);
  await watcher.client.addJob(idle);
  await completed.reach();
  // So does a server with a password that was changed: who is in stays in.
  proxy.turnAway();
  await beats(id, 6);
  await watcher.client.addJob(idle);
  expect(await completed.reach(2)).toMatchObject({ workerId: id });
  expect(recovered.events).toEqual([]);
  expect(worker.id).toBe(id);
  await Promise.all([worker.stop(), watcher.stop()]);
  await Promise.all(running);
}, 90_000);
