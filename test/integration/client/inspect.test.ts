import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver, createClient } from "../../../src/client/create-client.ts";
import type { JobListOptions } from "../../../src/client/inspect.ts";
import { JOB_STATES, type Job } from "../../../src/job/job.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { databaseTime } from "../../harness/database-time.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

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
    expect(await found({ queueName: "one" })).toEqual(["one running", "one scheduled"]);
    expect(await found({ queueName: "one", state: "running", task: "one" })).toEqual(["one running"]);
    expect(await found({ jobKey: "two key" })).toEqual(["two ready"]);
    expect(await found({ workerId: "w" })).toEqual(["one running", "two running"]);
    expect(await found({ workerId: "w", state: "running", task: "two" })).toEqual(["two running"]);
    expect(await found({ workerId: "w", queueName: "one" })).toEqual(["one running"]);
    expect(await found({ workerId: "w", state: "ready" })).toEqual([]);
    expect(await found({ workerId: "another" })).toEqual([]);
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

/** Every job that passes, page by page, and how many pages there were. */
async function allPages(options: JobListOptions): Promise<Job[]> {
  const jobs: Job[] = [];
  for (let after: string | undefined, isLast = false; !isLast;) {
    const page = await client.listJobs({ ...options, after });
    jobs.push(...page.jobs);
    isLast = page.next === undefined;
    after = page.next;
  }
  return jobs;
}

