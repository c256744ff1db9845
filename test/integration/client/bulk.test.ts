import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { BulkOperation } from "../../../src/client/bulk.ts";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_operations");
});

afterAll(() => database.drop());

/** Jobs of the task "many", in three queues and without one, of which every other has failed for good. */
async function fill(quantity: number): Promise<void> {
  await database.sql(
    "insert into howdah._private_tasks (identifier) values ('many'), ('other') on conflict do nothing",
  );
  await database.sql(
    "insert into howdah._private_job_queues (queue_name) select 'q' || n from generate_series(1, 3) as n",
  );
  await database.sql(
    `insert into howdah._private_jobs (task_id, job_queue_id, run_at, attempts, last_error, priority)
     select (select id from howdah._private_tasks where identifier = case when n % 10 = 9 then 'other' else 'many' end),
       (select id from howdah._private_job_queues where queue_name = 'q' || n % 5), now() - n * interval '1 s',
       case when n % 2 = 0 then 25 else 0 end, case when n % 2 = 0 then 'no' end, n % 3
     from generate_series(1, $1::int) as n`,
    [quantity],
  );
}

const states = async (where = "true"): Promise<unknown> =>
  (
    await database.sql(
      `select count(*) filter (where _howdah_exhausted)::int as failed, count(*) filter (where not _howdah_exhausted)::int as waiting
       from howdah._private_jobs where ${where}`,
    )
  )[0];

