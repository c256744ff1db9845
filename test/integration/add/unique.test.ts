import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { isHowdahError } from "../../../src/errors.ts";
import type { NotUniqueError } from "../../../src/job/add/read-unique-jobs.ts";
import type { AddedJob, JobSpec } from "../../../src/job/job.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._howdah_recent"));

afterAll(() => database.drop());

const RUNS = "update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = attempts + 1";
const FAILS = "update howdah._private_jobs set locked_at = null, locked_by = null, attempts = max_attempts";
const stored = async (): Promise<number> => Number((await database.sql("select count(*) from howdah.jobs"))[0]?.count);
const remembered = async (): Promise<number> =>
  Number((await database.sql("select count(*) from howdah._howdah_recent"))[0]?.count);

type Add = (payload: unknown, spec: JobSpec) => Promise<AddedJob>;

/** Single and bulk adds, and those within a transaction, keep the same promises. */
const ways: Record<string, Add> = {
  addJob: (payload, spec) => client.addJob("t", payload, spec),
  addJobs: async (payload, spec) =>
    (await client.addJobs([{ identifier: "beside" }, { identifier: "t", payload, spec }]))[1],
  async inTransaction(payload, spec) {
    const session = await database.connect();
    await session.query("begin");
    try {
      return await client.inTransaction(session).addJob("t", payload, spec);
    } finally {
      // Also after a rejection: the transaction has not failed.
      await session.query("commit");
      await session.end();
    }
  },
};

describe.each(Object.entries(ways))("a unique %s", (_name, add) => {
  const others = _name === "addJobs" ? 1 : 0;

  it("keeps the job that waits, and says so", async () => {
    const first = await add({ n: 1 }, { unique: { by: () => "k" }, runAt: "2200-01-01" });
    const second = await add({ n: 2 }, { unique: { by: () => "k" } });
    expect(first).toMatchObject({ outcome: "added", jobKey: "t:k", payload: { n: 1 } });
    expect(second).toEqual({ ...first, outcome: "kept" });
  });

  it("replaces the job that waits, and says so", async () => {
    const spec: JobSpec = { unique: { by: () => "k", otherwise: "replace" } };
    const first = await add({ n: 1 }, { ...spec, runAt: "2200-01-01", priority: 3 });
    const second = await add({ n: 2 }, spec);
    expect(second).toMatchObject({ id: first.id, outcome: "replaced", payload: { n: 2 }, priority: 0, state: "ready" });
  });

  it("rejects with the id of the job that is there, and stores nothing", async () => {
    const first = await add({ n: 1 }, { unique: { by: () => "k" } });
    const before = await stored();
    const error: unknown = await add({ n: 2 }, { unique: { by: () => "k", otherwise: "reject" } }).catch(
      (thrown: unknown) => thrown,
    );
    expect(isHowdahError(error, "HOWDAH_JOB_NOT_UNIQUE")).toBe(true);
    expect((error as NotUniqueError).jobId).toBe(first.id);
    expect(await stored()).toBe(before);
  });

  it.each([
    ["unfinished", "keep", "kept"],
    ["unfinished", "replace", "kept"],
    ["waiting", "keep", "added"],
    ["waiting", "replace", "added"],
  ] as const)("while %s, %s: a job that runs makes it %s", async (whilst, otherwise, outcome) => {
    const unique = { by: () => "k", while: whilst, otherwise };
    const first = await add({ n: 1 }, { unique });
    await database.sql(RUNS);
    const second = await add({ n: 2 }, { unique });
    expect(second.outcome).toBe(outcome);
    expect(second.id === first.id).toBe(outcome === "kept");
    const [row] = await database.sql("select key, attempts < max_attempts as retries from howdah.jobs where id = $1", [
      first.id,
    ]);
    // One that gives up its key is not tried again, as with any job key.
    expect(row).toEqual(outcome === "kept" ? { key: "t:k", retries: true } : { key: null, retries: false });
  });

  it("counts neither a job that has failed for good nor one that was cancelled while it runs", async () => {
    const unique = { by: () => "k" };
    const first = await add({}, { unique });
    await database.sql(FAILS);
    const second = await add({}, { unique });
    expect(second.outcome).toBe("added");
    await database.sql(RUNS);
    await client.cancelJobs([second.id]);
    const third = await add({}, { unique });
    expect(third.outcome).toBe("added");
    expect(new Set([first.id, second.id, third.id]).size).toBe(3);
  });

  it("tells jobs apart by their whole payload, whatever the order of its properties", async () => {
    const first = await add({ a: 1, b: { c: [1, 2], d: "x" } }, { unique: {} });
    expect(await add({ b: { d: "x", c: [1, 2] }, a: 1 }, { unique: {} })).toMatchObject({
      id: first.id,
      outcome: "kept",
    });
    expect((await add({ a: 1, b: { c: [2, 1], d: "x" } }, { unique: {} })).outcome).toBe("added");
    expect(first.jobKey).toMatch(/^t:[0-9a-f]{64}$/);
  });

  it("keeps its key for longer than the job is there, and says when that has ended", async () => {
    const unique = { by: () => "k", for: "10m" } as const;
    const first = await add({ n: 1 }, { unique });
    await client.completeJobs([first.id]);
    const second = await add({ n: 2 }, { unique });
    const { id, task, jobKey, createdAt } = first;
    expect(second).toMatchObject({ id, task, jobKey, createdAt, outcome: "kept", hasEnded: true, payload: { n: 2 } });
    await expect(add({ n: 3 }, { unique: { ...unique, otherwise: "reject" } })).rejects.toMatchObject({ jobId: id });
    expect((await add({}, { unique: { ...unique, otherwise: "replace" } })).outcome).toBe("kept");
    await database.sql("update howdah._howdah_recent set until = now()");
    const third = await add({ n: 4 }, { unique });
    expect([third.outcome, third.hasEnded]).toEqual(["added", undefined]);
    expect(await stored()).toBe(1 + others * 4);
  });

  it("replaces a job that waits also within that time, which does not begin anew", async () => {
    const unique = { by: () => "k", for: "10m", otherwise: "replace" } as const;
    const first = await add({ n: 1 }, { unique });
    const until = await database.sql("select until from howdah._howdah_recent");
    expect(await add({ n: 2 }, { unique })).toMatchObject({ id: first.id, outcome: "replaced", payload: { n: 2 } });
    expect(await database.sql("select until from howdah._howdah_recent")).toEqual(until);
  });
});

