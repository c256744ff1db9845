import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobContext } from "../../../src/job/execute/context.ts";
import type { JobSpec } from "../../../src/job/job.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { createRecordingLogger, createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await database.sql("create table effects (note text)");
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, effects");
});

afterAll(async () => {
  await database.drop();
});

/** Runs one job with this handler. */
async function inHandler(run: (context: JobContext) => void | Promise<void>, spec?: JobSpec): Promise<void> {
  const errors: unknown[] = [];
  const task = defineTask({
    identifier: "context",
    async run(_payload: unknown, context: JobContext) {
      try {
        await run(context);
      } catch (error) {
        errors.push(error);
      }
    },
  });
  await using worker = await createTestWorker(database, { tasks: [task] });
  await worker.client.addJob(task, { secret: 1 }, spec);
  await worker.runOnce();
  if (errors.length > 0) throw errors[0];
}

describe("the job of the context", () => {
  it("is the stored job with all its properties", async () => {
    const spec = { queueName: "q", priority: 3, maxAttempts: 5, jobKey: "key", flags: ["a", "b"] } as const;
    let checks = 0;
    await inHandler(async ({ job, client, workerId }) => {
      const stored = await client.getJob(job.id);
      for (const name of Object.keys(stored ?? {}) as (keyof typeof job)[]) {
        expect([name, job[name]]).toEqual([name, stored?.[name]]);
        checks += 1;
      }
      expect(job).toMatchObject({ attempts: 1, state: "running", lockedBy: workerId, payload: { secret: 1 } });
    }, spec);
    expect(checks).toBeGreaterThan(15);
  });

  it("shows everything but its payload when it is logged", async () => {
    await inHandler(({ job }) => {
      expect(JSON.stringify(job)).not.toContain("secret");
      expect(JSON.parse(JSON.stringify(job))).toMatchObject({ id: job.id, task: "context", attempts: 1 });
    });
  });
});

describe("query", () => {
  it("runs a statement on the worker's connections, also when it was taken out of the context", async () => {
    await inHandler(async ({ query }) => {
      expect(await query("select $1::integer + 1, null", ["41"])).toMatchObject({ rows: [["42", null]], count: 1 });
      expect(await query("insert into effects values ('a'), ('b')")).toMatchObject({ count: 2 });
    });
    expect(await database.sql("select from effects")).toHaveLength(2);
  });
});

describe("withTransaction", () => {
  it("commits what its work has done, jobs included, and returns its result", async () => {
    await inHandler(async ({ withTransaction, client }) => {
      const result = await withTransaction(async (transaction) => {
        await transaction.query({ text: "insert into effects values ('kept')" });
        await client.inTransaction(transaction).addJob("follow_up");
        return 7;
      });
      expect(result).toBe(7);
    });
    expect(await database.sql("select note from effects")).toEqual([{ note: "kept" }]);
    expect(await database.sql("select task_identifier from howdah.jobs")).toEqual([{ task_identifier: "follow_up" }]);
  });

  it("leaves nothing behind when its work throws", async () => {
    await inHandler(async ({ withTransaction, client }) => {
      const work = withTransaction(async (transaction) => {
        await transaction.query({ text: "insert into effects values ('lost')" });
        await client.inTransaction(transaction).addJob("follow_up");
        throw new Error("changed my mind");
      });
      await expect(work).rejects.toThrow("changed my mind");
    });
    expect(await database.sql("select from effects")).toHaveLength(0);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });
});