describe("a change by a filter", () => {
  it("retries what has failed, and nothing else", async () => {
    await fill(3_000);
    await database.sql(
      "update howdah._private_jobs set attempts = 3, run_at = '2200-01-01' where id in (select id from howdah._private_jobs where not _howdah_exhausted limit 5)",
    );
    const told: BulkOperation[] = [];
    const ended = await client.retryJobs({ task: "many" }, { onProgress: (operation) => told.push(operation) });
    // Every other one is even; those that end with 9 are of the other task.
    expect(ended).toMatchObject({ action: "retry", state: "done", matched: 1_500, changed: 1_500, signalled: 0 });
    expect(told.map(({ matched }) => matched)).toEqual([500, 1_000, 1_500]);
    expect(await states()).toEqual({ failed: 0, waiting: 3_000 });
    const [untouched] = await database.sql(
      "select count(*)::int as jobs from howdah._private_jobs where attempts = 3 and run_at = '2200-01-01'",
    );
    expect(untouched).toEqual({ jobs: 5 });
    expect(await client.operations.list()).toEqual([ended]);
  });

  it("spreads jobs that run again over a time, and gives them as many attempts as it says", async () => {
    await fill(2_000);
    await database.sql("update howdah._private_jobs set _howdah_recoveries = 3, _howdah_cancelled = 'no'");
    const ended = await client.retryJobs({ task: "many", state: "failed" }, { spread: "10m", attempts: 3 });
    expect(ended).toMatchObject({ action: "retry", state: "done", matched: 1_000, changed: 1_000 });
    const [spread] = await database.sql(`
      select count(*)::int as jobs, min(run_at) < now() + interval '10 s' as soon, max(run_at) > now() + interval '9 min 30 s' as late,
        max(run_at) <= now() + interval '10 min' as within, count(distinct run_at)::int > 990 as apart,
        count(*) filter (where run_at < now() + interval '5 min')::int between 400 and 600 as even,
        bool_and(attempts = 0 and max_attempts = 3 and _howdah_recoveries = 0 and _howdah_cancelled is null) as afresh
      from howdah._private_jobs where max_attempts = 3`);
    expect(spread).toEqual({
      jobs: 1_000,
      soon: true,
      late: true,
      within: true,
      apart: true,
      even: true,
      afresh: true,
    });
    expect(await states()).toEqual({ failed: 0, waiting: 2_000 });
  });

  it("finds jobs by when they failed, and changes none that has not", async () => {
    await fill(100);
    await database.sql("update howdah._private_jobs set updated_at = '2020-01-01'");
    await database.sql(`update howdah._private_jobs set _howdah_released_at = '2020-01-03'
      where id in (select id from howdah._private_jobs where _howdah_exhausted order by id limit 10)`);
    await database.sql(`update howdah._private_jobs set updated_at = '2020-01-03'
      where id in (select id from howdah._private_jobs where not _howdah_exhausted order by id limit 10)`);
    const hours = { failedSince: "2020-01-02T00:00:00Z", failedUntil: "2020-01-04T00:00:00Z" };
    expect(await client.retryJobs(hours, { dryRun: true, spread: "1m" })).toMatchObject({ matched: 10 });
    expect(await client.retryJobs({ ...hours, failedSince: hours.failedUntil }, { dryRun: true })).toMatchObject({
      matched: 0,
    });
    expect(await client.removeJobs({ failedSince: hours.failedSince })).toMatchObject({ matched: 10, changed: 10 });
    expect(await states()).toEqual({ failed: 40, waiting: 50 });
  });

  it("goes on with the same spread and attempts in another process", async () => {
    await fill(3_000);
    const error = new Error("enough");
    const onProgress = (): never => {
      throw error;
    };
    const filter = { task: "many" };
    await expect(client.retryJobs(filter, { spread: "1h", attempts: 7, onProgress })).rejects.toThrow("enough");
    const [begun] = await client.operations.list();
    const other = clientOver({ ...database, logger: silentLogger });
    expect(await other.operations.resume(begun?.id ?? "")).toMatchObject({ state: "done", changed: 1_500 });
    expect(
      await database.sql(
        "select count(*)::int as jobs, max(run_at) > now() + interval '50 min' as spread from howdah._private_jobs where max_attempts = 7",
      ),
    ).toEqual([{ jobs: 1_500, spread: true }]);
  });

  it("reschedules each job once, in queues and without, although that moves it in its list", async () => {
    await fill(2_000);
    for (const filter of [{ queueName: "q1" }, { priority: 1, state: "ready" }] as const) {
      await database.sql("update howdah._private_jobs set revision = 0, max_attempts = 25");
      const { matched, changed } = await client.rescheduleJobs(filter, {
        runAt: "2100-01-01T00:00:00Z",
        maxAttempts: 30,
      });
      const [{ jobs }] = (await database.sql(
        "select count(*)::int as jobs from howdah._private_jobs where max_attempts = 30",
      )) as [{ jobs: number }];
      expect([matched, changed]).toEqual([jobs, jobs]);
      expect(jobs).toBeGreaterThan(200);
    }
    const delayed = await client.rescheduleJobs({ queueName: "q2", state: "failed" }, { runIn: "1h" });
    expect(delayed.changed).toBe(200);
    expect(
      await database.sql(
        "select count(*)::int as jobs from howdah._private_jobs where run_at between now() + interval '59 min' and now() + interval '1 h'",
      ),
    ).toEqual([{ jobs: 200 }]);
    const [{ wrong }] = (await database.sql(
      "select count(*)::int as wrong from howdah._private_jobs where run_at < now() and priority = 1 and not _howdah_exhausted",
    )) as [{ wrong: number }];
    expect(wrong).toBe(0);
  });

  it("removes what no worker runs, the failed ones of a queue too", async () => {
    await fill(1_000);
    await database.sql(
      "update howdah._private_jobs set locked_at = now(), locked_by = 'w' where id = (select min(id) from howdah._private_jobs where job_queue_id is not null and not _howdah_exhausted)",
    );
    const before = (
      await database.sql(
        "select count(*)::int as jobs from howdah._private_jobs join howdah._private_job_queues as queue on queue.id = job_queue_id where queue_name = 'q1'",
      )
    )[0];
    const { changed } = await client.removeJobs({ queueName: "q1" });
    expect(changed).toBe((before?.jobs as number) - 1);
    expect(
      await database.sql(
        "select job.locked_by from howdah._private_jobs as job join howdah._private_job_queues as queue on queue.id = job_queue_id where queue_name = 'q1'",
      ),
    ).toEqual([{ locked_by: "w" }]);
  });

  it("tells beforehand how many there are, by state and task, and changes nothing", async () => {
    await fill(1_000);
    const preview = await client.removeJobs({ queueName: "q4" }, { dryRun: true });
    expect(preview).toEqual({
      matched: 0,
      exact: true,
      byState: { ready: 0, scheduled: 0, running: 0, failed: 0 },
      byTask: [],
    });
    expect(await client.removeJobs({ priority: 1 }, { dryRun: true })).toEqual({
      matched: 334,
      exact: true,
      byState: { ready: 167, scheduled: 0, running: 0, failed: 167 },
      byTask: [
        { task: "many", count: 301 },
        { task: "other", count: 33 },
      ],
    });
    expect(await client.retryJobs({ queueName: "q1" }, { dryRun: true })).toMatchObject({
      matched: 100,
      byState: { failed: 100 },
    });
    expect(await states()).toEqual({ failed: 500, waiting: 500 });
    expect(await client.operations.list()).toEqual([]);
  });

  it("leaves jobs alone that are added meanwhile", async () => {
    await fill(1_200);
    const added: string[] = [];
    const ended = await client.removeJobs(
      { since: "2000-01-01T00:00:00Z" },
      { onProgress: () => void client.addJob("many").then(({ id }) => added.push(id)) },
    );
    expect(ended).toMatchObject({ matched: 1_200, changed: 1_200 });
    await until(() => added.length === 3);
    expect(await states()).toEqual({ failed: 0, waiting: 3 });
  });

  it("does not take what says nothing, or states that it cannot change", async () => {
    const invalid = { code: "HOWDAH_OPTION_INVALID" };
    await expect(client.retryJobs({})).rejects.toMatchObject(invalid);
    await expect(client.removeJobs(undefined as never)).rejects.toMatchObject(invalid);
    await expect(client.removeJobs({ state: "running" as never })).rejects.toMatchObject(invalid);
    await expect(client.rescheduleJobs({ task: "t" }, {})).rejects.toMatchObject(invalid);
    await expect(client.cancelJobs({ state: "failed" as never })).rejects.toMatchObject(invalid);
    const failedSince = "2020-01-01T00:00:00Z";
    await expect(client.cancelJobs({ failedSince })).rejects.toMatchObject(invalid);
    await expect(client.removeJobs({ state: "ready", failedSince })).rejects.toMatchObject(invalid);
    for (const attempts of [0, 1.5, 32_768, "all"])
      await expect(client.retryJobs({ task: "t" }, { attempts: attempts as never })).rejects.toMatchObject(invalid);
    await expect(client.retryJobs({ task: "t" }, { spread: "366d" })).rejects.toMatchObject(invalid);
    await expect(client.retryJobs(["1"], { dryRun: true } as never)).rejects.toMatchObject({
      code: "HOWDAH_OPTION_UNKNOWN",
    });
    for (const payload of [{}, { account: undefined }])
      await expect(client.removeJobs({ payload })).rejects.toMatchObject(invalid);
    await expect(client.retryJobs({ tsk: "t" } as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_UNKNOWN" });
    await expect(client.operations.resume("7")).rejects.toMatchObject({ code: "HOWDAH_OPERATION_UNKNOWN" });
    expect(await client.operations.list()).toEqual([]);
  });
});

it("changes a job of a queue once, although the change itself makes it fail or revives it", async () => {
  await fill(1_000);
  await database.sql("update howdah._private_jobs set attempts = 3 where attempts = 0");
  for (const to of [{ maxAttempts: 2 }, { attempts: 1 }])
    expect(await client.rescheduleJobs({ queueName: "q1" }, to)).toMatchObject({ matched: 200, changed: 200 });
});

it("changes nothing by ids when it is given options, which are for a filter", async () => {
  const { id } = await client.addJob("many", {}, { maxAttempts: 2 });
  const invalid = { code: "HOWDAH_OPTION_INVALID" };
  const { cancelJobs, rescheduleJobs } = client as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
  await expect(cancelJobs?.([id], undefined, { dryRun: true })).rejects.toMatchObject(invalid);
  await expect(rescheduleJobs?.([id], { priority: 3 }, { dryRun: true })).rejects.toMatchObject(invalid);
  expect(await client.getJob(id)).toMatchObject({ priority: 0 });
});

it("lets jobs run again by their ids, over a time and with other attempts", async () => {
  const { id } = await client.addJob("many", {}, { maxAttempts: 2 });
  await client.permanentlyFailJobs([id]);
  const [again] = await client.retryJobs([id], { attempts: 5, spread: "1h" });
  expect(again).toMatchObject({ id, attempts: 0, maxAttempts: 5 });
  expect(again?.runAt.getTime()).toBeGreaterThanOrEqual(again?.updatedAt.getTime() ?? Infinity);
  expect(await client.retryJobs([id])).toMatchObject([{ id, maxAttempts: 5, state: "ready" }]);
  const session = await database.connect();
  await session.query("begin");
  expect(await client.inTransaction(session).retryJobs([id], { attempts: 1 })).toMatchObject([{ maxAttempts: 1 }]);
  await session.query("commit");
});

it("does not catch what `onProgress` throws, even if it looks like a lost connection", async () => {
  await fill(1_200);
  const error = Object.assign(new Error("elsewhere"), { code: "ECONNRESET" });
  const onProgress = (): never => {
    throw error;
  };
  await expect(client.retryJobs({ task: "many" }, { onProgress })).rejects.toThrow("elsewhere");
  expect(await client.operations.list()).toMatchObject([{ state: "running", changed: 500 }]);
});

describe("beside others", () => {
  it("leaves a job alone that no longer passes the filter when it is its turn, and cancels one that began to run", async () => {
    const added = await client.addJobs(
      ["changed", "begun"].map((payload) => ({ identifier: "many", payload, spec: { priority: 7 } })),
    );
    const [changed, begun] = added.map(({ id }) => id);
    const holder = await database.connect();
    await holder.query(`begin; update howdah._private_jobs set priority = 1 where id = ${changed};
      update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = ${begun}`);
    const cancelled = client.cancelJobs({ priority: 7, state: "ready" });
    await until(
      async () =>
        (
          await database.sql(
            "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
          )
        ).length > 0,
    );
    await holder.query("commit");
    expect(await cancelled).toMatchObject({ matched: 2, changed: 0, signalled: 1 });
    expect(await client.getJob(changed ?? "")).toMatchObject({ priority: 1, state: "ready" });
  });

  it("waits for a transaction that holds a job, and steps over what it still holds after two seconds", async () => {
    await fill(100);
    const holder = await database.connect();
    await holder.query(
      "begin; select from howdah._private_jobs where id = (select min(id) from howdah._private_jobs) for update",
    );
    const ended = await client.removeJobs({ since: "2000-01-01T00:00:00Z" });
    expect(ended).toMatchObject({ state: "done", matched: 100, changed: 99 });
    await holder.query("rollback");
  });

  it("cancels and retries while workers run the jobs, each job once", async () => {
    const runs = new Map<number, number>();
    const task = defineTask({
      identifier: "beside",
      run: (n: number) => void runs.set(n, (runs.get(n) ?? 0) + 1),
    });
    await client.addJobs(
      Array.from({ length: 4_000 }, (_, n) => ({
        identifier: "beside",
        payload: n,
        spec: n % 4 === 0 ? { queueName: `q${n % 20}` } : {},
      })),
    );
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 10 });
    const running = worker.run();
    await until(() => runs.size > 200);
    const { changed, signalled } = await client.cancelJobs({ task: "beside" });
    await until(
      async () => (await database.sql("select from howdah._private_jobs where not _howdah_exhausted")).length === 0,
    );
    expect(changed).toBeGreaterThan(0);
    expect([...runs.values()].every((times) => times === 1)).toBe(true);
    // Those that were told to stop had run, or had been claimed and not started.
    expect(runs.size + changed + signalled).toBeGreaterThanOrEqual(4_000);
    expect(runs.size + changed).toBeLessThanOrEqual(4_000);
    await worker.stop();
    await running;
  });

  it("is paused, resumed and stopped from elsewhere", async () => {
    await fill(5_000);
    const other = clientOver({ ...database, logger: silentLogger });
    const first = client.retryJobs({ task: "many" }, { onProgress: pauseOnce(other) });
    const paused = await first;
    expect(paused).toMatchObject({ state: "paused" });
    expect(paused.matched).toBeLessThan(2_500);
    expect((await states()) as { failed: number }).toEqual({
      failed: 2_500 - paused.changed,
      waiting: 2_500 + paused.changed,
    });
    const resumed = await other.operations.resume(paused.id);
    expect(resumed).toMatchObject({ id: paused.id, state: "done", matched: 2_500, changed: 2_500 });

    const stops: Promise<BulkOperation>[] = [];
    const again = await client.removeJobs(
      { task: "many" },
      { onProgress: ({ id }) => void stops.push(other.operations.stop(id)) },
    );
    expect(again.state).toBe("stopped");
    for (const stopped of await Promise.all(stops)) expect(stopped).toMatchObject({ id: again.id, state: "stopped" });
    expect(await client.operations.resume(again.id)).toEqual(again);
    expect((await client.operations.list()).map(({ state }) => state)).toEqual(["stopped", "done"]);
  });

  function pauseOnce(other: Client): (operation: BulkOperation) => void {
    let isFirst = true;
    return ({ id }) => {
      if (isFirst) void other.operations.pause(id);
      isFirst = false;
    };
  }
});

