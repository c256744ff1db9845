import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cron } from "../../../src/cron/cron.ts";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { isHowdahError } from "../../../src/errors.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { aborted, createGate, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._howdah_schedules");
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

const PERIODS = { shutdown: { abortPeriod: "50ms", gracePeriod: "5s" } } as const;

describe("the timeout of a job", () => {
  it("is stored by every way to add one, and read back by every way to look at one", async () => {
    const task = defineTask({ identifier: "t", defaults: { timeout: "3s" }, run: () => undefined });
    expect(await client.addJob("t", {}, { timeout: "1.5s" })).toMatchObject({ timeoutMs: 1_500 });
    expect(await client.addJob(task)).toMatchObject({ timeoutMs: 3_000 });
    expect(await client.addJob(task, {}, { timeout: "1m", queueName: "q" })).toMatchObject({ timeoutMs: 60_000 });
    const [plain, limited] = await client.addJobs([{ identifier: "t" }, { identifier: "t", spec: { timeout: 20 } }]);
    expect([plain?.timeoutMs, limited?.timeoutMs]).toEqual([null, 20]);
    expect(await client.getJob(limited?.id ?? "")).toMatchObject({ timeoutMs: 20 });
    const { jobs } = await client.listJobs();
    expect(jobs.map(({ timeoutMs }) => timeoutMs)).toEqual([1_500, 3_000, 60_000, null, 20]);
  });

  it("is replaced with its job: kept by nothing but another timeout", async () => {
    await client.addJob("t", {}, { jobKey: "k", timeout: "1s" });
    expect(await client.addJob("t", {}, { jobKey: "k", timeout: "2s" })).toMatchObject({
      timeoutMs: 2_000,
      revision: 1,
    });
    expect(await client.addJob("t", {}, { jobKey: "k" })).toMatchObject({ timeoutMs: null, revision: 2 });
    const [again] = await client.addJobs([{ identifier: "t", spec: { jobKey: "k", timeout: "3s" } }]);
    expect(again).toMatchObject({ timeoutMs: 3_000, revision: 3 });
  });

  it.each([0, -1, 0.2, "25d", "soon", "", Number.NaN, null])("cannot be %s", async (timeout) => {
    await expect(client.addJob("t", {}, { timeout: timeout as never })).rejects.toMatchObject({
      code: "HOWDAH_JOB_INVALID",
      message: expect.stringContaining("`timeout` of job `t`") as string,
    });
  });

  it("comes with the jobs of a stored schedule and of a crontab", async () => {
    const schedule = { id: "s", task: "t", schedule: "0 4 * * *", spec: { timeout: "5s" } } as const;
    expect(await client.schedules.upsert(schedule)).toMatchObject({ spec: { timeout: 5_000 } });
    expect(await client.schedules.trigger("s")).toMatchObject({ timeoutMs: 5_000 });
    const seen: unknown[] = [];
    const ticked = defineTask({ identifier: "ticked", run: (_, { job }) => void seen.push(job.timeoutMs) });
    await client.schedules.upsert({ id: "stored", task: ticked, schedule: "* * * * * *", spec: { timeout: "7s" } });
    await using worker = await createTestWorker(database, {
      tasks: [ticked],
      crons: [cron({ task: ticked, schedule: "* * * * * *", spec: { timeout: "6s" } })],
      crontab: "* * * * * * ticked ?id=line&timeout=8s",
    });
    const run = worker.run();
    await until(() => [6_000, 7_000, 8_000].every((timeoutMs) => seen.includes(timeoutMs)));
    await worker.stop();
    await run;
    expect(seen).not.toContain(null);
  });

  it("goes before that of its task, and shows in the handler's job", async () => {
    const reasons: string[] = [];
    const task = defineTask({
      identifier: "slow",
      timeout: "1h",
      retry: { type: "fixed", delay: "1h" },
      async run(_payload: object, { signal, job }) {
        expect(job.timeoutMs).toBe(30);
        const reason = await aborted(signal);
        if (isHowdahError(reason, "HOWDAH_ABORTED_TIMEOUT")) reasons.push(reason.message);
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], ...PERIODS });
    const { id } = await client.addJob(task, {}, { timeout: "30ms" });
    expect(await worker.runOnce()).toMatchObject({ failed: 1 });
    expect(reasons).toEqual([`Job ${id} of task slow ran longer than its timeout of 30 ms.`]);
    expect(await client.getJob(id)).toMatchObject({ state: "scheduled", attempts: 1, timeoutMs: 30 });
  });

  it("ends one job of a chain, gives the others back when the handler ignores it, and keeps the queue until that has settled", async () => {
    const gate = createGate();
    const ran: unknown[] = [];
    const task = defineTask({
      identifier: "chained",
      retry: { type: "fixed", delay: "1h" },
      async run(name: string, { signal }) {
        ran.push(name);
        if (name === "obeys") throw await aborted(signal);
        if (name === "ignores") await gate.opened;
      },
    });
    const spec = { queueName: "q", timeout: "50ms" } as const;
    const [first, second, stuck, last] = await client.addJobs(
      ["fine", "obeys", "ignores", "last"].map((payload) => ({ identifier: "chained", payload, spec })),
    );
    await using worker = await createTestWorker(database, {
      tasks: [task],
      concurrency: 1,
      localQueue: true,
      ...PERIODS,
    });
    const failed = record(worker.hooks, "jobFail");
    const completed = record(worker.hooks, "jobComplete");
    const run = worker.run();
    await failed.reach(2);
    expect(failed.events.map(({ job }) => job.id)).toEqual([second?.id, stuck?.id]);
    // The last one went back: its queue is not free although the slot is.
    await until(async () => (await client.getJob(last?.id ?? ""))?.lockedAt === null);
    expect(await client.getJob(last?.id ?? "")).toMatchObject({ state: "ready", attempts: 0 });
    expect((await client.listQueues()).queues).toMatchObject([{ lockedBy: worker.id }]);
    expect(ran).toEqual(["fine", "obeys", "ignores"]);

    gate.open();
    await completed.reach(2);
    expect(completed.events.map(({ job }) => job.id)).toEqual([first?.id, last?.id]);
    // What the handler returned in the end changes nothing.
    expect(await client.getJob(stuck?.id ?? "")).toMatchObject({ state: "scheduled", attempts: 1 });
    await worker.stop();
    await run;
  });
});
