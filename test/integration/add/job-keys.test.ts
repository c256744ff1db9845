import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import type { Job, JobSpec } from "../../../src/job/job.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { BULK_ADDS, type BulkAdd } from "../../harness/bulk-adds.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs");
});

afterAll(async () => {
  await database.drop();
});

/** Single and bulk adds keep the same promises about keys. */
const ways = {
  addJob: (task: string, payload: unknown, spec: JobSpec): Promise<Job> => client.addJob(task, payload, spec),
  ...Object.fromEntries(BULK_ADDS.map(([name, addAll]) => [name, besideAnother(addAll)])),
};

function besideAnother(addAll: BulkAdd): (task: string, payload: unknown, spec: JobSpec) => Promise<Job> {
  return async (task, payload, spec) => {
    const [, job] = await addAll(client, [
      { identifier: "beside", payload: "untouched" },
      { identifier: task, payload, spec },
    ]);
    await database.sql("delete from howdah._private_jobs where payload::text = '\"untouched\"'");
    return job as Job;
  };
}

describe.each(Object.entries(ways))("a keyed %s", (_name, add) => {
  it("keeps one job, the last one (behaviours 24)", async () => {
    const jobs = [];
    for (const a of [1, 2, 3, 4]) jobs.push(await add("job1", { a }, { jobKey: "abc" }));

    expect(jobs.map(({ revision }) => revision)).toEqual([0, 1, 2, 3]);
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(1);
    expect((await client.listJobs()).jobs).toEqual([jobs[3]]);
    expect(jobs[3]?.payload).toEqual({ a: 4 });
  });

  it("replaces the time and the payload, or keeps the time, as its mode says (behaviours 26, 29, 44)", async () => {
    const first = await add("job1", { a: 1 }, { jobKey: "abc", runAt: "2200-01-01", jobKeyMode: "replace" });
    expect(first).toMatchObject({ revision: 0, runAt: new Date("2200-01-01"), payload: { a: 1 } });
    const second = await add("job1", { a: 2 }, { jobKey: "abc", runAt: "2201-01-01", jobKeyMode: "preserve_run_at" });
    expect(second).toMatchObject({ id: first.id, revision: 1, runAt: new Date("2200-01-01"), payload: { a: 2 } });
    const third = await add("job1", { a: 4 }, { jobKey: "abc", runAt: "2203-01-01", jobKeyMode: "replace" });
    expect(third).toMatchObject({ id: first.id, revision: 2, runAt: new Date("2203-01-01"), payload: { a: 4 } });
  });

  it("makes a job that waits for its retry as new (behaviours 33)", async () => {
    const first = await add("job1", {}, { jobKey: "abc" });
    await database.sql(
      "update howdah._private_jobs set attempts = 1, last_error = 'no', run_at = now() + interval '1h'",
    );
    const second = await add("job1", {}, { jobKey: "abc" });
    expect(second).toMatchObject({ id: first.id, attempts: 0, lastError: null, state: "ready" });
  });

  it("resets what the later add leaves out (behaviours 34, 36)", async () => {
    const first = await add("job1", { a: 1 }, { jobKey: "abc", queueName: "queue1", maxAttempts: 10, flags: ["f"] });
    const bare = await add("job1", undefined, { jobKey: "abc" });
    expect(bare).toMatchObject({ id: first.id, payload: {}, queueName: null, maxAttempts: 25, flags: [] });
    const full = await add("job2", { a: 2 }, { jobKey: "abc", queueName: "queue2", maxAttempts: 100, priority: 3 });
    expect(full).toMatchObject({ id: first.id, task: "job2", payload: { a: 2 }, queueName: "queue2", priority: 3 });
    expect(await client.getJob(first.id)).toEqual(full);
  });

  it("joins the arrays of both adds and returns what is stored", async () => {
    await add("job1", [1, { two: 2 }], { jobKey: "abc" });
    const merged = await add("job1", ["three"], { jobKey: "abc" });
    expect(merged.payload).toEqual([1, { two: 2 }, "three"]);
    expect(await client.getJob(merged.id)).toEqual(merged);
  });

  it("refuses to join arrays that cannot be joined, and keeps the stored one", async () => {
    const first = await add("job1", ["\0"], { jobKey: "abc" });
    await expect(add("job1", ["more"], { jobKey: "abc" })).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
    expect((await client.getJob(first.id))?.payload).toEqual(["\0"]);
  });

  it("stores a second job while the first runs, and takes the key and the retries of that one (behaviours 32)", async () => {
    const running = await add("job1", { a: 1 }, { jobKey: "abc" });
    await lock(running.id);
    const second = await add("job1", { a: 2 }, { jobKey: "abc" });

    expect(second).toMatchObject({ revision: 0, payload: { a: 2 }, state: "ready" });
    expect(second.id).not.toBe(running.id);
    expect(await client.getJob(running.id)).toMatchObject({ jobKey: null, attempts: 25, state: "running" });
  });

  it("does not lose the job when a claim of its key commits in between (sql-interface 3.1)", async () => {
    const first = await add("job1", { a: 1 }, { jobKey: "abc" });
    const worker = await database.connect();
    await worker.query("begin");
    await worker.query(claim, [first.id]);
    const second = add("job1", { a: 2 }, { jobKey: "abc" });
    await waitsForLock(worker);
    await worker.query("commit");

    expect(await second).toMatchObject({ payload: { a: 2 }, state: "ready", jobKey: "abc", revision: 0 });
    expect(await client.getJob(first.id)).toMatchObject({ jobKey: null, state: "running" });
  });

  it("does not lose the job when the running one is completed in between", async () => {
    const first = await add("job1", { a: 1 }, { jobKey: "abc" });
    await lock(first.id);
    const worker = await database.connect();
    await worker.query("begin");
    await worker.query("delete from howdah._private_jobs where id = $1", [first.id]);
    const second = add("job1", { a: 2 }, { jobKey: "abc" });
    await waitsForLock(worker);
    await worker.query("commit");

    expect(await second).toMatchObject({ payload: { a: 2 }, state: "ready", jobKey: "abc" });
    expect((await client.listJobs({ jobKey: "abc" })).jobs).toHaveLength(1);
  });

  it("waits for another session with the same new key and then changes its job", async () => {
    const session = await database.connect();
    await session.query("begin");
    const theirs = await client.inTransaction(session).addJob("job1", { a: 1 }, { jobKey: "abc" });
    const ours = add("job1", { a: 2 }, { jobKey: "abc" });
    await waitsForLock(session);
    await session.query("commit");

    expect(await ours).toMatchObject({ id: theirs.id, revision: 1, payload: { a: 2 } });
  });

  it("stores its own job when the other session with the same key rolls back", async () => {
    const session = await database.connect();
    await session.query("begin");
    const theirs = await client.inTransaction(session).addJob("job1", { a: 1 }, { jobKey: "abc" });
    const ours = add("job1", { a: 2 }, { jobKey: "abc" });
    await waitsForLock(session);
    await session.query("rollback");

    expect(await ours).toMatchObject({ revision: 0, payload: { a: 2 } });
    expect(await client.getJob(theirs.id)).toBeUndefined();
  });
});

