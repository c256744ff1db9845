import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JobContext } from "../../../src/job/execute/context.ts";
import { snooze } from "../../../src/job/directive.ts";
import type { JobSpec } from "../../../src/job/job.ts";
import { defineBatchTask, defineTask, type HandlerResult } from "../../../src/job/task.ts";
import type { Executor } from "../../../src/postgres/driver.ts";
import type { WorkerOptions } from "../../../src/worker/options.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createGate, createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await database.sql("create table public.effects (note text)");
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, public.effects");
});

afterAll(async () => {
  await database.drop();
});

type Handler = (context: JobContext) => HandlerResult | Promise<HandlerResult>;

/** What a job has left behind. */
interface Remains {
  readonly notes: string[];
  readonly jobs: readonly Record<string, unknown>[];
  readonly lockedQueues: number;
  readonly completed: number;
  readonly errors: unknown[];
  readonly finalErrors: unknown[];
  readonly refused: number;
  readonly logged: string[];
}

/** Runs one job with this handler as often as it comes back at once, and says what is there afterwards. */
async function run(handler: Handler, spec: JobSpec = {}, options: Partial<WorkerOptions> = {}): Promise<Remains> {
  const task = defineTask({ identifier: "work", run: (_payload: unknown, context) => handler(context) });
  const logger = createRecordingLogger();
  await using worker = await createTestWorker(database, { tasks: [task], logger, ...options });
  const [completed, failed, failedForGood, refused] = [
    record(worker.hooks, "jobComplete"),
    record(worker.hooks, "jobFail"),
    record(worker.hooks, "jobPermanentlyFail"),
    record(worker.hooks, "jobReleaseRefused"),
  ];
  await worker.client.addJob(task, {}, spec);
  await worker.runOnce();
  return {
    notes: (await database.sql("select note from public.effects order by note")).map(({ note }) => note as string),
    jobs: await database.sql(
      "select task_identifier as task, attempts, last_error, locked_by from howdah.jobs order by id",
    ),
    lockedQueues: (await database.sql("select from howdah._private_job_queues where locked_at is not null")).length,
    completed: completed.events.length,
    errors: failed.events.map(({ error }) => (error as { code?: unknown }).code ?? (error as Error).message),
    finalErrors: failedForGood.events.map(({ error }) => (error as { code?: unknown }).code ?? error),
    refused: refused.events.length,
    logged: [...logger.messages("warn"), ...logger.messages("error")],
  };
}

const DONE: Partial<Remains> = { jobs: [], lockedQueues: 0, completed: 1, errors: [], refused: 0, logged: [] };

async function note(transaction: Executor, text: string): Promise<void> {
  await transaction.query({ text: "insert into public.effects values ($1)", values: [text] });
}

