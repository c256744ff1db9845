import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { clientOver } from "../../../src/client/create-client.ts";
import type { JobContext } from "../../../src/job/execute/context.ts";
import { defineTask } from "../../../src/job/task.ts";
import { registerTasks, type StoredKeep } from "../../../src/postgres/queries/register-tasks.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createClaims, empty, jobsById } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createTestWorker } from "../../harness/worker.ts";

// What is kept of jobs that end otherwise than by a release.
const database = await createDatabase();
afterAll(() => database.drop());
const worker = await createClaims(database);
const client = clientOver({ ...database, logger: silentLogger });
beforeEach(async () => {
  await empty(database);
  await database.sql("truncate howdah._howdah_history, howdah._howdah_attempts");
  await keep({ days: 7, payload: true, result: true });
});

async function keep(kept: StoredKeep | undefined): Promise<void> {
  await registerTasks(database.driver, database.schema, new Map([["t", { keep: kept }]]));
}

const history = () =>
  database.sql("select id, state, error, result, payload, worker from howdah._howdah_history order by id");
const attempts = () =>
  database.sql("select job_id, attempt, worker, error from howdah._howdah_attempts order by job_id");
const left = async () => Object.keys(await jobsById(database));
const awaitAll = () => database.sql("update howdah._private_jobs set _howdah_awaited = true");
const lock = (id: string) =>
  database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = $1", [id]);

/** Listens while `work` runs, and gives the ids that were told. */
async function told(work: () => Promise<unknown>): Promise<string[]> {
  const session = await database.connect();
  const ids: string[] = [];
  session.on("notification", ({ payload }) => ids.push(...(JSON.parse(payload ?? "{}") as { ids: string[] }).ids));
  await session.query('listen "howdah:done"');
  await work();
  await session.query("select 1");
  await session.end();
  return ids.toSorted((a, b) => Number(a) - Number(b));
}

describe("a call that ends jobs", () => {
  it.each<[string, () => Promise<unknown>, object]>([
    ["completes them", () => client.completeJobs(["1"]), { state: "c", error: null }],
    ["removes them", () => client.removeJobs(["1"]), { state: "r", error: null }],
    ["removes one by its key", () => client.removeJob("k"), { state: "r", error: null }],
    ["cancels them while they wait", () => client.cancelJobs(["1"], "not wanted"), { state: "x", error: "not wanted" }],
    ["removes them by a filter", () => client.removeJobs({ task: "t" }), { state: "r", error: null }],
  ])("%s: they become history, and those who wait are told", async (_, work, expected) => {
    await client.addJob("t", { n: 1 }, { jobKey: "k" });
    await awaitAll();
    expect(await told(work)).toEqual(["1"]);
    expect(await history()).toEqual([{ id: "1", result: null, payload: { n: 1 }, worker: null, ...expected }]);
    expect(await left()).toEqual([]);
  });

  it("answers as before, and keeps nothing, when the task keeps nothing", async () => {
    await keep(undefined);
    for (const spec of [{}, {}, { jobKey: "k" }, {}]) await client.addJob("t", {}, spec);
    expect((await client.completeJobs(["1"])).map(({ id }) => id)).toEqual(["1"]);
    expect(await client.removeJobs(["2"])).toMatchObject([{ id: "2", task: "t", attempts: 0 }]);
    expect(await client.removeJob("k")).toMatchObject({ id: "3" });
    expect(await client.cancelJobs(["4"])).toMatchObject({ removed: ["4"] });
    expect([await history(), await left()]).toEqual([[], []]);
  });

  it("leaves a job that runs in the table, whatever it is told", async () => {
    await client.addJob("t", {}, { jobKey: "k" });
    await lock("1");
    await client.completeJobs(["1"]);
    await client.removeJobs(["1"]);
    await client.removeJob("k");
    await client.cancelJobs(["1"], "no");
    expect([await history(), await left()]).toEqual([[], ["1"]]);
  });

  it("rolled back, leaves them where they were", async () => {
    await client.addJob("t");
    const session = await database.connect();
    await session.query("begin; select howdah.complete_jobs('{1}'); rollback");
    expect([await history(), await left()]).toEqual([[], ["1"]]);
  });

  it("cleans up what has failed for good or was cancelled while it ran: that is kept with its error", async () => {
    await client.addJobs([{ identifier: "t" }, { identifier: "t" }]);
    await client.permanentlyFailJobs(["1"], "broken");
    await lock("2");
    await client.cancelJobs(["2"], "not wanted");
    await client.forceUnlockWorkers(["w"]);
    await client.cleanup(["permanentlyFailedJobs"]);
    expect(await history()).toMatchObject([
      { id: "1", state: "f", error: "broken" },
      { id: "2", state: "x", error: "not wanted" },
    ]);
    expect(await left()).toEqual([]);
  });
});