describe("a key that is kept for a while", () => {
  const unique = { by: () => "k", for: "10m" } as const;
  const end: Record<string, (job: AddedJob) => Promise<unknown>> = {
    removeJob: () => client.removeJob("t:k"),
    removeJobs: ({ id }) => client.removeJobs([id]),
    cancelJobs: ({ id }) => client.cancelJobs([id]),
    "cancelJobs by a filter": () => client.cancelJobs({ task: "t" }),
    "removeJobs by a filter": () => client.removeJobs({ task: "t" }),
    "SQL remove_job": () => database.sql("select howdah.remove_job('t:k')"),
  };

  it.each(Object.keys(end))("can be added again after %s of its job", async (name) => {
    const first = await client.addJob("t", {}, { unique });
    await end[name]?.(first);
    const second = await client.addJob("t", {}, { unique });
    expect(second.outcome).toBe("added");
    expect(second.id).not.toBe(first.id);
  });

  it("can be added again after removeJob although its job has run", async () => {
    const { id } = await client.addJob("t", {}, { unique });
    await client.completeJobs([id]);
    expect(await client.removeJob("t:k")).toBeUndefined();
    expect((await client.addJob("t", {}, { unique })).outcome).toBe("added");
  });

  it("counts for no add that does not say so", async () => {
    const { id } = await client.addJob("t", {}, { unique });
    await client.completeJobs([id]);
    expect((await client.addJob("t", {}, { unique: { by: () => "k" } })).outcome).toBe("added");
  });

  it("is deleted by later adds when its time is over", async () => {
    const old = Array.from({ length: 5 }, (_, n) => ({
      identifier: "t",
      spec: { unique: { by: () => `old${n}`, for: "1m" } },
    })) as { identifier: string; spec: JobSpec }[];
    await client.addJobs(old);
    await database.sql("update howdah._howdah_recent set until = now() - interval '1s'");
    for (let n = 0; n < 3; n++) await client.addJob("t", {}, { unique: { by: () => `new${n}`, for: "1m" } });
    expect(await remembered()).toBe(3);
  });
});

describe("several jobs with one key in one call", () => {
  const job = (n: number, otherwise: "keep" | "replace" | "reject") => ({
    identifier: "t",
    payload: { n },
    spec: { unique: { by: () => "k", otherwise } },
  });

  it("find what those before them have made", async () => {
    const added = await client.addJobs([job(1, "keep"), { identifier: "plain" }, job(2, "keep"), job(3, "replace")]);
    expect(added.map(({ outcome }) => outcome)).toEqual(["added", "added", "kept", "replaced"]);
    const [first, plain, second, third] = added;
    expect([second?.id, third?.id]).toEqual([first?.id, first?.id]);
    expect(plain?.task).toBe("plain");
    expect((await client.getJob(first?.id ?? ""))?.payload).toEqual({ n: 3 });
  });

  it("are refused together when one of them is rejected", async () => {
    await expect(client.addJobs([{ identifier: "plain" }, job(1, "keep"), job(2, "reject")])).rejects.toMatchObject({
      code: "HOWDAH_JOB_NOT_UNIQUE",
      jobId: undefined,
      message: expect.stringContaining("jobs[2]"),
    });
    expect(await stored()).toBe(0);
  });

  it("answer their ids with what became of them", async () => {
    const ids = await client.addJobs([job(1, "keep"), job(2, "keep")], { returning: "ids" });
    expect(ids.map(({ outcome }) => outcome)).toEqual(["added", "kept"]);
    expect(ids[0]?.id).toBe(ids[1]?.id);
  });

  it("go together with thousands, in the order given", async () => {
    const jobs = Array.from({ length: 3000 }, (_, n) => job(n, "keep")).map((one, n) => ({
      ...one,
      spec: { unique: { by: () => `k${n % 2000}` } },
    }));
    const added = await client.addJobs(jobs);
    expect(added.filter(({ outcome }) => outcome === "added")).toHaveLength(2000);
    expect(added[2500]?.id).toBe(added[500]?.id);
    expect(added[500]?.payload).toEqual({ n: 500 });
  });
});