describe.each<[string, JobSpec]>([
  ["without a queue", {}],
  ["in a queue", { queueName: "q" }],
])("a job %s that its handler completes in a transaction", (_where, spec) => {
  it("is done together with what was written and added there", async () => {
    const remains = await run(async (context) => {
      await context.withTransaction(async (transaction) => {
        await note(transaction, "paid");
        await context.client.inTransaction(transaction).addJob("receipt", {}, { runAt: "2099-01-01" });
        await context.complete(transaction);
      });
      // By now everybody can see it.
      expect(await context.client.getJob(context.job.id)).toBeUndefined();
      expect(await database.sql("select from public.effects")).toHaveLength(1);
    }, spec);
    expect(remains).toMatchObject({ ...DONE, notes: ["paid"], jobs: [{ task: "receipt", attempts: 0 }] });
  });

  it("runs again after a rollback, with the error of its handler", async () => {
    const remains = await run(async ({ withTransaction, complete }) => {
      await withTransaction(async (transaction) => {
        await note(transaction, "paid");
        await complete(transaction);
        throw new Error("the bank said no");
      });
    }, spec);
    expect(remains).toMatchObject({
      notes: [],
      jobs: [{ attempts: 1, last_error: "the bank said no", locked_by: null }],
      lockedQueues: 0,
      completed: 0,
      errors: ["the bank said no"],
    });
  });

  it("has failed when its handler returns after a rollback as if nothing had happened", async () => {
    const remains = await run(async ({ withTransaction, complete }) => {
      await withTransaction(async (transaction) => {
        await complete(transaction);
        throw new Error("no");
      }).catch(() => undefined);
    }, spec);
    expect(remains).toMatchObject({ completed: 0, errors: ["HOWDAH_COMPLETION_ROLLED_BACK"], lockedQueues: 0 });
    expect(remains.jobs).toMatchObject([{ attempts: 1, locked_by: null }]);
    expect(remains.jobs[0]?.["last_error"]).toMatch(
      /^The transaction in which the handler completed the job was rolled/,
    );
  });

  it("is done although its handler fails afterwards, which is logged once", async () => {
    const remains = await run(async ({ withTransaction, complete }) => {
      await withTransaction((transaction) => complete(transaction));
      throw new Error("too late");
    }, spec);
    const logged = ["The handler of a job failed after it had completed the job; the job is done"];
    expect(remains).toMatchObject({ ...DONE, logged });
  });

  it("stays running while the transaction is open, and ends with it", async () => {
    const session = await database.connect();
    const task = defineTask({
      identifier: "slow commit",
      async run(_payload: unknown, { complete }) {
        await session.query("begin");
        await complete(session);
      },
    });
    const others = defineTask({ identifier: "others", run() {} });
    await using worker = await createTestWorker(database, {
      tasks: [task, others],
      concurrency: 1,
      pollInterval: "20ms",
    });
    const [completed, failed] = [record(worker.hooks, "jobComplete"), record(worker.hooks, "jobFail")];
    for (const end of ["rollback", "commit"] as const) {
      await database.sql("truncate howdah._private_jobs");
      const before = completed.events.length;
      await worker.client.addJob(task, {}, spec);
      const running = before === 0 ? worker.run() : undefined;
      void running;
      // The worker goes on with what the transaction does not hold.
      await worker.client.addJob(others);
      await completed.reach(before + 1);
      const [row] = await database.sql("select locked_by from howdah.jobs");
      expect(row).toEqual({ locked_by: worker.id });
      await session.query(end);
      if (end === "rollback") await failed.reach();
      else await completed.reach(before + 2);
    }
    expect(failed.events).toMatchObject([{ error: { code: "HOWDAH_COMPLETION_ROLLED_BACK" } }]);
    expect(completed.events.map(({ job }) => job.task)).toEqual(["others", "others", "slow commit"]);
    await until(async () => (await worker.client.listQueues()).queues.every(({ lockedBy }) => lockedBy === null));
    await worker.stop();
  });
});

