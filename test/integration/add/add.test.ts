import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { createTaskRegistry } from "../../../src/job/task-registry.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ ...database, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks");
});

afterAll(async () => {
  await database.drop();
});

describe("a single add", () => {
  it("stores the job with its queue, due at once (behaviours 1)", async () => {
    const before = await databaseTime();
    const job = await client.addJob("job3", { a: 1 }, { queueName: "myqueue" });
    const after = await databaseTime();

    expect(job).toMatchObject({ task: "job3", payload: { a: 1 }, queueName: "myqueue", state: "ready", revision: 0 });
    expect(job.runAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(job.runAt.getTime()).toBeLessThanOrEqual(after);
    expect((await client.listQueues()).queues).toMatchObject([
      { name: "myqueue", jobCount: { value: 1 }, readyCount: { value: 1 }, lockedAt: null, lockedBy: null },
    ]);
  });

  it("needs nothing but an identifier and then takes the defaults (behaviours 2)", async () => {
    const job = await client.addJob("assert_jobs_work");

    expect(job).toMatchObject({
      task: "assert_jobs_work",
      payload: {},
      queueName: null,
      priority: 0,
      attempts: 0,
      maxAttempts: 25,
      lastError: null,
      jobKey: null,
      revision: 0,
      flags: [],
      lockedAt: null,
      lockedBy: null,
      state: "ready",
    });
    expect(await stored()).toEqual([expect.objectContaining({ task_identifier: "assert_jobs_work" })]);
  });

  it.each([
    ["a plain job", {}],
    ["a job of a queue", { queueName: "q" }],
    ["a job with a key", { jobKey: "k" }],
    ["a job that replaces another", { jobKey: "found" }],
  ])("counts the delay of %s by the clock of the database", async (_, spec) => {
    await client.addJob("t", {}, { jobKey: "found" });
    const job = await client.addJob("t", { n: 1 }, { ...spec, runIn: "90m" });
    expect(job).toMatchObject({ state: "scheduled", payload: { n: 1 } });
    expect(await delays()).toContain("01:30:00");
    expect(await client.getJob(job.id)).toEqual(job);
  });

  it("counts each delay of a bulk add, beside times and jobs that have neither", async () => {
    const runAt = new Date("2200-01-01T00:00:00Z");
    const specs = [{ runIn: "1h" }, {}, { runAt }, { runIn: 0 }, { runIn: "36500d" }] as const;
    for (const key of [undefined, "k"]) {
      const jobs = await client.addJobs(
        specs.map((spec, n) => ({ identifier: "t", payload: { n }, spec: { ...spec, jobKey: key && `${key}${n}` } })),
      );
      expect(jobs.map(({ state }) => state)).toEqual(["scheduled", "ready", "scheduled", "ready", "scheduled"]);
      expect(jobs[2]?.runAt).toEqual(runAt);
      const sinceAdded = jobs.map((job) => job.runAt.getTime() - job.createdAt.getTime());
      expect([sinceAdded[0], sinceAdded[1], sinceAdded[3], sinceAdded[4]]).toEqual([
        3_600_000,
        0,
        0,
        36_500 * 86_400_000,
      ]);
      expect((await client.listJobs()).jobs).toHaveLength(5);
      await database.sql("truncate howdah._private_jobs");
    }
  });

  it("counts delays of adds that share a statement", async () => {
    const jobs = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => client.addJob("t", { n }, { runIn: "1s" })));
    expect(jobs.map((job) => job.runAt.getTime() - job.createdAt.getTime())).toEqual(Array(8).fill(1_000));
  });

  it("returns the same job as reading it back does (behaviours 13)", async () => {
    const job = await client.addJob("round_trip", [1, "two"], {
      queueName: "q",
      runAt: "2200-01-02T03:04:05.678Z",
      maxAttempts: 7,
      jobKey: "k",
      priority: -12,
      flags: ["b", "a"],
    });

    expect(job).toEqual(await client.getJob(job.id));
    expect(job).toMatchObject({
      payload: [1, "two"],
      maxAttempts: 7,
      jobKey: "k",
      priority: -12,
    });
    expect(job.runAt).toEqual(new Date("2200-01-02T03:04:05.678Z"));
    expect(job.flags.toSorted()).toEqual(["a", "b"]);
    expect(job.state).toBe("scheduled");
  });

  it("keeps zero as zero (behaviours S18)", async () => {
    expect(await client.addJob("zero", {}, { priority: 0 })).toMatchObject({ priority: 0 });
    expect(await client.addJob("zero", 0)).toMatchObject({ payload: 0 });
    expect(await client.addJob("zero", "")).toMatchObject({ payload: "" });
    expect(await client.addJob("zero", false)).toMatchObject({ payload: false });
  });

  it("stores JSON null as null and a missing payload as {}, in bulk alike (behaviours S21)", async () => {
    await client.addJob("null", null);
    await client.addJob("missing", undefined);
    await client.addJobs([
      { identifier: "null", payload: null },
      { identifier: "missing" },
      { identifier: "missing", payload: undefined },
    ]);

    const payloads = await database.sql("select payload::text from howdah._private_jobs order by id");
    expect(payloads.map(({ payload }) => payload)).toEqual(["null", "{}", "null", "{}", "{}"]);
  });

  it("takes a Date, a date and a time with an offset as runAt, whatever the session's time zone is", async () => {
    const session = await database.connect();
    await session.query("begin; set local timezone = 'Asia/Tokyo'; set local datestyle = 'SQL, DMY'");
    const inside = client.inTransaction(session);
    const runAts = [
      new Date("2199-12-31T23:30:00.123Z"),
      "2199-12-31",
      "2199-12-31T23:30:00+02:00",
      "2199-12-31 23:30Z",
    ];
    const jobs = await inside.addJobs(runAts.map((runAt) => ({ identifier: "later", spec: { runAt } })));
    await session.query("commit");

    expect(jobs.map((job) => job.runAt.toISOString())).toEqual([
      "2199-12-31T23:30:00.123Z",
      "2199-12-31T00:00:00.000Z",
      "2199-12-31T21:30:00.000Z",
      "2199-12-31T23:30:00.000Z",
    ]);
    for (const job of jobs) expect(await client.getJob(job.id)).toEqual(job);
  });

  it("takes every Date from the year 1 to the last one there is", async () => {
    for (const date of [new Date("0001-01-01T00:00:00Z"), new Date(8.64e15), new Date("+012345-06-07T08:09:10.011Z")]) {
      expect((await client.addJob("extreme", {}, { runAt: date })).runAt).toEqual(date);
    }
  });

  it("does not burn ids of tasks and queues that are there already", async () => {
    for (let round = 0; round < 3; round++) await client.addJob("same", {}, { queueName: "same" });
    await client.addJob("next", {}, { queueName: "next" });

    const [ids] = await database.sql(`select
      (select max(id) - min(id) from howdah._private_tasks) as tasks,
      (select max(id) - min(id) from howdah._private_job_queues) as queues`);
    expect(ids).toEqual({ tasks: 1, queues: 1 });
  });
});