describe("a claim that meets an add with its key", () => {
  it("claims the replaced job or nothing, but loses none", async () => {
    const first = await client.addJob("job1", { a: 1 }, { jobKey: "abc" });
    const session = await database.connect();
    await session.query("begin");
    await client.inTransaction(session).addJob("job1", { a: 2 }, { jobKey: "abc" });
    const worker = await database.connect();
    const claimed = await worker.query(
      "select id from howdah._private_jobs where id = $1 and is_available for update skip locked",
      [first.id],
    );
    await session.query("commit");

    expect(claimed.rowCount).toBe(0);
    expect((await client.listJobs()).jobs).toMatchObject([{ id: first.id, payload: { a: 2 }, state: "ready" }]);
  });
});

describe("unsafe_dedupe", () => {
  it("raises the revision and changes nothing else (behaviours 28)", async () => {
    const first = await client.addJob("job1", { a: 2 }, { jobKey: "abc", runAt: "2200-01-01", queueName: "q1" });
    const again = await client.addJob(
      "job2",
      { a: 3 },
      { jobKey: "abc", runAt: "2202-01-01", jobKeyMode: "unsafe_dedupe", queueName: "q2" },
    );
    expect(again).toEqual({ ...first, revision: 1, updatedAt: again.updatedAt });
  });

  it("stores the first job as any other mode does", async () => {
    const job = await client.addJob("new_task", [1], {
      jobKey: "abc",
      jobKeyMode: "unsafe_dedupe",
      queueName: "new_queue",
    });
    expect(job).toMatchObject({ task: "new_task", queueName: "new_queue", payload: [1], revision: 0 });
  });

  it("returns a job that runs as it is, and adds none", async () => {
    const running = await client.addJob("job1", { a: 1 }, { jobKey: "abc" });
    await lock(running.id);
    const found = await client.addJob("job1", { a: 2 }, { jobKey: "abc", jobKeyMode: "unsafe_dedupe" });
    expect(found).toMatchObject({ id: running.id, payload: { a: 1 }, state: "running" });
  });
});

