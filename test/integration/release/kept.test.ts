import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { snooze } from "../../../src/job/directive.ts";
import { type AnyTask, defineGatherTask, defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { createRelease } from "../../../src/postgres/queries/ending/release.ts";
import type { KeptJob } from "../../../src/postgres/queries/ending/release-request.ts";
import { registerTasks, type StoredKeep } from "../../../src/postgres/queries/register-tasks.ts";
import { changeOf, createClaims, driverOf, empty, jobsById } from "../../harness/claims.ts";
import { createDatabase } from "../../harness/database.ts";
import { createTestWorker } from "../../harness/worker.ts";

// What becomes of completed jobs that are kept or awaited, and of failed attempts.
const database = await createDatabase();
afterAll(() => database.drop());
const worker = await createClaims(database);
let sent: (string | undefined)[] = [];
beforeEach(async () => {
  await empty(database);
  await database.sql("truncate howdah._howdah_history, howdah._howdah_attempts");
  await keep(undefined);
  sent = [];
});

const watched: Driver = {
  ...database.driver,
  query(query) {
    sent.push(query.name);
    return database.driver.query(query);
  },
};
const release = createRelease(watched, database.schema);
const WEEK: StoredKeep = { days: 7, payload: false, result: true };

/** What the task "t" keeps. */
async function keep(kept: StoredKeep | undefined): Promise<void> {
  await registerTasks(database.driver, database.schema, new Map([["t", { keep: kept }]]));
}

const add = (count: number, queue: string | null = null) =>
  database.sql("select howdah.add_job('t', '{\"n\":1}', queue_name => $2) from generate_series(1, $1) as n", [
    count,
    queue,
  ]);
const awaitJob = (id: string) =>
  database.sql("update howdah._private_jobs set _howdah_awaited = true where id = $1", [id]);
const history = () => database.sql("select * from howdah._howdah_history order by id");
const attempts = () => database.sql("select * from howdah._howdah_attempts order by job_id, attempt");
const left = async () => Object.keys(await jobsById(database)).map(Number);
const keptJob = (id: string, more: Partial<KeptJob> = {}): KeptJob => ({
  id,
  result: null,
  error: null,
  startedAt: null,
  ...more,
});
const of = (claimedAt: string) => ({
  workerId: "w",
  claimTimes: [claimedAt],
  completed: [],
  changed: [],
  chainEnds: [],
  patient: true,
});

/** Listens while `work` runs, and gives the ids that were told. */
async function told(work: () => Promise<unknown>): Promise<string[]> {
  const session = await database.connect();
  const ids: string[] = [];
  session.on("notification", ({ payload }) => {
    const { schema, ids: done } = JSON.parse(payload ?? "{}") as { schema: string; ids: string[] };
    if (schema === "howdah") ids.push(...done);
  });
  await session.query('listen "howdah:done"');
  await work();
  await session.query("select 1");
  await session.end();
  return ids;
}

describe("a release of completed jobs that are kept", () => {
  it("moves them into history with one statement, with what their task keeps", async () => {
    await keep({ days: 30, payload: true, result: true });
    await add(2, "q");
    const { claimedAt, jobs } = await worker.claim();
    const startedAt = String(BigInt(claimedAt) + 5_000n);
    const [id = ""] = jobs.map((job) => job.id);
    const chainEnds = [{ queueId: jobs[0]?.queueId ?? 0, lastJobId: id, claimedAt }];
    const answer = await release({
      ...of(claimedAt),
      kept: [keptJob(id, { result: '{"a":1}', startedAt })],
      chainEnds,
    });
    expect([answer.unreleased.size, sent, await left()]).toEqual([0, ["howdah_release_completed_keeping_1"], [2]]);
    const [row] = await history();
    expect(row).toMatchObject({
      keep: 30,
      id: "1",
      task: "t",
      queue_name: "q",
      state: "c",
      attempts: 1,
      max_attempts: 25,
      worker: "w",
      key: null,
      payload: { n: 1 },
      result: { a: 1 },
      error: null,
      started_at: new Date(Number(startedAt) / 1_000),
    });
    expect(await database.sql("select locked_by from howdah._private_job_queues")).toEqual([{ locked_by: null }]);
    expect(await database.sql("select tableoid::regclass::text as name from howdah._howdah_history")).toHaveLength(1);
  });

  it("keeps neither payload nor result when the task keeps none", async () => {
    await keep({ days: 1, payload: false, result: false });
    await add(1);
    const { claimedAt } = await worker.claim();
    await release({ ...of(claimedAt), kept: [keptJob("1", { result: "1" })] });
    expect(await history()).toMatchObject([{ keep: 1, payload: null, result: null }]);
  });

  it("leaves those alone that are not held any more, and keeps the others", async () => {
    await keep(WEEK);
    await add(3);
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set locked_by = 'other' where id = 2");
    const kept = ["1", "2", "3"].map((id) => keptJob(id));
    const answer = await release({ ...of(claimedAt), kept });
    expect([...answer.unreleased]).toEqual([["2", "lost"]]);
    expect(sent).toEqual(["howdah_release_completed_keeping_1", "howdah_release_recording_1"]);
    expect([await left(), (await history()).map((row) => row["id"])]).toEqual([[2], ["1", "3"]]);
  });

  it("carried out again after a lost answer, writes nothing a second time", async () => {
    await keep(WEEK);
    await add(2);
    const { claimedAt } = await worker.claim();
    const kept = ["1", "2"].map((id) => keptJob(id));
    await release({ ...of(claimedAt), kept });
    const again = await release({ ...of(claimedAt), kept, isApart: true });
    expect([...again.unreleased]).toEqual([
      ["1", "gone"],
      ["2", "gone"],
    ]);
    expect(await history()).toHaveLength(2);
  });

  it("leaves them as they were when its transaction is rolled back", async () => {
    await keep(WEEK);
    await add(1);
    const { claimedAt } = await worker.claim();
    const session = await database.connect();
    await session.query("begin");
    await createRelease(driverOf(session), database.schema)({ ...of(claimedAt), kept: [keptJob("1")] });
    await session.end();
    expect([await left(), await history()]).toEqual([[1], []]);
  });

  it("steps over rows that others have locked", async () => {
    await keep(WEEK);
    await add(2);
    const { claimedAt } = await worker.claim();
    const session = await database.connect();
    await session.query("begin; select from howdah._private_jobs where id = 1 for update");
    const kept = ["1", "2"].map((id) => keptJob(id));
    await expect(release({ ...of(claimedAt), kept })).rejects.toMatchObject({ code: "55P03" });
    expect(await history()).toEqual([]);
    const answer = await release({ ...of(claimedAt), kept, patient: false });
    expect([...answer.unreleased]).toEqual([["1", "busy"]]);
    await session.query("rollback");
    expect((await history()).map((row) => row["id"])).toEqual(["2"]);
  });
});

describe("jobs that are awaited", () => {
  it("are kept for a day with their results although their task keeps nothing, and their end is told", async () => {
    await add(2);
    const { claimedAt } = await worker.claim();
    await awaitJob("1");
    const kept = [keptJob("1", { result: "7" }), keptJob("2", { result: "8" })];
    expect(await told(() => release({ ...of(claimedAt), kept }))).toEqual(["1"]);
    expect(await history()).toMatchObject([{ id: "1", keep: 1, result: 7 }]);
    expect(await left()).toEqual([]);
  });

  it("are left by a release that does not know of it, which says so", async () => {
    await add(2);
    const { claimedAt } = await worker.claim();
    await awaitJob("1");
    const answer = await release({ ...of(claimedAt), completed: ["1", "2"] });
    expect([...answer.unreleased]).toEqual([["1", "awaited"]]);
    expect(sent).toEqual(["howdah_release_completed_2", "howdah_release_2"]);
    expect(await left()).toEqual([1]);
  });

  it("tell that they have failed for good, once", async () => {
    await add(2);
    const { claimedAt } = await worker.claim();
    await awaitJob("1");
    const changed = [changeOf(1, { final: true, message: "no" }), changeOf(2, { final: true, message: "no" })];
    expect(await told(() => release({ ...of(claimedAt), changed }))).toEqual(["1"]);
    expect(await told(() => release({ ...of(claimedAt), changed, isApart: true }))).toEqual([]);
    expect(await history()).toEqual([]);
  });
});

describe("failed attempts", () => {
  it("are recorded by the release that writes them, with their errors and stacks", async () => {
    await add(3);
    const { claimedAt } = await worker.claim();
    const attempt = { number: 1, startedAt: claimedAt, stack: "Error: no\n    at x" };
    await release({
      ...of(claimedAt),
      changed: [changeOf(1, { message: "no", delayMs: 0, attempt }), changeOf(2, { refund: true })],
    });
    expect(await attempts()).toMatchObject([
      {
        job_id: "1",
        attempt: 1,
        worker: "w",
        error: "no",
        stack: attempt.stack,
        started_at: new Date(Number(claimedAt) / 1_000),
      },
    ]);
  });

  it("are not recorded of jobs that are not held any more", async () => {
    await add(2);
    const { claimedAt } = await worker.claim();
    await database.sql("update howdah._private_jobs set locked_by = 'other' where id = 1");
    const attempt = { number: 1, startedAt: null, stack: null };
    const changed = [1, 2].map((id) => changeOf(id, { message: "x".repeat(9_000), attempt }));
    await release({ ...of(claimedAt), changed });
    const found = await attempts();
    expect(found.map((row) => [row["job_id"], (row["error"] as string).length])).toEqual([["2", 8_192]]);
  });
});

/** Runs all jobs of these tasks. */
async function runAll(tasks: readonly AnyTask[], localQueue = false): Promise<void> {
  await using made = await createTestWorker(database, { tasks, localQueue, concurrency: 2 });
  await made.runOnce();
}

describe("a worker", () => {
  it.each([false, true])("keeps what its handlers return, with a local queue: %s", async (localQueue) => {
    const task = defineTask({
      identifier: "t",
      keep: "7d",
      run: (async (payload: { n: number }) => ({ twice: 2 * payload.n })) as never,
    });
    await add(3);
    await add(3, "q");
    await runAll([task], localQueue);
    const rows = await history();
    expect(rows).toHaveLength(6);
    for (const row of rows) {
      expect(row).toMatchObject({ keep: 7, state: "c", result: { twice: 2 }, payload: null });
      expect(Number(row["finished_at"])).toBeGreaterThanOrEqual(Number(row["started_at"]));
    }
    expect(await left()).toEqual([]);
  });

  it("keeps nothing of other tasks, however they end", async () => {
    let calls = 0;
    const task = defineTask({
      identifier: "t",
      retry: { type: "fixed", delay: 0 },
      run: () => {
        calls += 1;
        if (calls === 1) return snooze(0);
        if (calls === 2) throw new Error("once");
        return undefined;
      },
    });
    await add(2);
    await runAll([task]);
    expect([await left(), await history()]).toEqual([[], []]);
    expect(await attempts()).toMatchObject([{ error: "once", stack: expect.stringMatching(/^Error: once\n/) }]);
  });

  it("gives the result of a job that comes to be awaited while it runs", async () => {
    const task = defineTask({
      identifier: "t",
      run: (async (_: unknown, { job }: { job: { id: string } }) => {
        if (job.id === "2") await awaitJob("2");
        return Number(job.id);
      }) as never,
    });
    await add(3);
    await awaitJob("1");
    expect((await told(() => runAll([task]))).toSorted()).toEqual(["1", "2"]);
    expect(await history()).toMatchObject([
      { id: "1", keep: 1, result: 1 },
      { id: "2", keep: 1, result: 2 },
    ]);
    expect(await left()).toEqual([]);
  });

  it("keeps of each gathered job what its outcome was", async () => {
    const task = defineGatherTask({
      identifier: "t",
      keep: "1d",
      gather: { size: 3 },
      runMany: (jobs) => jobs.map(({ job }) => `done ${job.id}`),
    });
    await add(3);
    await runAll([task]);
    expect((await history()).map((row) => row["result"] as unknown)).toEqual(["done 1", "done 2", "done 3"]);
  });

  it("stores what its tasks keep, and takes it back", async () => {
    const stored = () =>
      database.sql(
        "select _howdah_keep as keep, _howdah_keep_payload as payload, _howdah_keep_result as result from howdah._private_tasks where identifier = 't'",
      );
    const run = (): void => undefined;
    await runAll([defineTask({ identifier: "t", run, keep: { for: "2d", payload: true } })]);
    expect(await stored()).toEqual([{ keep: 7, payload: true, result: true }]);
    await runAll([defineTask({ identifier: "t", run })]);
    expect(await stored()).toEqual([{ keep: null, payload: false, result: false }]);
  });
});