describe("an add to a task", () => {
  const mail = defineTask({
    identifier: "send_mail",
    payload: z.object({ to: z.string(), when: z.string().transform((text) => new Date(text)) }),
    defaults: ({ to }) => ({ queueName: `mail:${to}`, priority: 5, maxAttempts: 3 }),
    run() {},
  });
  const resize = defineBatchTask({ identifier: "resize", item: z.object({ id: z.number() }), runBatch() {} });
  const payload = { to: "ada", when: "2030-01-01" };

  it("stores the input of the schema, not its output", async () => {
    expect((await client.addJob(mail, payload)).payload).toEqual(payload);
  });

  it("fills up the spec with the defaults of the task, which may depend on the payload", async () => {
    expect(await client.addJob(mail, payload, { priority: 0, maxAttempts: undefined })).toMatchObject({
      queueName: "mail:ada",
      priority: 0,
      maxAttempts: 3,
    });
    const [job] = await client.addJobs([{ task: mail, payload, spec: { queueName: "other" } }]);
    expect(job).toMatchObject({ queueName: "other", priority: 5, maxAttempts: 3 });
  });

  it("applies a default key mode only to adds that have a key", async () => {
    const keeper = defineTask({ identifier: "keeper", defaults: { jobKeyMode: "preserve_run_at" }, run() {} });
    await client.addJob(keeper);
    const first = await client.addJob(keeper, {}, { jobKey: "kept", runAt: "2200-01-01" });
    const second = await client.addJob(keeper, {}, { jobKey: "kept", runAt: "2201-01-01" });
    expect(second).toMatchObject({ id: first.id, runAt: first.runAt, revision: 1 });
  });

  it("refuses a payload that the schema refuses, and says where", async () => {
    // @ts-expect-error -- the compiler refuses it, too
    const refused = client.addJob(mail, { to: 1, when: "2030-01-01" });
    await expect(refused).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID", message: /send_mail.*to/s });
    expect(await stored()).toEqual([]);
  });

  it("checks raw adds of a task that the client was given, too", async () => {
    const knowing = clientOver({ ...database, logger: silentLogger, tasks: createTaskRegistry([mail, resize]) });
    await expect(knowing.addJob("send_mail", { to: 1 })).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
    expect(await knowing.addJob("send_mail", payload)).toMatchObject({ queueName: "mail:ada" });
  });

  it("refuses tasks that the client was not given, with the one that was probably meant", async () => {
    const knowing = clientOver({ ...database, logger: silentLogger, tasks: createTaskRegistry([mail]) });
    const unknown = { code: "HOWDAH_TASK_UNKNOWN" };
    await expect(knowing.addJob("send_mial", payload)).rejects.toMatchObject({ ...unknown, message: /`send_mail`/ });
    await expect(knowing.addJobs([{ identifier: "send_mial" }])).rejects.toMatchObject(unknown);
    await expect(knowing.addBatchJob(resize, [{ id: 1 }])).rejects.toMatchObject(unknown);
    expect(await stored()).toEqual([]);
  });

  it("stores the items of a batch as one array (behaviours 56)", async () => {
    const job = await client.addBatchJob(resize, [{ id: 1 }, { id: 2 }], { priority: 1 });
    expect(job).toMatchObject({ task: "resize", payload: [{ id: 1 }, { id: 2 }], priority: 1 });
    expect(await client.addBatchJob("raw_batch", [1])).toMatchObject({ payload: [1] });
  });

  it("refuses a batch without items, in single and bulk alike", async () => {
    const empty = { code: "HOWDAH_BATCH_EMPTY" };
    await expect(client.addBatchJob(resize, [])).rejects.toMatchObject(empty);
    await expect(client.addBatchJob("raw_batch", [])).rejects.toMatchObject(empty);
    await expect(client.addJob(resize, [])).rejects.toMatchObject(empty);
    await expect(client.addJobs([{ task: resize, payload: [] }])).rejects.toMatchObject(empty);
    expect(await stored()).toEqual([]);
  });

  it("refuses a batch with an item that the schema refuses, and says which", async () => {
    // @ts-expect-error -- the compiler refuses it, too
    const refused = client.addBatchJob(resize, [{ id: 1 }, { id: "2" }]);
    await expect(refused).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID", message: /item 1/ });
  });
});

/** How long after they were added, or replaced, jobs run. */
async function delays(): Promise<unknown[]> {
  const rows = await database.sql("select (run_at - updated_at)::text as delay from howdah._private_jobs");
  return rows.map(({ delay }) => delay);
}

async function stored(): Promise<unknown[]> {
  return database.sql("select * from howdah.jobs order by id");
}

async function databaseTime(): Promise<number> {
  const [row] = await database.sql("select (extract(epoch from clock_timestamp()) * 1000)::float as ms");
  return Math.floor(Number(row?.["ms"]));
}