describe("any filter", () => {
  const TIME = "2200-01-01T00:00:00.123Z";

  /** Jobs of every state, with and without queues, of three priorities, some due at the same time. */
  async function fill(): Promise<Job[]> {
    const jobs = Array.from({ length: 90 }, (_, n) => ({
      identifier: `task ${n % 3}`,
      payload: { n, account: n % 7, deep: { list: [n % 5, "x"] } },
      spec: {
        ...(n % 4 === 0 ? {} : { queueName: `queue ${n % 4}` }),
        ...(n % 5 === 0 ? { runAt: n % 2 === 0 ? TIME : new Date(Date.UTC(2100, 0, n + 1)) } : {}),
        priority: (n % 3) - 1,
      },
    }));
    await client.addJobs(jobs);
    const at = "(payload ->> 'n')::int";
    await database.sql(`update howdah._private_jobs set created_at = now() - (90 - ${at}) * interval '1 hour'`);
    await database.sql(
      `update howdah._private_jobs set attempts = 25, last_error = 'Error: no ' || ${at} % 3 || E'\\n at x' where ${at} % 6 = 1`,
    );
    await database.sql(
      `update howdah._private_jobs set attempts = 25, locked_at = now(), locked_by = 'w', last_error = 'again' where ${at} % 11 = 2 and run_at < now()`,
    );
    const { jobs: all } = await client.listJobs({ limit: 1000 });
    expect(all.map(({ id }) => id)).toEqual(
      (await database.sql("select id::text as text from howdah._private_jobs order by id")).map(
        ({ text }) => text as string,
      ),
    );
    return all;
  }

  const passes = (job: Job, filter: JobListOptions): boolean => {
    const payload = job.payload as { account: number; deep: { list: unknown[] } };
    return [
      filter.state === undefined || job.state === filter.state,
      filter.task === undefined || job.task === filter.task,
      filter.queueName === undefined || job.queueName === filter.queueName,
      filter.priority === undefined || job.priority === filter.priority,
      filter.error === undefined || job.lastError?.includes(filter.error),
      filter.payload === undefined || (payload.account === 3 && payload.deep.list.includes(2)),
      filter.since === undefined || job.createdAt >= new Date(filter.since),
      filter.until === undefined || job.createdAt < new Date(filter.until),
    ].every(Boolean);
  };

  it("finds exactly the jobs that pass, once each, page by page, forward and backward", async () => {
    const all = await fill();
    const ago = (hours: number): Date => new Date(new Date().getTime() - hours * 3_600_000);
    const others: JobListOptions[] = [
      {},
      { task: "task 1" },
      { priority: -1 },
      { error: "no 1" },
      { payload: { account: 3, deep: { list: [2] } } },
      { since: ago(50) },
      { until: ago(20).toISOString(), since: ago(70) },
      { task: "task 2", priority: 1, since: ago(80) },
    ];
    let found = 0;
    for (const state of [undefined, ...JOB_STATES]) {
      for (const queueName of [undefined, "queue 1", "queue 9"]) {
        for (const other of others) {
          const filter = { ...other, state, queueName };
          const expected = all.filter((job) => passes(job, filter)).map(({ id }) => id);
          const forward = (await allPages({ ...filter, limit: 4 })).map(({ id }) => id);
          const back = (await allPages({ ...filter, limit: 7, backward: true })).map(({ id }) => id);
          expect([filter, [...forward].sort(), [...back].sort()]).toEqual([
            filter,
            [...expected].sort(),
            [...expected].sort(),
          ]);
          if (state !== undefined || queueName === undefined) expect([...back].reverse()).toEqual(forward);
          found += forward.length;
        }
      }
    }
    expect(found).toBeGreaterThan(500);
  });

  it("is listed in the order of the index that serves it", async () => {
    await fill();
    const keys = async (options: JobListOptions, key: (job: Job) => number[]): Promise<number[][]> =>
      (await allPages({ ...options, limit: 5 })).map(key);
    const isSorted = (list: number[][]): boolean =>
      list.every((each, index) => {
        const before = list[index - 1];
        const at = before?.findIndex((value, place) => value !== each[place]) ?? -1;
        return before === undefined || (at >= 0 && (before[at] ?? 0) < (each[at] ?? 0));
      });
    const id = ({ id: text }: Job): number => Number(text);
    for (const state of ["ready", "scheduled"] as const)
      expect(isSorted(await keys({ state }, (job) => [job.runAt.getTime(), id(job)]))).toBe(true);
    for (const state of ["running", "failed"] as const)
      expect(isSorted(await keys({ state }, (job) => [id(job)]))).toBe(true);
    const place = (job: Job): number[] =>
      job.state === "failed" ? [9, 0, id(job)] : [job.priority, job.runAt.getTime(), id(job)];
    expect(isSorted(await keys({ queueName: "queue 1" }, place))).toBe(true);
    expect(isSorted(await keys({ task: "task 1" }, (job) => [id(job)]))).toBe(true);
  });

  it("says what was searched, and goes on from there", async () => {
    await client.addJob("common");
    await database.sql(
      "insert into howdah._private_jobs (task_id) select task_id from howdah._private_jobs, generate_series(1, 120000)",
    );
    const [{ first }] = (await database.sql("select min(id) as first from howdah._private_jobs")) as [
      { first: string },
    ];
    const rare = await client.addJob("rare");
    const edge = (rows: number): string => String(Number(first) + rows - 1);
    const pages = [await client.listJobs({ task: "rare" })];
    while (pages.at(-1)?.next !== undefined)
      pages.push(await client.listJobs({ task: "rare", after: pages.at(-1)?.next }));
    expect(pages.map(({ jobs, searched }) => ({ ids: jobs.map(({ id }) => id), searched }))).toEqual([
      { ids: [], searched: { from: null, to: edge(50_000) } },
      { ids: [], searched: { from: edge(50_000), to: edge(100_000) } },
      { ids: [rare.id], searched: { from: edge(100_000), to: null } },
    ]);
    expect((await client.listJobs({ task: "rare", backward: true, limit: 1 })).jobs).toEqual([rare]);
    expect((await client.listJobs({ task: "common", limit: 5 })).searched).toEqual({ from: null, to: edge(5) });
    expect((await client.listJobs({ payload: { a: 1 } })).searched).toEqual({ from: null, to: edge(20_000) });
    expect((await client.listJobs({ state: "ready" })).searched).toBeUndefined();
  });

  it("does not take the next page of another filter, or what is none", async () => {
    await fill();
    const { next: after } = await client.listJobs({ state: "failed", limit: 1 });
    const refused = { code: "HOWDAH_OPTION_INVALID" };
    await expect(client.listJobs({ state: "ready", after })).rejects.toMatchObject(refused);
    for (const text of [
      "",
      "42",
      after?.slice(1),
      Buffer.from('["failed",0,"0","99999999999999999999"]').toString("base64url"),
    ])
      await expect(client.listJobs({ state: "failed", after: text ?? "" })).rejects.toMatchObject(refused);
  });

  it("finds payloads that only look as if jsonb could not hold them", async () => {
    const payloads = [
      `{"a":1,"id":"550e8400-e29b-41d4-a716-446655440000"}`,
      String.raw`{"a":1,"text":"\"0e1234\\\\\\","n":1e9}`,
      String.raw`{"a":1,"path":"C:\\u0000\\ud800"}`,
      String.raw`{"a":1,"smile":"\ud83d\ude00"}`,
    ];
    const unheld = [
      String.raw`{"a":1,"n":1e999999}`,
      String.raw`{"a":1,"text":"\\","n":-1.0E+999999,"more":"\\"}`,
      String.raw`{"a":1,"text":"\\\u0000"}`,
      String.raw`{"a":1,"text":"\\ud83d\ude00"}`,
      String.raw`{"a":1,"text":"\ud83d"}`,
    ];
    await client.addJob("odd");
    await database.sql(
      `insert into howdah._private_jobs (task_id, payload)
       select task_id, odd::json from howdah._private_jobs, unnest($1::text[]) as odd`,
      [[...payloads, ...unheld]],
    );
    const { jobs } = await client.listJobs({ payload: { a: 1 } });
    expect(jobs.map(({ payload }) => payload)).toEqual(payloads.map((payload) => JSON.parse(payload) as unknown));
  });

  it("reads past payloads that jsonb cannot hold", async () => {
    await client.addJob("t", { account: 3 });
    await database.sql(`insert into howdah._private_jobs (task_id, payload) select task_id, odd::json
      from howdah._private_jobs, unnest(array['{"account":3,"a":"\\u0000"}', '{"account":3,"a":"\\ud800"}', '{"account":3,"a":1e999999}']) as odd`);
    expect((await client.listJobs({ payload: { account: 3 } })).jobs).toHaveLength(1);
    await expect(client.listJobs({ payload: "\0" })).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(client.listJobs({ payload: () => 1 })).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(client.listJobs({ error: "\uD800" })).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});

describe("what an operator reads", () => {
  it("ends after two seconds, and is read one at a time by a transaction that can only read", async () => {
    const holder = await database.connect();
    await holder.query("begin; lock table howdah._private_jobs in access exclusive mode");
    const began = performance.now();
    const answers = Promise.allSettled([client.listJobs(), client.listJobs({ state: "failed" })]);
    const waiting = await until(async () => {
      const sessions = await database.sql(
        "select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return sessions.length > 0 ? sessions : undefined;
    });
    expect(waiting).toHaveLength(1);
    const results = await answers;
    expect(results).toMatchObject([
      { status: "rejected", reason: { code: "HOWDAH_QUERY_TIMEOUT" } },
      { status: "rejected", reason: { code: "HOWDAH_QUERY_TIMEOUT" } },
    ]);
    expect(performance.now() - began).toBeGreaterThanOrEqual(4_000);
    await holder.query("rollback");
    expect((await client.listJobs()).jobs).toEqual([]);
  });

  it("comes from the replica that is named, but for single jobs and transactions", async () => {
    const url = new URL(database.connectionString);
    url.searchParams.set("application_name", "replica");
    const readConnectionString = url.href;
    await using split = await createClient({
      driver: database.driver,
      readConnectionString,
      logger: silentLogger,
      migrate: false,
    });
    const { id } = await split.addJob("t");
    const byReplica = async (): Promise<unknown> =>
      (
        await database.sql("select count(*)::int as sessions from pg_stat_activity where application_name = 'replica'")
      )[0];
    await split.getJob(id);
    expect(await byReplica()).toEqual({ sessions: 0 });
    expect((await split.listJobs()).jobs).toHaveLength(1);
    await Promise.all([split.stats(), split.listQueues(), split.listErrors()]);
    expect(await byReplica()).toEqual({ sessions: 1 });
    await split.close();
    await until(async () => ((await byReplica()) as { sessions: number }).sessions === 0);
  });
});

describe("stats", () => {
  const counted = (value: number, exact = true) => ({ value, exact, asOf: expect.any(Date) });

  it("counts the jobs by state, exactly while there are few", async () => {
    await jobsInEveryState();
    const stats = await client.stats();
    expect(stats).toEqual({ ready: counted(2), scheduled: counted(2), running: counted(2), failed: counted(2) });
    const [row] = await database.sql(
      "select now() >= $1::timestamptz and now() < $1::timestamptz + interval '1 min' as recent",
      [stats.ready.asOf.toISOString()],
    );
    expect(row).toEqual({ recent: true });
  });

  it("is zero for an empty queue", async () => {
    const none = counted(0);
    expect(await client.stats()).toEqual({ ready: none, scheduled: none, running: none, failed: none });
    expect(await client.stats({ by: "task" })).toEqual({ by: "task", groups: [] });
    expect(await client.stats({ by: "error" })).toEqual({ by: "error", groups: [] });
  });

  it("counts the jobs of each task, queue and error", async () => {
    await jobsInEveryState();
    await client.addJob("two");
    const groups = async (by: "task" | "queue" | "error"): Promise<unknown> =>
      (await client.stats({ by })).groups.map(({ name, ...states }) => [
        name,
        ...JOB_STATES.map((state) => states[state].value),
      ]);
    expect(await groups("task")).toEqual([
      ["two", 2, 1, 1, 1],
      ["one", 1, 1, 1, 1],
    ]);
    expect(await groups("queue")).toEqual([
      ["one", 0, 1, 1, 0],
      ["two", 0, 1, 1, 0],
    ]);
    expect(await groups("error")).toEqual([["", 0, 0, 0, 2]]);
  });

  it("tells above 100,000 jobs what it has counted from what it estimates, and finds those that run", async () => {
    // An analyze that falls into one of the inserts would take its rows for dead ones, and its pages for full.
    await database.sql("alter table howdah._private_jobs set (autovacuum_enabled = off)");
    await client.addJob("t");
    const insert = `insert into howdah._private_jobs (task_id, job_queue_id, priority, run_at)
      select task_id, case when number % 10 = 0 then 1 + number % 50 end, number % 3,
        case when number % 4 = 0 then timestamptz '2200-01-01' else run_at end
      from howdah._private_jobs, generate_series(1, $1::int) as number`;
    await database.sql(
      "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(1, 50) as n",
    );
    await database.sql(insert, [99_999]);
    expect(await client.stats()).toEqual({
      ready: counted(75_001),
      scheduled: counted(24_999),
      running: counted(0),
      failed: counted(0),
    });

    await database.sql(
      "update howdah._private_jobs set attempts = 25 where id in (select id from howdah._private_jobs order by id limit 77)",
    );
    const claim = "set locked_at = now(), locked_by = 'w', attempts = 1";
    for (const [where, order] of [
      ["job_queue_id is null and priority = 0", "run_at, id"],
      ["job_queue_id is null and priority = 2", "run_at, id"],
      ["job_queue_id = 11", "priority, run_at, id"],
    ]) {
      await database.sql(`update howdah._private_jobs ${claim} where id in (
        select id from howdah._private_jobs where ${where} and not _howdah_exhausted and run_at <= now() order by ${order} limit 20)`);
    }
    await database.sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where id = 11");
    await client.addJobs(Array.from({ length: 100_000 }, () => ({ identifier: "t" })));
    await database.sql(
      "update howdah._private_jobs set locked_at = now(), locked_by = 'w' where id = (select max(id) from howdah._private_jobs)",
    );
    const { ready, scheduled, running, failed } = await client.stats();
    expect([running.value, failed]).toEqual([61, counted(77)]);
    expect([ready.exact, scheduled.exact, running.exact]).toEqual([false, false, false]);
    // Far wider than what the size of an index says of its rows.
    for (const [{ value }, truth] of [
      [ready, 175_000],
      [scheduled, 25_000],
    ] as const) {
      expect(value).toBeGreaterThan(truth * 0.6);
      expect(value).toBeLessThan(truth * 1.6);
    }
    expect((await allPages({ state: "running", limit: 20 })).length).toBe(61);
  });
});

describe("listErrors", () => {
  it("groups failed jobs by the first line of their error", async () => {
    const jobs = await client.addJobs(
      Array.from({ length: 7 }, (_, n) => ({
        identifier: `task ${n % 2}`,
        ...(n === 6 ? { spec: { queueName: "q" } } : {}),
      })),
    );
    const ids = jobs.map(({ id }) => id);
    await client.permanentlyFailJobs(ids.slice(0, 4), "Error: no\n at one");
    await client.permanentlyFailJobs(ids.slice(4, 5), "Error: no\n at two");
    await client.permanentlyFailJobs(ids.slice(6), "Other");
    const { errors, searchedTo } = await client.listErrors();
    const group = (message: string, newestId: string | undefined, byTask: { task: string; count: number }[]) => ({
      message,
      jobCount: { value: byTask.reduce((sum, { count }) => sum + count, 0), exact: true, asOf: expect.any(Date) },
      oldestAt: expect.any(Date),
      newestId,
      newestAt: expect.any(Date),
      tasks: byTask.map(({ task }) => task).sort(),
      byTask,
    });
    expect(errors).toEqual([
      group("Error: no", ids[4], [
        { task: "task 0", count: 3 },
        { task: "task 1", count: 2 },
      ]),
      group("Other", ids[6], [{ task: "task 0", count: 1 }]),
    ]);
    expect(searchedTo).toBeNull();
    expect((await client.listErrors({ queueName: "q" })).errors).toMatchObject([{ message: "Other" }]);
    expect((await client.listErrors({ task: "task 1" })).errors).toMatchObject([{ jobCount: { value: 2 } }]);
    expect((await client.listErrors({ limit: 1 })).errors).toHaveLength(1);
  });

  it("says when the first and the last of them failed, by the last attempt of each", async () => {
    const failing = defineTask({
      identifier: "failing",
      run: () => {
        throw new Error("out of order");
      },
    });
    const before = new Date(await databaseTime(database));
    await client.addJobs(
      ["1", "2"].map(() => ({ identifier: "failing", spec: { maxAttempts: 1, runAt: "2020-01-01T00:00:00Z" } })),
    );
    await database.sql("update howdah._private_jobs set created_at = '2020-01-01', updated_at = '2020-01-01'");
    await using worker = await createTestWorker(database, { tasks: [failing] });
    await worker.runOnce();
    const {
      errors: [found],
    } = await client.listErrors();
    expect(found).toMatchObject({ message: "out of order", byTask: [{ task: "failing", count: 2 }] });
    expect(found?.oldestAt.getTime()).toBeGreaterThanOrEqual(before.getTime());
    expect(found?.newestAt.getTime()).toBeGreaterThanOrEqual(found?.oldestAt.getTime() ?? Infinity);

    const after = new Date((await databaseTime(database)) + 1);
    await until(async () => (await databaseTime(database)) > after.getTime());
    const since = await client.listJobs({ failedSince: before });
    expect(since.jobs).toHaveLength(2);
    expect((await client.listJobs({ failedSince: before, failedUntil: after })).jobs).toHaveLength(2);
    expect((await client.listJobs({ failedUntil: before })).jobs).toEqual([]);
    expect((await client.listJobs({ failedSince: after })).jobs).toEqual([]);
    await client.permanentlyFailJobs(since.jobs.slice(1).map(({ id }) => id));
    expect((await client.listJobs({ failedSince: after })).jobs).toHaveLength(1);
  });

  it("looks at the newest 20,000, and says so", async () => {
    const { id } = await client.addJob("t", {}, { maxAttempts: 1 });
    await client.permanentlyFailJobs([id], "old");
    await database.sql(`insert into howdah._private_jobs (task_id, attempts, last_error)
      select task_id, 25, 'new ' || n % 2 from howdah._private_jobs, generate_series(1, 20000) as n`);
    const { errors, searchedTo } = await client.listErrors();
    expect(errors.map(({ message, jobCount }) => [message, jobCount.value, jobCount.exact])).toEqual([
      ["new 0", 10_000, false],
      ["new 1", 10_000, false],
    ]);
    expect(Number(searchedTo)).toBeGreaterThan(Number(id));
  });
});

describe("listQueues", () => {
  const count = (value: number, exact = true) => ({ value, exact, asOf: expect.any(Date) });

  it("returns every queue by name, with its jobs and its lock", async () => {
    await jobsInEveryState();
    await client.addJob("t", {}, { queueName: "two" });
    await database.sql(`update howdah._private_job_queues set locked_by = 'w',
      locked_at = timestamptz '2030-01-01 00:00:00.123Z' where queue_name = 'one'`);
    const done = await client.addJob("t", {}, { queueName: "empty" });
    await client.completeJobs([done.id]);

    const unpaused = { isPaused: false, pausedUntil: null, limits: null };
    expect(await client.listQueues()).toEqual({
      queues: [
        { name: "empty", jobCount: count(0), readyCount: count(0), lockedAt: null, lockedBy: null, ...unpaused },
        {
          name: "one",
          jobCount: count(2),
          readyCount: count(0),
          lockedAt: new Date("2030-01-01T00:00:00.123Z"),
          lockedBy: "w",
          ...unpaused,
        },
        { name: "two", jobCount: count(3), readyCount: count(1), lockedAt: null, lockedBy: null, ...unpaused },
      ],
      next: undefined,
    });
  });

  it("goes through them page by page, with a filter or without", async () => {
    await database.sql(
      "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(100, 199) as n",
    );
    await client.pauseQueue("q150");
    await client.addJob("t", {}, { queueName: "q160" });
    await database.sql(
      "update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where queue_name = 'q170'",
    );
    const names = async (options: Parameters<Client["listQueues"]>[0]): Promise<string[]> => {
      const found: string[] = [];
      for (let after: string | undefined, isLast = false; !isLast;) {
        const { queues, next } = await client.listQueues({ ...options, after, limit: 7 });
        found.push(...queues.map(({ name }) => name));
        isLast = next === undefined;
        after = next;
      }
      return found;
    };
    expect(await names({})).toEqual(Array.from({ length: 100 }, (_, n) => `q${n + 100}`));
    expect(await names({ search: "11" })).toEqual(Array.from({ length: 10 }, (_, n) => `q11${n}`));
    expect(await names({ isPaused: true })).toEqual(["q150"]);
    expect(await names({ hasJobs: true })).toEqual(["q160"]);
    expect(await names({ isLocked: true })).toEqual(["q170"]);
    expect(await names({ isLocked: false, isPaused: false, hasJobs: false })).toHaveLength(97);
  });

  it("counts a thousand jobs of each, and searches 50,000 queues", async () => {
    await client.addJob("t", {}, { queueName: "a long one" });
    await database.sql(`insert into howdah._private_jobs (task_id, job_queue_id)
      select task_id, job_queue_id from howdah._private_jobs, generate_series(1, 1000)`);
    const counts = { jobCount: count(1000, false), readyCount: count(1000, false) };
    expect((await client.listQueues({ hasJobs: true })).queues).toMatchObject([{ name: "a long one", ...counts }]);
    await database.sql(
      "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(100001, 160000) as n",
    );
    const first = await client.listQueues({ search: "60000" });
    expect(first).toEqual({ queues: [], next: "q149999" });
    expect(await client.listQueues({ search: "60000", after: first.next })).toMatchObject({
      queues: [{ name: "q160000" }],
      next: undefined,
    });
  });
});
