import { afterAll, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";
import { openProxy, type Proxy } from "../../harness/proxy.ts";
import { PATIENT_RECOVERY, startWorkerProcess, type WorkerProcess } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";

// Nothing that a worker starts may keep its process alive, whatever has happened to it before.
const database = await createDatabase();
afterAll(() => database.drop());

const OPTIONS = {
  taskNames: ["hold"],
  recovery: PATIENT_RECOVERY,
  statementTimeout: "2s",
  connectTimeout: "2s",
  shutdown: { gracePeriod: "100ms", abortPeriod: "100ms", interruptedJobRetryDelay: 0 },
} as const;

const troubles: [string, (proxy: Proxy, worker: WorkerProcess) => unknown][] = [
  ["is well", () => undefined],
  [
    "was declared dead",
    async (_proxy, worker) => {
      await database.sql("update howdah._private_workers set _howdah_swept = 1 where id = $1", [worker.workerId]);
      await worker.tells("aborted");
    },
  ],
  [
    "is being declared dead",
    (_proxy, worker) =>
      database.sql(
        `with gone as (delete from howdah._private_workers where id = $1)
         select howdah.recover_dead_worker_jobs(array[$1])`,
        [worker.workerId],
      ),
  ],
  [
    "had all its jobs unlocked",
    (_proxy, worker) => database.sql("select howdah.force_unlock_workers(array[$1])", [worker.workerId]),
  ],
  ["lost its connections", (proxy) => proxy.cut()],
  ["cannot reach the database", (proxy) => proxy.refuse()],
];

describe("a process that runs a worker", () => {
  it.each(troubles)("ends by itself with code 0 when the worker %s and is told to stop", async (_, happen) => {
    await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
    await using proxy = await openProxy(database.connectionString);
    const worker = await startWorkerProcess(database, {
      ...OPTIONS,
      localQueue: { size: 50 },
      connectionString: proxy.connectionString,
      concurrency: 2,
    });
    await database.sql(
      `select howdah.add_job('hold', queue_name => case n % 2 when 0 then 'q' end) from generate_series(1, 12) as n`,
    );
    await until(() => worker.told("job").length >= 2);
    await happen(proxy, worker);
    worker.kill("SIGTERM");
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect(worker.told("stopped")).toHaveLength(1);
  });
});
