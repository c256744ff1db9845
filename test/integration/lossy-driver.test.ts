import { expect, it } from "vitest";
import { defineTask } from "../../src/job/task.ts";
import { createDatabase } from "../harness/database.ts";
import { createLossyDriver } from "../harness/lossy-driver.ts";
import { createShiftedClock } from "../harness/shifted-clock.ts";
import { until } from "../harness/until.ts";
import { createTestWorker, record } from "../harness/worker.ts";

const JOBS = 120;
const SOURCES = { direct: {}, "local queue": { localQueue: { size: 15 } } } as const;

// One statement in four, of whatever kind, is lost before, after or while it is
// carried out, refused, or answered with rubbish. The seed decides which.
it.each([
  [1, "direct"],
  [2, "local queue"],
  [3, "direct"],
  [4, "local queue"],
] as const)(
  "a worker over a driver that loses statements (seed %i, %s) ends every job exactly once",
  async (seed, source) => {
    await using database = await createDatabase();
    const driver = createLossyDriver(database.driver, seed);
    const clock = createShiftedClock();
    const runs = new Map<number, number>();
    const inQueue = new Map<string, number>();
    const overlaps: string[] = [];
    const task = defineTask({
      identifier: "job",
      retry: { type: "fixed", delay: 1 },
      async run(n: number, { job }) {
        const queue = job.queueName ?? `none ${n}`;
        inQueue.set(queue, (inQueue.get(queue) ?? 0) + 1);
        if (inQueue.get(queue) !== 1) overlaps.push(queue);
        runs.set(n, (runs.get(n) ?? 0) + 1);
        await clock.sleep(n % 3);
        inQueue.set(queue, (inQueue.get(queue) ?? 0) - 1);
        if (n % 10 === 3 && runs.get(n) === 1) throw new Error("the first time");
      },
    });
    const options = { tasks: [task], driver, clock, concurrency: 6, pollInterval: "1s", ...SOURCES[source] } as const;
    await using worker = await createTestWorker(database, options);
    const completed = record(worker.hooks, "jobComplete");
    const failed = record(worker.hooks, "jobFail");
    const refused = record(worker.hooks, "jobReleaseRefused");
    await worker.client.addJobs(
      Array.from({ length: JOBS }, (_, n) => ({ task, payload: n, spec: n % 2 ? { queueName: `q${n % 14}` } : {} })),
    );
    driver.loseOneIn(4);
    const running = worker.run();
    await until(
      async () => {
        clock.skip(1_000);
        return (await database.sql("select from howdah._private_jobs")).length === 0;
      },
      { message: "the last job to be done", deadlineMs: 25_000 },
    );
    driver.loseOneIn(0);
    await completed.reach(JOBS);
    await worker.stop();
    await running;

    const expected = Array.from({ length: JOBS }, (_, n) => (n % 10 === 3 ? 2 : 1));
    expect(Array.from({ length: JOBS }, (_, n) => runs.get(n))).toEqual(expected);
    expect([completed.events.length, failed.events.length, refused.events.length]).toEqual([JOBS, JOBS / 10, 0]);
    expect(overlaps).toEqual([]);
    expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
    expect(Object.values(driver.lost).reduce((sum, count) => sum + count)).toBeGreaterThan(0);
  },
);