describe("jobs that are awaited and fail for good", () => {
  it("are told once, by each call that lets them fail", async () => {
    for (let count = 0; count < 3; count += 1) await client.addJob("t", {}, { maxAttempts: 1 });
    await awaitAll();
    await lock("2");
    await lock("3");
    await database.sql("update howdah._private_jobs set _howdah_recoveries = -1 where id = 3");
    expect(await told(() => client.permanentlyFailJobs(["1"]))).toEqual(["1"]);
    expect(await told(() => client.permanentlyFailJobs(["1"]))).toEqual([]);
    await database.sql("update howdah._private_jobs set locked_by = 'v' where id = 3");
    expect(await told(() => client.forceUnlockWorkers(["w"]))).toEqual(["2"]);
    expect(await told(() => database.sql("select howdah.recover_dead_worker_jobs('{v}')"))).toEqual(["3"]);
    expect(await history()).toEqual([]);
  });
});

describe("a recovery", () => {
  const recover = (more = "") => database.sql(`select * from howdah._howdah_recover_v1('{w}', 0, null, 100${more})`);

  it("records the attempts that count although the worker is dead, and tells of the last ones", async () => {
    for (let count = 0; count < 3; count += 1) await client.addJob("t", {}, { maxAttempts: 1 });
    for (const id of ["1", "2", "3"]) await lock(id);
    await awaitAll();
    // The handlers of these are known to have been called.
    await database.sql("update howdah._private_jobs set _howdah_recoveries = -2 where id <> 1");
    expect(await told(() => recover())).toEqual(["2", "3"]);
    expect(await attempts()).toEqual(
      ["2", "3"].map((id) => ({
        job_id: id,
        attempt: 1,
        worker: "w",
        error: "The worker died while it ran this job",
      })),
    );
    expect(await told(() => recover())).toEqual([]);
    expect(await attempts()).toHaveLength(2);
  });

  it("records one that an interceptor lets fail, with what it said", async () => {
    await client.addJob("t");
    await lock("1");
    await recover(", '{1}', '{fail}', '{null}', '{null}', '{no wonder}'");
    expect(await attempts()).toMatchObject([{ job_id: "1", error: "no wonder" }]);
  });

  it("records nothing of a row that is refused", async () => {
    await client.addJobs([{ identifier: "t" }, { identifier: "t" }]);
    for (const id of ["1", "2"]) await lock(id);
    await database.sql("update howdah._private_jobs set _howdah_recoveries = -2");
    await database.sql(`
      create function public.refuse() returns trigger language plpgsql as $$
        begin if old.id = 1 then raise 'no'; end if; return new; end $$;
      create trigger refuse before update on howdah._private_jobs for each row execute function public.refuse()`);
    await recover();
    await database.sql("drop function public.refuse() cascade");
    expect(await attempts()).toMatchObject([{ job_id: "2" }]);
  });

  it("records what a call recovers, too", async () => {
    await client.addJobs([{ identifier: "t" }, { identifier: "t" }]);
    for (const id of ["1", "2"]) await lock(id);
    await database.sql("update howdah._private_jobs set _howdah_recoveries = -1 where id = 2");
    await database.sql("select howdah.recover_dead_worker_jobs('{w}')");
    expect(await attempts()).toMatchObject([{ job_id: "2", attempt: 1, worker: "w" }]);
  });
});

/** Runs what is due with a handler of the task "t". */
async function run(handler: (context: JobContext) => Promise<void>): Promise<void> {
  const task = defineTask({
    identifier: "t",
    keep: { for: "7d", payload: true },
    retry: { type: "fixed", delay: "1h" },
    run: (_: unknown, context) => handler(context),
  });
  await using made = await createTestWorker(database, { tasks: [task] });
  await made.runOnce();
}

