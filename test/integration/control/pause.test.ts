import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { clientOver } from "../../../src/client/create-client.ts";
import { defineTask } from "../../../src/job/task.ts";
import type { Driver } from "../../../src/postgres/driver.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { blockedBy } from "../../harness/blocked.ts";
import { createClaims, idsOf, stopAtRow } from "../../harness/claims.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createHeldTask } from "../../harness/held-task.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createDatabase();
  client = clientOver({ driver: database.driver, schema: database.schema, logger: silentLogger });
});

beforeEach(async () => {
  await database.sql(
    "truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks, howdah._howdah_paused_tasks",
  );
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

const note = defineTask({ identifier: "note", run: () => undefined });
const other = defineTask({ identifier: "other", run: () => undefined });

async function running(options: Partial<WorkerOptions>, work: (worker: Worker) => Promise<void>): Promise<void> {
  const worker = await createTestWorker(database, { tasks: [note, other], concurrency: 1, ...options });
  const run = worker.run();
  try {
    await work(worker);
  } finally {
    await worker.stop();
    await run;
  }
}

const SOURCES: [string, Partial<WorkerOptions>][] = [
  ["in direct mode", {}],
  ["with a local queue", { localQueue: { size: 10 } }],
  ["that polls only", { useNotificationDelivery: false, pollInterval: "50ms" }],
  ["that polls only, with a local queue", { useNotificationDelivery: false, pollInterval: "50ms", localQueue: true }],
];

describe.each(SOURCES)("a worker %s", (_, options) => {
  it("leaves a paused queue alone, runs everything else, and runs it when it is resumed", async () => {
    expect(await client.pauseQueue("q")).toEqual({ name: "q", until: null });
    await running(options, async (worker) => {
      const completed = record(worker.hooks, "jobComplete");
      await client.addJob(note, { n: 1 }, { queueName: "q", priority: -10 });
      await client.addJob(note, { n: 2 }, { queueName: "q", priority: -10 });
      await client.addJob(note, {}, { queueName: "r" });
      await client.addJob(note, {});
      await completed.reach(2);
      // Whatever is added now comes after the worker has looked at the paused queue again.
      await client.addJob(note, {}, { queueName: "r" });
      await completed.reach(3);
      expect(completed.events.map(({ job }) => job.queueName)).not.toContain("q");
      expect(await client.resumeQueue("q")).toBe(true);
      await completed.reach(5);
      expect(completed.events.slice(3).map(({ job }) => job.payload)).toEqual([{ n: 1 }, { n: 2 }]);
    });
  });

  it("leaves a paused task alone, also at the head of a queue, and runs it when it is resumed", async () => {
    await client.pauseTask("other");
    await running(options, async (worker) => {
      const completed = record(worker.hooks, "jobComplete");
      await client.addJob(other, {}, { queueName: "q", priority: -10 });
      await client.addJob(other, {}, { priority: -10 });
      await client.addJob(note, {}, { queueName: "q" });
      await client.addJob(note, {});
      await completed.reach(2);
      await client.addJob(note, {}, { queueName: "q" });
      await completed.reach(3);
      expect(completed.events.map(({ job }) => job.task)).toEqual(["note", "note", "note"]);
      expect(await client.resumeTask("other")).toBe(true);
      await completed.reach(5);
      expect(completed.events.slice(3).map(({ job }) => job.task)).toEqual(["other", "other"]);
    });
  });
});

describe.each([
  ["a worker that listens", {}],
  ["a worker that polls only", { useNotificationDelivery: false, pollInterval: "50ms" }],
] as [string, Partial<WorkerOptions>][])("%s", (_, options) => {
  it("gives back what it holds in memory of a paused queue, cuts its chain at work, and lets the job run that runs", async () => {
    const held = createHeldTask("held");
    await running({ tasks: [held.task], localQueue: { size: 10 }, ...options }, async (worker) => {
      const completed = record(worker.hooks, "jobComplete");
      const queued = ["first", "second", "third"].map((payload) => ({
        identifier: "held",
        payload,
        spec: { queueName: "q" },
      }));
      const jobs = await client.addJobs([...queued, { identifier: "held", payload: "alone" }]);
      const ids = jobs.map(({ id }) => id);
      const attempts = async (): Promise<[number, string | null][]> => {
        const stored = await Promise.all(ids.map((id) => client.getJob(id)));
        return stored.flatMap((job) => (job ? [[job.attempts, job.lockedBy] as [number, string | null]] : []));
      };
      const mine = worker.id;
      const all: [number, string | null][] = ids.map(() => [1, mine]);
      await until(async () => held.running.has("first") && JSON.stringify(await attempts()) === JSON.stringify(all));

      await client.pauseQueue("q");
      // The second and third are back without having used up an attempt; the one that runs and the one beside are not.
      const cut = [
        [1, mine],
        [0, null],
        [0, null],
        [1, mine],
      ];
      await until(async () => JSON.stringify(await attempts()) === JSON.stringify(cut));
      held.openAll();
      await completed.reach(2);
      expect(held.started).toEqual(["first", "alone"]);
      // Nothing runs in the queue, so its lock has gone with the chain.
      await until(async () => (await client.listQueues()).queues[0]?.lockedAt === null);
      expect((await client.listQueues()).queues).toMatchObject([
        { name: "q", jobCount: { value: 2 }, isPaused: true, pausedUntil: null },
      ]);

      await client.resumeQueue("q");
      await completed.reach(4);
      expect(held.started).toEqual(["first", "alone", "second", "third"]);
    });
  });

  it("gives back the jobs of a paused task out of its chain and its memory, and runs the rest of them in order", async () => {
    const held = createHeldTask("held");
    await running({ tasks: [held.task, other], localQueue: { size: 10 }, ...options }, async (worker) => {
      const completed = record(worker.hooks, "jobComplete");
      await client.addJobs([
        { identifier: "held", payload: "first", spec: { queueName: "q" } },
        { identifier: "other", spec: { queueName: "q" } },
        { identifier: "held", payload: "second", spec: { queueName: "q" } },
        { identifier: "other" },
      ]);
      const lockedTasks = async (): Promise<unknown[]> =>
        (await database.sql("select task_identifier from howdah.jobs where locked_at is not null order by id")).map(
          (row) => row["task_identifier"],
        );
      await until(async () => held.running.has("first") && (await lockedTasks()).length === 4);
      await client.pauseTask("other");
      await until(async () => (await lockedTasks()).join() === "held,held");
      expect((await client.listJobs({ task: "other" })).jobs).toMatchObject([{ attempts: 0 }, { attempts: 0 }]);
      held.openAll();
      await completed.reach(2);
      expect(held.started).toEqual(["first", "second"]);
      await client.resumeTask("other");
      await completed.reach(4);
    });
  });
});

describe("a claim", () => {
  it("steps over paused queues and tasks, however many and however urgent, in one look", async () => {
    const claims = await createClaims(database);
    await database.sql(
      "select howdah.add_job('t', queue_name => 'q' || n, priority => -9) from generate_series(1, 50) as n",
    );
    await database.sql("select howdah._howdah_pause_queue_v1('q' || n) from generate_series(1, 50) as n");
    await database.sql("select howdah.add_job('paused', priority => -9) from generate_series(1, 50)");
    await client.pauseTask("paused");
    const { id } = await client.addJob("t", {}, { queueName: "free" });
    const taskIds = (await database.sql("select id from howdah._private_tasks")).map((row) => Number(row["id"]));
    const answer = await claims.claim({ quantity: 2, taskIds });
    expect(idsOf(answer)).toEqual([Number(id)]);
    // Nothing that is paused is said to be there for the taking, or would be asked for again and again.
    expect([answer.more, answer.leftover]).toEqual([false, []]);
    expect((await claims.claim({ quantity: 2, taskIds })).more).toBe(false);
  });

  it("does not take a queue that is paused while the claim looks at it", async () => {
    const claims = await createClaims(database);
    await client.addJob("t", {}, { queueName: "q" });
    await client.addJob("t", {}, { queueName: "r" });
    const session = await database.connect();
    const slow = await createClaims(database, "slow", session);
    // Stops at the second queue, after the head of the first was seen.
    const stop = await stopAtRow(database, session, "_private_job_queues", 2);
    const claiming = slow.claim();
    await blockedBy(database, stop.session);
    await client.pauseQueue("q");
    await stop.pass();
    const claimed = await claiming;
    await stop.remove();
    expect(claimed.jobs.map(({ queueName }) => queueName)).toEqual(["r"]);
    expect((await claims.claim()).jobs).toEqual([]);
  });
});

describe("a pause", () => {
  it("lasts until a time of the database's clock", async () => {
    const [row] = await database.sql("select now() + interval '2 seconds' as soon");
    const soon = row?.["soon"] as Date;
    expect(await client.pauseQueue("q", { until: soon })).toEqual({ name: "q", until: soon });
    await client.pauseTask("other", { until: soon.toISOString() });
    expect(await client.listPauses()).toEqual({
      queues: [{ name: "q", until: soon }],
      tasks: [{ name: "other", until: soon }],
    });
    await running({}, async (worker) => {
      const started = record(worker.hooks, "jobStart");
      await client.addJob(note, {}, { queueName: "q" });
      await client.addJob(other, {});
      await started.reach(2);
      for (const { job } of started.events) expect(job.lockedAt?.getTime()).toBeGreaterThanOrEqual(soon.getTime());
    });
    expect(await client.listPauses()).toEqual({ queues: [], tasks: [] });
    expect((await client.listQueues()).queues).toMatchObject([{ isPaused: false, pausedUntil: null }]);
    expect(await client.resumeQueue("q")).toBe(false);
    expect(await client.resumeTask("other")).toBe(false);
  });

  it("can be said again, with another end, and ended twice", async () => {
    await client.pauseQueue("q");
    const end = new Date("2100-01-01T00:00:00Z");
    expect(await client.pauseQueue("q", { until: end })).toEqual({ name: "q", until: end });
    await client.pauseTask("t", { until: end });
    expect(await client.pauseTask("t")).toEqual({ name: "t", until: null });
    expect(await client.resumeQueue("q")).toBe(true);
    expect(await client.resumeQueue("q")).toBe(false);
    expect(await client.resumeQueue("unheard of")).toBe(false);
    expect(await client.resumeTask("t")).toBe(true);
    expect(await client.resumeTask("t")).toBe(false);
  });

  it("is spared by clean-up while it lasts", async () => {
    await client.pauseQueue("kept");
    await client.pauseQueue("over", { until: new Date(0) });
    await client.pauseTask("t");
    expect(await client.cleanup(["unusedTasks", "unusedQueues"])).toEqual({ unusedTasks: 0, unusedQueues: 1 });
    expect(await client.listPauses()).toMatchObject({ queues: [{ name: "kept" }], tasks: [{ name: "t" }] });
  });

  it("refuses names and times that cannot be", async () => {
    await expect(client.pauseQueue("")).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    await expect(client.pauseTask("x".repeat(129))).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    await expect(client.pauseTask("x", { until: "soon" })).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(client.pauseQueue("x", { till: 1 } as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_UNKNOWN" });
  });

  it("is part of the application's transaction, and no job starts while that is open", async () => {
    await client.addJob(note, {}, { queueName: "q" });
    const session = await database.connect();
    await session.query("begin");
    await client.inTransaction(session).pauseQueue("q");
    await using worker = await createTestWorker(database, { tasks: [note] });
    expect(await worker.runOnce()).toMatchObject({ completed: 0 });
    await session.query("rollback");
    expect(await worker.runOnce()).toMatchObject({ completed: 1 });
  });

  it("does not keep jobs from being added, replaced by their key, rescheduled or cancelled", async () => {
    await client.pauseQueue("q");
    await client.addJob("note", { n: 1 }, { queueName: "q", jobKey: "k" });
    const replaced = await client.addJob("note", { n: 2 }, { queueName: "q", jobKey: "k" });
    expect(replaced).toMatchObject({ payload: { n: 2 }, revision: 1, state: "ready" });
    expect(await client.rescheduleJobs([replaced.id], { priority: 3 })).toMatchObject([{ priority: 3 }]);
    expect(await client.cancelJobs({ queueName: "q" })).toMatchObject({ changed: 1, signalled: 0 });
  });

  it("is told once in the log of each worker, and so is its end", async () => {
    const logger = createRecordingLogger();
    const said = (): string[] => logger.messages("info").filter((message) => message.includes("paused"));
    await client.pauseTask("other");
    await running({ logger }, async () => {
      await until(() => said().length === 1);
      await client.pauseQueue("q");
      await until(() => said().length === 2);
      await client.pauseQueue("q");
      await client.resumeQueue("q");
      await client.resumeTask("other");
      await until(() => said().at(-1) === "Nothing is paused any more");
      expect(logger.entries.find(({ fields }) => fields["queues"] !== undefined)?.fields).toMatchObject({
        queues: "q",
        tasks: "other",
      });
    });
  });
});

it("a task that is paused and resumed before its worker has asked is gone on with at once", async () => {
  let held: Promise<void> | undefined;
  const asks = { count: 0 };
  const driver: Driver = {
    transaction: (work) => database.driver.transaction(work),
    listen: (channels, handlers) => database.driver.listen(channels, handlers),
    close: () => Promise.resolve(),
    async query(query) {
      if (query.text.includes("_howdah_control_v1")) {
        asks.count += 1;
        await held;
      }
      return database.driver.query(query);
    },
  };
  let goOn: () => void = () => undefined;
  // Its poll is too far away to help it.
  await running({ driver, pollInterval: "30s" }, async ({ hooks }) => {
    const completed = record(hooks, "jobComplete");
    const claimed = record(hooks, "claimEnd");
    await client.addJob("note");
    await completed.reach();
    await until(() => asks.count > 0);
    held = new Promise((resolve) => (goOn = resolve));
    const asked = asks.count;
    await client.pauseTask("note");
    await until(() => asks.count > asked);
    const claims = claimed.events.length;
    await client.addJob("note");
    await until(() => claimed.events.slice(claims).some(({ jobCount }) => jobCount === 0));
    await client.resumeTask("note");
    goOn();
    await completed.reach(2);
  });
});
