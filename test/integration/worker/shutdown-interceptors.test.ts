import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EVENT_NAMES } from "../../../src/hooks/events.ts";
import type { Interceptor } from "../../../src/hooks/emitter.ts";
import type { JobRecoveryEvent } from "../../../src/hooks/interceptors.ts";
import { defineTask } from "../../../src/job/task.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { aborted, createTestWorker, record } from "../../harness/worker.ts";

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

/** Interrupts one job by a shutdown, its handler obeying its signal or not; what became of it, and what was told. */
async function interrupt(jobRecovery: Interceptor<"jobRecovery">, { obeys = true } = {}) {
  const task = defineTask({
    identifier: "long",
    retry: { type: "fixed", delay: "2h" },
    async run(_payload: unknown, { signal }) {
      await (obeys ? aborted(signal) : new Promise(() => undefined));
      signal.throwIfAborted();
    },
  });
  const shutdown = { gracePeriod: 1, abortPeriod: 50, interruptedJobRetryDelay: "1h" } as const;
  const worker = await createTestWorker(database, { tasks: [task], shutdown, hooks: { jobRecovery } });
  const told: string[] = [];
  for (const name of EVENT_NAMES) worker.hooks.on(name, () => void told.push(name));
  const started = record(worker.hooks, "jobStart");
  const { id } = await worker.client.addJob(task, {}, { queueName: "q" });
  const running = worker.run();
  await started.reach();
  await worker.stop();
  await running;
  const [row] = await database.sql(
    `select job.attempts, job.last_error, job.locked_by is not null as locked, queue.locked_by is not null as queue_locked,
       round(extract(epoch from job.run_at - now()) / 3600) as hours
     from howdah._private_jobs as job join howdah._private_job_queues as queue on queue.id = job.job_queue_id`,
  );
  const ends = told.filter((name) => /^job(Fail|Interrupted|PermanentlyFail|ReleaseRefused)$/.test(name));
  return { id, row, ends, workerId: started.events[0]?.workerId };
}

const free = { locked: false, queue_locked: false };
const inHours = (hours: number): Date => new Date(systemClock.now() + hours * 3_600_000);

describe("jobRecovery at a shutdown", () => {
  it("is told which job is taken from which worker, and may leave it at that", async () => {
    const events: JobRecoveryEvent[] = [];
    const { id, row, ends, workerId } = await interrupt((event) => void events.push(event));
    expect(events).toMatchObject([{ workerId, previousWorkerId: workerId, reason: "shutdown", job: { id } }]);
    expect(row).toEqual({ ...free, attempts: 0, last_error: null, hours: "1" });
    expect(ends).toEqual(["jobInterrupted"]);
  });

  it.each([
    [undefined, 0],
    [5, 5],
  ])("names another time, with the attempts %s", async (attempts, stored) => {
    const { row, ends } = await interrupt(async () => {
      const decision = { action: "reschedule", runAt: inHours(5) } as const;
      return attempts === undefined ? decision : { ...decision, attempts };
    });
    expect(row).toEqual({ ...free, attempts: stored, last_error: null, hours: "5" });
    expect(ends).toEqual(["jobInterrupted"]);
  });

  it("fails the attempt, with the delay of its policy", async () => {
    const { row, ends } = await interrupt(() => ({ action: "fail", message: "check by hand" }));
    expect(row).toEqual({ ...free, attempts: 1, last_error: "check by hand", hours: "2" });
    expect(ends).toEqual(["jobFail"]);
  });

  it("leaves the job locked", async () => {
    const { row, ends } = await interrupt(() => ({ action: "skip" }));
    expect(row).toMatchObject({ attempts: 1, locked: true, queue_locked: true });
    expect(ends).toEqual([]);
  });

  it("is asked about a handler that ignores its signal, too, and waited for", async () => {
    const { row, ends } = await interrupt(
      async () => {
        await database.sql("select pg_sleep(0.05)");
        return { action: "fail", message: "still at it" };
      },
      { obeys: false },
    );
    // The queue is free when the process has ended.
    expect(row).toMatchObject({ attempts: 1, last_error: "still at it", locked: false });
    expect(ends).toEqual(["jobFail"]);
  });

  it("that is broken changes nothing and is told of", async () => {
    const { row, ends } = await interrupt(() => Promise.reject(new Error("no")));
    expect(row).toEqual({ ...free, attempts: 0, last_error: null, hours: "1" });
    expect(ends).toEqual(["jobInterrupted"]);
  });
});