describe("killed in the middle", () => {
  it("goes on in other processes, two of them at once, and changes each job once", async () => {
    await fill(30_000);
    // Counts every change of a row, so that a second one of the same job would be seen.
    await database.sql(`create function howdah.note_change() returns trigger language plpgsql as
      'begin new.revision = old.revision + 1; return new; end';
      create trigger note_change before update on howdah._private_jobs for each row execute function howdah.note_change()`);
    const script = new URL("../fixtures/bulk-operation.mjs", import.meta.url);
    await using first = await startNode(script, { args: [database.connectionString] });
    const { id } = JSON.parse(await first.line('"matched":2000')) as BulkOperation;
    first.kill();
    await first.ended;

    const left = await client.operations.get(id);
    expect(left).toMatchObject({ state: "running", signalled: 0 });
    expect(left.matched).toBe(left.changed);
    expect(await states()).toEqual({ failed: 15_000 - left.changed, waiting: 15_000 + left.changed });

    await using second = await startNode(script, { args: [database.connectionString, id] });
    await using third = await startNode(script, { args: [database.connectionString, id] });
    const ends = await Promise.all([second, third].map((process) => process.line("ended", 60_000)));
    for (const end of ends)
      expect(JSON.parse(end.slice("ended ".length))).toMatchObject({ state: "done", matched: 15_000, changed: 15_000 });
    expect(Math.min(second.lines.length, third.lines.length)).toBeGreaterThan(2);
    expect(await states()).toEqual({ failed: 0, waiting: 30_000 });
    expect(
      await database.sql("select revision, count(*)::int as jobs from howdah._private_jobs group by 1 order by 1"),
    ).toEqual([
      { revision: 0, jobs: 15_000 },
      { revision: 1, jobs: 15_000 },
    ]);
  }, 120_000);
});