describe("complete", () => {
  it("takes a client of pg that has begun a transaction, whatever its isolation", async () => {
    for (const isolation of ["read committed", "repeatable read", "serializable"]) {
      const session = await database.connect();
      const remains = await run(async ({ complete }) => {
        await session.query(`begin isolation level ${isolation}`);
        await session.query("insert into public.effects values ($1)", [isolation]);
        await complete(session);
        await session.query("commit");
      });
      expect(remains).toMatchObject(DONE);
    }
    expect(await database.sql("select from public.effects")).toHaveLength(3);
  });

  it("does nothing when it is called again in the same transaction", async () => {
    const remains = await run(async ({ withTransaction, complete }) => {
      await withTransaction(async (transaction) => {
        await complete(transaction);
        await complete(transaction);
        await note(transaction, "paid");
      });
    });
    expect(remains).toMatchObject({ ...DONE, notes: ["paid"] });
  });

  it("counts again after a rollback to a savepoint that took it back", async () => {
    const steps = async (transaction: Executor, again: () => Promise<void>): Promise<void> => {
      await transaction.query({ text: "savepoint before" });
      await again();
      await transaction.query({ text: "rollback to savepoint before" });
    };
    const kept = await run(async ({ withTransaction, complete }) => {
      await withTransaction(async (transaction) => {
        await steps(transaction, () => complete(transaction));
        await complete(transaction);
      });
    });
    expect(kept).toMatchObject(DONE);
    const takenBack = await run(async ({ withTransaction, complete }) => {
      await withTransaction((transaction) => steps(transaction, () => complete(transaction)));
    });
    expect(takenBack).toMatchObject({ completed: 0, errors: ["HOWDAH_COMPLETION_ROLLED_BACK"] });
  });

  it("is refused after such a rollback when the job belongs to another worker by then", async () => {
    const codes: unknown[] = [];
    const remains = await run(async ({ withTransaction, complete }) => {
      await withTransaction(async (transaction) => {
        await note(transaction, "paid");
        await transaction.query({ text: "savepoint before" });
        await complete(transaction);
        await transaction.query({ text: "rollback to savepoint before" });
        await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'other'");
        await complete(transaction).catch((error: { code: unknown }) => codes.push(error.code));
      }).catch(() => codes.push("rolled back"));
    });
    expect(codes).toEqual(["HOWDAH_ABORTED_LOST", "rolled back"]);
    expect(remains).toMatchObject({ notes: [], completed: 0, refused: 1, jobs: [{ locked_by: "other" }] });
  });

  it("may be tried again in another transaction when the first was rolled back", async () => {
    const remains = await run(async ({ withTransaction, complete }) => {
      const attempt = (number: number) =>
        withTransaction(async (transaction) => {
          await note(transaction, `attempt ${number}`);
          await complete(transaction);
          if (number === 1) throw new Error("serialization failure");
        });
      await attempt(1).catch(() => attempt(2));
    });
    expect(remains).toMatchObject({ ...DONE, notes: ["attempt 2"] });
  });

  it("lets no second transaction commit for a job that is done", async () => {
    const codes: unknown[] = [];
    const remains = await run(async ({ withTransaction, complete }) => {
      for (const text of ["first", "second"]) {
        await withTransaction(async (transaction) => {
          await note(transaction, text);
          // A handler that swallows the error cannot commit all the same.
          await complete(transaction).catch((error: { code: unknown }) => codes.push(error.code));
        }).catch(() => codes.push("rolled back"));
      }
    });
    expect(codes).toEqual(["HOWDAH_ABORTED_LOST", "rolled back"]);
    expect(remains).toMatchObject({ ...DONE, notes: ["first"] });
  });

  it("lets no transaction commit for a job that belongs to another worker", async () => {
    const codes: unknown[] = [];
    const remains = await run(async ({ withTransaction, complete }) => {
      await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'other'");
      await withTransaction(async (transaction) => {
        await note(transaction, "paid");
        await complete(transaction).catch((error: { code: unknown }) => codes.push(error.code));
      }).catch(() => codes.push("rolled back"));
    });
    expect(codes).toEqual(["HOWDAH_ABORTED_LOST", "rolled back"]);
    expect(remains).toMatchObject({ notes: [], completed: 0, errors: [], refused: 1, jobs: [{ locked_by: "other" }] });
  });

  it("refuses what is no transaction, and leaves the job as it is", async () => {
    const pool = new pg.Pool({ connectionString: database.connectionString, max: 1 });
    const session = await database.connect();
    const given = [pool, session, database.driver, undefined, {}];
    const codes: unknown[] = [];
    const remains = await run(async ({ complete, client, job }) => {
      for (const transaction of given) {
        await complete(transaction as Executor).catch((error: { code: unknown }) => codes.push(error.code));
      }
      expect(await client.getJob(job.id)).toMatchObject({ state: "running" });
      throw new Error("enough");
    });
    await pool.end();
    expect(codes).toEqual(given.map(() => "HOWDAH_OPTION_INVALID"));
    expect(remains).toMatchObject({ completed: 0, errors: ["enough"] });
  });

  it("comes too late when the handler has returned, and fails its transaction", async () => {
    const late = createGate();
    const codes: unknown[] = [];
    let floating = Promise.resolve();
    const remains = await run(
      ({ withTransaction, complete }) => {
        floating = late.opened
          .then(() =>
            withTransaction(async (transaction) => {
              await note(transaction, "late");
              await complete(transaction).catch((error: { code: unknown }) => codes.push(error.code));
            }),
          )
          .catch(() => void codes.push("rolled back"));
      },
      {},
      { driver: database.driver },
    );
    late.open();
    await floating;
    expect(codes).toEqual(["HOWDAH_ABORTED_LOST", "rolled back"]);
    expect(remains).toMatchObject({ ...DONE, notes: [] });
    expect(await database.sql("select from public.effects")).toHaveLength(0);
  });

  it("comes too late when the job was ended by its timeout, whose handler did not listen", async () => {
    const gate = createGate();
    const codes: unknown[] = [];
    const settled = createGate();
    const task = defineTask({
      identifier: "deaf",
      timeout: "20ms",
      async run(_payload: unknown, { withTransaction, complete }) {
        await gate.opened;
        await withTransaction(async (transaction) => {
          await note(transaction, "late");
          await complete(transaction);
        }).catch((error: { code: unknown }) => codes.push(error.code));
        settled.open();
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task], shutdown: { abortPeriod: "20ms" } });
    const failed = record(worker.hooks, "jobFail");
    await worker.client.addJob(task, {});
    const running = worker.run();
    await failed.reach();
    gate.open();
    await settled.opened;
    expect(codes).toEqual(["HOWDAH_ABORTED_LOST"]);
    expect(await database.sql("select attempts, locked_by from howdah.jobs")).toEqual([
      { attempts: 1, locked_by: null },
    ]);
    expect(await database.sql("select from public.effects")).toHaveLength(0);
    await worker.stop();
    await running;
  });

  it("leaves it to the handler what becomes of the job after a rollback", async () => {
    const remains = await run(async ({ withTransaction, complete }) => {
      const work = withTransaction(async (transaction) => {
        await complete(transaction);
        throw new Error("closed at night");
      });
      return work.then(
        () => undefined,
        () => snooze("8h"),
      );
    });
    expect(remains).toMatchObject({ completed: 0, errors: [], jobs: [{ attempts: 0, last_error: null }] });
  });

  it("completes a job that replaces itself by its key in the same transaction", async () => {
    const spec = { jobKey: "again", runAt: "2099-01-01" } as const;
    const remains = await run(
      async ({ withTransaction, complete, client, job }) => {
        await withTransaction(async (transaction) => {
          const next = await client.inTransaction(transaction).addJob("work", {}, spec);
          expect(next.id).not.toBe(job.id);
          await complete(transaction);
        });
      },
      { jobKey: "again" },
    );
    expect(remains).toMatchObject({ ...DONE, jobs: [{ task: "work", attempts: 0, last_error: null }] });
  });

  it("is nothing when the connection ends before the commit", async () => {
    const session = await database.connect();
    const remains = await run(async ({ complete }) => {
      await session.query("begin");
      await session.query("insert into public.effects values ('paid')");
      await complete(session);
      const { processID } = session as pg.Client & { readonly processID: number };
      await database.sql("select pg_terminate_backend($1)", [processID]);
      await session.query("commit");
    });
    expect(remains).toMatchObject({ notes: [], completed: 0, jobs: [{ attempts: 1, locked_by: null }] });
    expect(remains.errors).toHaveLength(1);
  });

  it("uses up the last attempt when it is rolled back", async () => {
    const remains = await run(
      async ({ withTransaction, complete }) => {
        await withTransaction(async (transaction) => {
          await complete(transaction);
          throw new Error("no");
        }).catch(() => undefined);
      },
      { maxAttempts: 1 },
    );
    expect(remains).toMatchObject({ completed: 0, finalErrors: ["HOWDAH_COMPLETION_ROLLED_BACK"] });
  });

  it("completes a batch job as a whole, whatever its handler says of the items", async () => {
    const task = defineBatchTask({
      identifier: "batch",
      async runBatch(items: number[], { withTransaction, complete }) {
        await withTransaction(async (transaction) => {
          for (const item of items) await note(transaction, String(item));
          await complete(transaction);
        });
        return items.map(() => new Error("too late"));
      },
    });
    await using worker = await createTestWorker(database, { tasks: [task] });
    await worker.client.addBatchJob(task, [1, 2]);
    expect(await worker.runOnce()).toMatchObject({ completed: 1, failed: 0 });
    expect(await database.sql("select note from public.effects order by 1")).toEqual([{ note: "1" }, { note: "2" }]);
    expect(await database.sql("select from howdah.jobs")).toHaveLength(0);
  });
});
