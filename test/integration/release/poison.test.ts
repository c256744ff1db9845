import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase } from "../../harness/database.ts";
import { FAST_RECOVERY, locked, PATIENT_RECOVERY, startWorkerProcess } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues"));

/** How many jobs are cached beside the one that kills. */
const INNOCENT = 500;

const LATER = new Date("2100-01-01");

const heldJobs = () => database.sql("select from howdah._private_jobs where locked_by is not null");

describe("a job that kills its worker", () => {
  it("runs out of attempts; the jobs that were cached beside it run once, though they have only one attempt", async () => {
    // Gives back what the dead have held.
    await using sweeper = await createTestWorker(database, {
      tasks: [defineTask({ identifier: "none", run: () => undefined })],
      recovery: FAST_RECOVERY,
    });
    const running = sweeper.run();
    await sweeper.client.addJobs(
      Array.from({ length: INNOCENT }, (_, n) => ({
        task: "quick",
        spec: { maxAttempts: 1, runAt: LATER, ...(n % 2 ? { queueName: `q${n % 50}` } : {}) },
      })),
    );
    const { id } = await sweeper.client.addJob("die", {}, { maxAttempts: 1, runAt: LATER, priority: -1 });
    // All jobs are due at once, when its death can be noticed.
    const start = async () => {
      const worker = await startWorkerProcess(database, {
        taskNames: ["die", "quick"],
        recovery: PATIENT_RECOVERY,
        localQueue: { size: 2 * INNOCENT },
        concurrency: 1,
      });
      await locked(database, worker.workerId);
      await database.sql("update howdah._private_jobs set run_at = now()");
      return worker;
    };

    // Twice it is not known which is to blame; then it pays with its only attempt.
    for (let deaths = 1; deaths <= 3; deaths++) {
      const victim = await start();
      await victim.ended;
      await until(async () => (await heldJobs()).length === 0, { deadlineMs: 30_000 });
      const [poison] = await database.sql("select * from howdah._private_jobs where id = $1", [id]);
      expect(poison).toMatchObject({ attempts: Math.max(0, deaths - 2), _howdah_recoveries: deaths });
      const others = await database.sql("select attempts from howdah._private_jobs where id <> $1", [id]);
      expect(others).toEqual(Array.from({ length: INNOCENT }, () => ({ attempts: 0 })));
      await database.sql("update howdah._private_jobs set run_at = $1", [LATER]);
      await database.sql("update howdah._private_job_queues set locked_at = null, locked_by = null");
    }

    const survivor = await start();
    await until(async () => (await database.sql("select from howdah._private_jobs")).length === 1, {
      deadlineMs: 30_000,
    });
    expect(new Set(survivor.told("ran").map((job) => job["id"])).size).toBe(INNOCENT);
    expect(survivor.told("ran")).toHaveLength(INNOCENT);
    expect(await sweeper.client.getJob(id)).toMatchObject({
      state: "failed",
      attempts: 1,
      lastError: expect.stringContaining("The worker died while it ran this job") as unknown,
    });
    await sweeper.stop();
    await running;
    // Four processes start, and three of them have to be missed.
  }, 120_000);
});

describe("a job that is interrupted at every shutdown", () => {
  it("is refunded twice, then each attempt counts, and the last one is a failure that says why", async () => {
    const seen: number[] = [];
    const task = defineTask({
      identifier: "long",
      run: (_payload, { job, signal }) =>
        new Promise((_, reject) => {
          seen.push(job.attempts);
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        }),
    });
    const { id } = await database
      .sql("select id from howdah.add_job('long', max_attempts => 2)")
      .then(([row]) => row ?? {});
    const attempts: unknown[] = [];
    for (let run = 0; run < 4; run++) {
      const worker = await createTestWorker(database, {
        tasks: [task],
        recovery: false,
        shutdown: { gracePeriod: 0, interruptedJobRetryDelay: 0 },
      });
      const running = worker.run();
      await until(() => seen.length === run + 1);
      await worker.stop();
      await running;
      const [job] = await database.sql("select * from howdah._private_jobs where id = $1", [id]);
      attempts.push([job?.["attempts"], job?.["_howdah_recoveries"]]);
    }
    expect(seen).toEqual([1, 1, 1, 2]);
    expect(attempts).toEqual([
      [0, 1],
      [0, 2],
      [1, 3],
      [2, 3],
    ]);
    const [job] = await database.sql("select last_error from howdah._private_jobs");
    expect(job?.["last_error"]).toMatch(/^The job was interrupted again and again, and this was its last attempt/);
  });
});