describe("the outcome", () => {
  it("is told of adds that ask for it, and what others answer is what is stored", async () => {
    const key = { jobKey: "k" };
    const outcomes = [
      await client.addJob("t"),
      await client.addJob("t", {}, { queueName: "q" }),
      await client.addJob("t", {}, key),
      await client.addJob("t", {}, key),
      await client.addJob("t", {}, { ...key, jobKeyMode: "unsafe_dedupe" }),
      await client.addJob("t", {}, { unique: {} }),
      ...(await client.addJobs([{ identifier: "t" }, { identifier: "t", payload: 1, spec: { unique: {} } }])),
    ].map(({ outcome }) => outcome);
    expect(outcomes).toEqual([undefined, undefined, undefined, undefined, undefined, "added", "added", "added"]);
  });

  it("of a kept job is no added one to hooks, nor to workers", async () => {
    const listening = await database.connect();
    const told: string[] = [];
    listening.on("notification", ({ payload = "" }) => void told.push(payload));
    await listening.query('listen "jobs:insert"');
    await client.addJob("t", {}, { unique: {} });
    await expect.poll(() => told.length).toBe(1);
    await client.addJob("t", {}, { unique: {} });
    await client.addJob("other");
    await expect.poll(() => told.length).toBe(2);
    await listening.end();
  });
});

describe("a default of the task", () => {
  const sync = defineTask({
    identifier: "sync",
    unique: { by: (payload) => payload.tenant },
    run(_payload: { tenant: string; n?: number }) {},
  });

  it("makes its jobs unique, by the payload as it was given", async () => {
    const first = await client.addJob(sync, { tenant: "a" });
    expect(first).toMatchObject({ outcome: "added", jobKey: "sync:a" });
    expect((await client.addJob(sync, { tenant: "a", n: 2 })).outcome).toBe("kept");
    expect((await client.addJob(sync, { tenant: "b" })).outcome).toBe("added");
  });

  it("ends with what an add says itself", async () => {
    const specs: JobSpec[] = [{ unique: false }, { jobKey: "own" }, { unique: { by: () => "other" } }];
    const keys = [];
    for (const spec of specs) keys.push((await client.addJob(sync, { tenant: "a" }, spec)).jobKey);
    expect(keys).toEqual([null, "own", "sync:other"]);
  });

  it("counts for the items of a batch, whose lists are not joined when they are the same", async () => {
    const index = defineBatchTask({ identifier: "index", unique: { otherwise: "replace" }, runBatch() {} });
    await client.addBatchJob(index, [1, 2]);
    expect(await client.addBatchJob(index, [1, 2])).toMatchObject({ outcome: "replaced", payload: [1, 2] });
    const collect = defineBatchTask({
      identifier: "collect",
      debounce: { by: () => "all", wait: "1m" },
      runBatch() {},
    });
    await client.addBatchJob(collect, [1]);
    expect(await client.addBatchJob(collect, [2])).toMatchObject({ outcome: "replaced", payload: [1, 2] });
  });
});

describe("debounce", () => {
  const spec = (maxWait?: "1m"): JobSpec => ({ debounce: { by: () => "k", wait: "40s", maxWait } });
  const dueIn = (job: AddedJob): number => Math.round((job.runAt.getTime() - job.updatedAt.getTime()) / 1000);

  it("pushes the job back with every add, and brings the newest payload", async () => {
    const first = await client.addJob("t", { n: 1 }, spec());
    await database.sql("update howdah._private_jobs set created_at = now() - interval '1h', run_at = now()");
    const second = await client.addJob("t", { n: 2 }, spec());
    expect(second).toMatchObject({ id: first.id, outcome: "replaced", payload: { n: 2 } });
    expect([dueIn(first), dueIn(second)]).toEqual([40, 40]);
  });

  it("not beyond the longest wait, counted from the first add", async () => {
    await client.addJob("t", {}, spec("1m"));
    await database.sql("update howdah._private_jobs set created_at = now() - interval '30s'");
    expect(dueIn(await client.addJob("t", {}, spec("1m")))).toBe(30);
    await database.sql("update howdah._private_jobs set created_at = now() - interval '2m'");
    expect((await client.addJob("t", {}, spec("1m"))).state).toBe("ready");
  });

  it("begins anew with a job that has been tried, and beside one that runs", async () => {
    const first = await client.addJob("t", {}, spec("1m"));
    await database.sql("update howdah._private_jobs set attempts = 1, created_at = now() - interval '2m'");
    for (let n = 0; n < 2; n++) expect(dueIn(await client.addJob("t", {}, spec("1m")))).toBe(40);
    await database.sql(RUNS);
    const second = await client.addJob("t", {}, spec("1m"));
    expect(second.id).not.toBe(first.id);
    expect(dueIn(second)).toBe(40);
  });
});