describe.each(BULK_ADDS)("%s", (_name, addAll) => {
  describe("bulk adds with keys", () => {
    it("follows the mode of each entry in one call", async () => {
      await client.addJobs(["a", "b"].map((jobKey) => ({ identifier: "t", spec: { jobKey, runAt: "2200-01-01" } })));
      const runAt = "2201-01-01";
      const jobs = await addAll(client, [
        { identifier: "t", spec: { jobKey: "b", jobKeyMode: "preserve_run_at", runAt } },
        { identifier: "t", spec: { jobKey: "c", jobKeyMode: "preserve_run_at", runAt } },
        { identifier: "t", spec: { runAt } },
        { identifier: "t", spec: { jobKey: "a", jobKeyMode: "replace", runAt } },
      ]);

      const years = jobs.map((job) => [job.jobKey, job.runAt.getUTCFullYear(), job.revision]);
      expect(years).toEqual([
        ["b", 2200, 1],
        ["c", 2201, 0],
        [null, 2201, 0],
        ["a", 2201, 1],
      ]);
    });

    it("changes the stored one and adds the others of a mixed list (behaviours 50)", async () => {
      const list = (value: number) => [
        { identifier: "t", payload: { value }, spec: { jobKey: "key" } },
        { identifier: "t", payload: { value: value + 1 } },
        { identifier: "u", payload: { value: value + 2 } },
      ];
      const first = await addAll(client, list(1));
      const [keyed] = await addAll(client, list(100).slice(0, 1));
      expect(keyed).toMatchObject({ id: first[0]?.id, payload: { value: 100 }, revision: 1 });
      expect((await client.listJobs()).jobs).toHaveLength(3);
    });

    it("replaces a running job once when two lists with its key arrive together (behaviours 40)", async () => {
      const running = await client.addJob("t", { value: 0 }, { jobKey: "key" });
      await lock(running.id);
      const adds = await Promise.all(
        [1, 2].map((value) => addAll(client, [{ identifier: "t", payload: { value }, spec: { jobKey: "key" } }])),
      );

      expect(adds.map((jobs) => jobs.length)).toEqual([1, 1]);
      expect(await client.getJob(running.id)).toMatchObject({ jobKey: null, attempts: 25 });
      const { jobs } = await client.listJobs({ jobKey: "key" });
      expect(jobs).toHaveLength(1);
      expect([{ value: 1 }, { value: 2 }]).toContainEqual(jobs[0]?.payload);
    });
  });
});

describe("removeJob", () => {
  it("removes a waiting job and returns it (behaviours 37)", async () => {
    const job = await client.addJob("t", { a: 1 }, { jobKey: "key", queueName: "q" });
    expect(await client.removeJob("key")).toEqual(job);
    expect((await client.listJobs()).jobs).toEqual([]);
  });

  it("takes the key and the retries of a running job (behaviours 38)", async () => {
    const job = await client.addJob("t", {}, { jobKey: "key" });
    await lock(job.id);
    expect(await client.removeJob("key")).toMatchObject({ id: job.id, jobKey: null, attempts: 25, state: "running" });
    expect((await client.listJobs()).jobs).toHaveLength(1);
  });

  it("returns undefined for a key that no job has", async () => {
    expect(await client.removeJob("missing")).toBeUndefined();
  });
});

const claim =
  "update howdah._private_jobs set attempts = attempts + 1, locked_by = 'another', locked_at = now() where id = $1";

async function lock(id: string): Promise<void> {
  await database.sql(claim, [id]);
}

/** Resolves once another session waits for something that `holder` has locked. */
async function waitsForLock(holder: pg.Client): Promise<void> {
  const pid = (await holder.query("select pg_backend_pid() as pid")).rows[0].pid;
  await until(
    async () =>
      (await database.sql("select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))", [pid])).length,
    { message: "a session that waits for the lock" },
  );
}