describe("context.complete()", () => {
  it("keeps the job with what it is given, if and when the transaction commits", async () => {
    await client.addJob("t", { n: 1 });
    await awaitAll();
    const session = await database.connect();
    const ended = told(() =>
      run(async ({ complete }) => {
        await session.query("begin");
        await complete(session, { done: true });
        expect(await history()).toEqual([]);
        await session.query("commit");
      }),
    );
    expect(await ended).toEqual(["1"]);
    expect(await history()).toMatchObject([{ id: "1", state: "c", result: { done: true }, payload: { n: 1 } }]);
    expect(await left()).toEqual([]);
  });

  it("asked again, keeps it once, also after a rollback to a savepoint", async () => {
    await client.addJob("t");
    const session = await database.connect();
    await run(async ({ complete }) => {
      await session.query("begin; savepoint before");
      await complete(session, 1);
      await complete(session, 2);
      await session.query("rollback to before");
      await complete(session, 3);
      await session.query("commit");
    });
    expect(await history()).toMatchObject([{ id: "1", result: 3 }]);
  });

  it("rolled back, or with a connection that dies before the commit, keeps nothing", async () => {
    for (const end of [(s: { query(text: string): unknown }) => s.query("rollback"), undefined]) {
      await client.addJob("t");
      const session = await database.connect();
      await run(async ({ complete }) => {
        await session.query("begin");
        await complete(session, 1);
        if (end) await end(session);
        else await session.end();
      });
    }
    expect(await history()).toEqual([]);
    expect(await left()).toEqual(["1", "2"]);
    expect(await attempts()).toHaveLength(2);
  });

  it("refuses a result that cannot be JSON, and has done nothing", async () => {
    await client.addJob("t");
    const session = await database.connect();
    let code: unknown;
    await run(async ({ complete }) => {
      await session.query("begin");
      await complete(session, 1n).catch((error: { code: unknown }) => (code = error.code));
      await session.query("commit");
    });
    expect(code).toBe("HOWDAH_OPTION_INVALID");
    // The handler had asked, and returned all the same.
    expect(await history()).toHaveLength(1);
  });
});

describe("a claim that was lost", () => {
  it("keeps nothing of what the worker that lost it says", async () => {
    await client.addJob("t");
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set locked_by = 'other'");
    const kept = [{ id: "1", result: "1", error: null, startedAt: null }];
    await worker.release({ claimTimes: [claimedAt], kept });
    expect(await history()).toEqual([]);
  });
});

describe("attempts of jobs that are gone", () => {
  const sweep = async (quantity = 500, intervalMs = 0) => {
    const [row] = await database.sql("select howdah._howdah_sweep_attempts_v1($1, $2) as deleted", [
      intervalMs,
      quantity,
    ]);
    return row?.["deleted"] as number;
  };
  const record = (ids: readonly number[]) =>
    database.sql(
      "insert into howdah._howdah_attempts (job_id, at, attempt) select id, now() + n * interval '1 s', n from unnest($1::bigint[]) as id, generate_series(1, 3) as n",
      [ids],
    );
  beforeEach(() => database.sql("update howdah._howdah_sweeper set attempts_at = '-infinity', attempts_after = 0"));

  it("are deleted, and those of jobs and of history stay", async () => {
    await client.addJobs([{ identifier: "t" }, { identifier: "t" }]);
    await client.completeJobs(["2"]);
    await record([1, 2, 3, 4]);
    expect(await sweep()).toBe(6);
    expect((await attempts()).map((row) => row["job_id"])).toEqual(["1", "1", "1", "2", "2", "2"]);
  });

  it("are looked at a number of jobs at a time, and then from the first again", async () => {
    await record([1, 2, 3, 4, 5]);
    const deleted: number[] = [];
    for (let call = 0; call < 4; call += 1) deleted.push(await sweep(2));
    expect(deleted).toEqual([6, 6, 3, 0]);
    await record([1]);
    expect(await sweep(2)).toBe(3);
  });

  it("are left to one worker in an interval, also one that is at it now", async () => {
    await record([1]);
    const session = await database.connect();
    await session.query("begin; select * from howdah._howdah_sweeper for update");
    expect(await sweep()).toBe(0);
    await session.query("rollback");
    expect(await sweep()).toBe(3);
    await record([2]);
    expect(await sweep(500, 60_000)).toBe(0);
    await database.sql("update howdah._howdah_sweeper set attempts_at = now() + interval '1 day'");
    expect(await sweep(500, 60_000)).toBe(3);
  });
});
