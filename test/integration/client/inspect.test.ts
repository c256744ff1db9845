import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { JobListOptions } from "../../../src/client/inspect.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
});

afterAll(async () => {
  await database.drop();
});

/** Two jobs in each state, of two tasks. */
async function jobsInEveryState(): Promise<void> {
  for (const task of ["one", "two"]) {
    await client.addJobs([
      { identifier: task, payload: "ready", spec: { jobKey: `${task} key` } },
      { identifier: task, payload: "scheduled", spec: { runAt: "2200-01-01", queueName: task } },
      { identifier: task, payload: "running", spec: { queueName: task } },
      { identifier: task, payload: "failed", spec: { maxAttempts: 1 } },
    ]);
  }
  await database.sql(`update howdah._private_jobs set attempts = 1, locked_by = 'w',
    locked_at = timestamptz '2030-01-01 00:00:00.123456Z' where payload::text = '"running"'`);
  await database.sql("update howdah._private_jobs set attempts = 1 where payload::text = '\"failed\"'");
}

describe("getJob", () => {
  it("returns undefined for a job that is not there", async () => {
    expect(await client.getJob("1")).toBeUndefined();
    expect(await client.getJob("9223372036854775807")).toBeUndefined();
  });

  it("returns a job although its task was deleted behind our back", async () => {
    const job = await client.addJob("orphan");
    await database.sql("delete from howdah._private_tasks where identifier = 'orphan'");
    expect(await client.getJob(job.id)).toEqual({ ...job, task: "" });
  });

  it("returns times beyond JavaScript's dates as the nearest date", async () => {
    const job = await client.addJob("far");
    await database.sql("update howdah._private_jobs set run_at = 'infinity', created_at = '-infinity'");
    expect(await client.getJob(job.id)).toMatchObject({ runAt: new Date(8.64e15), createdAt: new Date(-8.64e15) });
  });
});

describe("listJobs", () => {
  it.each(["ready", "scheduled", "running", "failed"] as const)("finds the jobs that are %s", async (state) => {
    await jobsInEveryState();
    const { jobs, next } = await client.listJobs({ state });
    expect(jobs.map((job) => [job.task, job.payload, job.state])).toEqual([
      ["one", state, state],
      ["two", state, state],
    ]);
    expect(next).toBeUndefined();
  });

  it("finds jobs by task, queue, key and several of them together", async () => {
    await jobsInEveryState();
    const found = async (options: JobListOptions): Promise<unknown[]> =>
      (await client.listJobs(options)).jobs.map(({ task, payload }) => `${task} ${String(payload)}`);
    expect(await found({ task: "two" })).toEqual(["two ready", "two scheduled", "two running", "two failed"]);
    expect(await found({ queueName: "one" })).toEqual(["one scheduled", "one running"]);
    expect(await found({ queueName: "one", state: "running", task: "one" })).toEqual(["one running"]);
    expect(await found({ jobKey: "two key" })).toEqual(["two ready"]);
    expect(await found({ task: "three" })).toEqual([]);
    expect(await found({ queueName: "three" })).toEqual([]);
  });

  it("goes through all jobs page by page, once each, while others come and go", async () => {
    await client.addJobs(Array.from({ length: 25 }, (_, payload) => ({ identifier: "t", payload })));
    const seen: unknown[] = [];
    let after: string | undefined;
    let pages = 0;
    do {
      const { jobs, next } = await client.listJobs({ limit: 10, ...(after === undefined ? {} : { after }) });
      seen.push(...jobs.map(({ payload }) => payload));
      after = next;
      pages += 1;
      if (pages === 1) await client.completeJobs(jobs.slice(5).map(({ id }) => id));
    } while (after !== undefined);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => index));
    expect(pages).toBe(3);
  });

  it("says that there is no next page when the last one is exactly full", async () => {
    await client.addJobs(Array.from({ length: 10 }, () => ({ identifier: "t" })));
    expect((await client.listJobs({ limit: 10 })).next).toBeUndefined();
    expect((await client.listJobs({ limit: 9 })).next).toBeDefined();
  });
});

describe("stats", () => {
  it("counts the jobs by state, exactly while there are few", async () => {
    await jobsInEveryState();
    const { asOf, ...counts } = await client.stats();
    expect(counts).toEqual({ ready: 2, scheduled: 2, running: 2, failed: 2, exact: true });
    const [row] = await database.sql(
      "select now() >= $1::timestamptz and now() < $1::timestamptz + interval '1 min' as recent",
      [asOf.toISOString()],
    );
    expect(row).toEqual({ recent: true });
  });

  it("is zero for an empty queue", async () => {
    expect(await client.stats()).toMatchObject({ ready: 0, scheduled: 0, running: 0, failed: 0, exact: true });
  });

  it("estimates above 100,000 jobs, and says so", async () => {
    await client.addJob("t");
    const insert = `insert into howdah._private_jobs (task_id, run_at)
      select task_id, case when number % 4 = 0 then timestamptz '2200-01-01' else run_at end
      from howdah._private_jobs, generate_series(1, $1::int) as number`;
    await database.sql(insert, [99_999]);
    expect(await client.stats()).toMatchObject({ ready: 75_001, scheduled: 24_999, exact: true });

    await client.addJobs(Array.from({ length: 100_000 }, () => ({ identifier: "t" })));
    const { ready, scheduled, exact } = await client.stats();
    expect(exact).toBe(false);
    // A sample of some thousand pages is far closer than this.
    expect(ready + scheduled).toBeGreaterThan(120_000);
    expect(ready + scheduled).toBeLessThan(280_000);
    expect(scheduled).toBeLessThan(ready);
  });
});

describe("listQueues", () => {
  it("returns every queue by name, with its jobs and its lock", async () => {
    await jobsInEveryState();
    await client.addJob("t", {}, { queueName: "two" });
    await database.sql(`update howdah._private_job_queues set locked_by = 'w',
      locked_at = timestamptz '2030-01-01 00:00:00.123Z' where queue_name = 'one'`);
    const done = await client.addJob("t", {}, { queueName: "empty" });
    await client.completeJobs([done.id]);

    const unpaused = { isPaused: false, pausedUntil: null };
    expect(await client.listQueues()).toEqual([
      { name: "empty", jobCount: 0, readyCount: 0, lockedAt: null, lockedBy: null, ...unpaused },
      {
        name: "one",
        jobCount: 2,
        readyCount: 0,
        lockedAt: new Date("2030-01-01T00:00:00.123Z"),
        lockedBy: "w",
        ...unpaused,
      },
      { name: "two", jobCount: 3, readyCount: 1, lockedAt: null, lockedBy: null, ...unpaused },
    ]);
  });
});