describe("client", () => {
  it("adds jobs that run within the same runOnce, single, bulk and batch, with and without a queue", async () => {
    const ran: unknown[] = [];
    const child = defineTask({ identifier: "child", run: (name: string) => void ran.push(name) });
    const parent = defineTask({
      identifier: "parent",
      async run(depth: number, { client }) {
        ran.push(depth);
        if (depth < 3) await client.addJob("parent", depth + 1, { queueName: `depth ${depth % 2}` });
        else
          await client.addJobs([1, 2].map((n) => ({ task: child, payload: `child ${n}`, spec: { queueName: "c" } })));
      },
    });
    await using worker = await createTestWorker(database, { tasks: [parent, child], pollInterval: "60s" });
    await worker.client.addJob(parent, 0);
    expect(await worker.runOnce()).toEqual({ completed: 6, failed: 0, snoozed: 0, ended: "drained" });
    expect(ran).toEqual([0, 1, 2, 3, "child 1", "child 2"]);
  });

  it("replaces the running job by its key: the new one runs after it (behaviours 32)", async () => {
    const ran: number[] = [];
    const task = defineTask({
      identifier: "again",
      async run(n: number, { client }) {
        ran.push(n);
        if (n < 3) await client.addJob("again", n + 1, { jobKey: "only" });
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, 1, { jobKey: "only" });
    expect(await worker.runOnce()).toMatchObject({ completed: 3 });
    expect(ran).toEqual([1, 2, 3]);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });

  it("removes the running job by its key: it ends normally, once (behaviours 38)", async () => {
    let calls = 0;
    const task = defineTask({
      identifier: "removed",
      async run(_payload: unknown, { client }) {
        calls += 1;
        await client.removeJob("self");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addJob(task, {}, { jobKey: "self" });
    expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 0 });
    expect(calls).toBe(1);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });
});

describe("state, logger and signal", () => {
  it("state is what the worker was given", async () => {
    const state = { mailer: "smtp" };
    const seen: unknown[] = [];
    const task = defineTask<unknown, typeof state>({
      identifier: "state",
      run: (_payload, context) => void seen.push(context.state),
    });
    await using worker = await createTestWorker(database, { tasks: [task], state });
    await worker.client.addJob(task, {});
    await worker.runOnce();
    expect(seen[0]).toBe(state);
  });

  it("the logger names the job on each line", async () => {
    const logger = createRecordingLogger();
    const task = defineTask({
      identifier: "log",
      run: (_payload: unknown, context) => context.logger.info("halfway", { step: 2 }),
    });
    await using worker = await createTestWorker(database, { tasks: [task], logger });
    const { id } = await worker.client.addJob(task, {});
    await worker.runOnce();
    expect(logger.entries).toContainEqual({
      level: "info",
      message: "halfway",
      fields: { job: id, task: "log", attempt: 1, step: 2 },
    });
  });

  it("the signal is not aborted while the handler need not stop, and is the same each time", async () => {
    await inHandler((context) => {
      expect(context.signal.aborted).toBe(false);
      expect(context.signal).toBe(context.signal);
    });
  });
});

describe("what a handler does to its connection", () => {
  const RECKLESS = [
    "begin",
    "set role pg_monitor",
    "set default_transaction_read_only = on",
    "set statement_timeout = 1",
  ];

  it("reaches neither the worker nor other handlers", async () => {
    const seen: unknown[] = [];
    const codes: unknown[] = [];
    const task = defineTask({
      identifier: "reckless",
      async run(payload: string, { query, withTransaction }: JobContext) {
        await query(payload).catch((error: unknown) => codes.push((error as { code?: string }).code));
        await withTransaction((transaction) => transaction.query({ text: payload }));
      },
    });
    const looking = defineTask({
      identifier: "looking",
      async run(_payload: unknown, { query, client }: JobContext) {
        await query("insert into effects values ('looked')");
        const { rows } = await query("select current_user = session_user, current_setting('statement_timeout')");
        seen.push(...rows);
        await client.addJob("stays");
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task, looking], concurrency: 2 });
    for (const payload of [...RECKLESS, ...RECKLESS]) {
      await worker.client.addJob(task, payload);
      await worker.client.addJob(looking);
    }
    expect(await worker.runOnce()).toMatchObject({ completed: 16, failed: 0 });
    expect(codes).toEqual(["HOWDAH_TRANSACTION_LEFT_OPEN", "HOWDAH_TRANSACTION_LEFT_OPEN"]);
    expect(seen).toEqual(Array.from({ length: 8 }, () => ["t", "30s"]));
    expect(await database.sql("select count(*)::int as left from howdah._private_jobs")).toEqual([{ left: 8 }]);
    expect(await database.sql("select count(*)::int as looked from effects")).toEqual([{ looked: 8 }]);
  });
});
