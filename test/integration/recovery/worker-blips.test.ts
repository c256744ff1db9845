import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const JOB_COUNT = 2_000;

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

/** Ends every session of this database but the one that asks. */
async function endAllSessions(): Promise<void> {
  await database.sql(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
}

async function jobsLeft(): Promise<number> {
  const [row] = await database.sql("select count(*)::integer as count from howdah._private_jobs");
  return Number(row?.["count"]);
}

describe("when all sessions are ended in the middle of a drain", () => {
  it("run goes on, every job completes, and each activity complains once, not for every try", async () => {
    const logger = createRecordingLogger();
    const task = defineTask({ identifier: "job", run: () => undefined });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 8, logger });
    const completed = record(worker.hooks, "jobComplete");
    const errors = record(worker.hooks, "workerError");
    await worker.client.addJobs(
      Array.from({ length: JOB_COUNT }, (_, n) => ({ task, spec: n % 2 ? { queueName: `q${n % 50}` } : {} })),
    );
    let ended = false;
    const running = worker.run().then(() => {
      ended = true;
    });

    await completed.reach(JOB_COUNT / 4);
    await endAllSessions();
    // Once in a while a claim loses its answer; what it has locked is found again after a minute.
    await until(async () => (await jobsLeft()) === 0, { message: "the last job to be done", deadlineMs: 80_000 });
    expect(ended).toBe(false);
    await worker.stop();
    await running;

    // Releases are written in two lanes, each with a connection of its own.
    const times = (activity: string): number => errors.events.filter((event) => event.activity === activity).length;
    expect(times("listen for new jobs, and polls for them")).toBe(1);
    expect(times("claim jobs")).toBeLessThanOrEqual(1);
    expect(times("release jobs")).toBeLessThanOrEqual(2);
    expect(logger.messages("error")).toHaveLength(errors.events.length);
    const locks = await database.sql("select from howdah._private_job_queues where locked_at is not null");
    expect(locks).toHaveLength(0);
  }, 90_000);
});
