import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Client, TransactionClient } from "../../../src/client/client.ts";
import type { ApplicationTransaction } from "../../../src/postgres/caller-transaction.ts";
import { createClient } from "../../../src/client/create-client.ts";
import { isHowdahError } from "../../../src/errors.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";

// What is done with `inTransaction` is a part of a transaction, or it is not done.
let database: TestDatabase;
let client: Client;
let session: pg.Client;

const slow = defineTask({ identifier: "slow", payload: z.object({}).refine(async () => true), run() {} });

beforeAll(async () => {
  database = await createDatabase();
  const { connectionString } = database;
  client = await createClient({ connectionString, migrate: false, logger: silentLogger });
  session = await database.connect();
});

beforeEach(async () => {
  await client.schedules.upsert({ id: "s", task: "t", schedule: "0 0 1 1 *" });
});

afterEach(async () => {
  await session.query("rollback");
  await database.sql("truncate howdah._private_jobs, howdah._howdah_schedules, howdah._howdah_paused_tasks");
});

afterAll(async () => {
  await client.close();
  await database.drop();
});

const count = async (): Promise<number> =>
  Number((await database.sql("select count(*) from howdah._private_jobs"))[0]?.["count"]);

/** The code of the error, or what a call resolved to. */
const outcome = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (value) => value,
    (error: unknown) => (isHowdahError(error) ? error.code : error),
  );

/** A client that does not report its state. */
const silent = (inner: pg.Client): ApplicationTransaction => ({
  query: (statement: pg.QueryConfig) => inner.query(statement),
});

/** Every method, with what it changes. */
const METHODS: Readonly<Record<string, (inside: TransactionClient, id: string) => Promise<unknown>>> = {
  addJob: (inside) => inside.addJob("t"),
  "addJob with a queue": (inside) => inside.addJob("t", {}, { queueName: "q" }),
  "addJob with a key": (inside) => inside.addJob("t", {}, { jobKey: "k" }),
  "addJob with a schema that takes its time": (inside) => inside.addJob(slow, {}),
  addJobs: (inside) => inside.addJobs([{ identifier: "t" }, { identifier: "u" }]),
  "addJobs with a key": (inside) => inside.addJobs([{ identifier: "t", spec: { jobKey: "k" } }]),
  addBatchJob: (inside) => inside.addBatchJob("t", [1]),
  removeJob: (inside) => inside.removeJob("here"),
  completeJobs: (inside, id) => inside.completeJobs([id]),
  permanentlyFailJobs: (inside, id) => inside.permanentlyFailJobs([id]),
  rescheduleJobs: (inside, id) => inside.rescheduleJobs([id], { priority: 9 }),
  forceUnlockWorkers: (inside) => inside.forceUnlockWorkers(["w"]),
  cancelJobs: (inside, id) => inside.cancelJobs([id]),
  "cancelJobs by a filter": (inside) => inside.cancelJobs({ task: "here" }),
  pauseQueue: (inside) => inside.pauseQueue("q"),
  resumeQueue: (inside) => inside.resumeQueue("q"),
  pauseTask: (inside) => inside.pauseTask("t"),
  resumeTask: (inside) => inside.resumeTask("t"),
  listPauses: (inside) => inside.listPauses(),
  getJob: (inside, id) => inside.getJob(id),
  listJobs: (inside) => inside.listJobs(),
  stats: (inside) => inside.stats(),
  listQueues: (inside) => inside.listQueues(),
  listErrors: (inside) => inside.listErrors(),
  "schedules.upsert": (inside) => inside.schedules.upsert({ id: "new", task: "t", schedule: "0 0 1 1 *" }),
  "schedules.pause": (inside) => inside.schedules.pause("s"),
  "schedules.resume": (inside) => inside.schedules.resume("s"),
  "schedules.remove": (inside) => inside.schedules.remove("s"),
  "schedules.list": (inside) => inside.schedules.list(),
  "schedules.trigger": (inside) => inside.schedules.trigger("s"),
};

const state = (): Promise<unknown> =>
  database.sql(`
    select coalesce(json_agg(job order by job.id), '[]') as jobs,
      (select json_agg(schedule) from howdah._howdah_schedules as schedule) as schedules,
      (select json_agg(paused) from howdah._howdah_paused_tasks as paused) as paused,
      (select count(*) from howdah._private_job_queues where _howdah_paused_until is not null) as queues
    from howdah._private_jobs as job`);

describe("inTransaction refuses", () => {
  it("what cannot run statements, at once", () => {
    const wrong: unknown[] = [undefined, null, database.connectionString, 7, {}, pg];
    for (const given of wrong) {
      expect(() => client.inTransaction(given as ApplicationTransaction)).toThrowError(
        expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }),
      );
    }
  });

  for (const kind of ["a pool", "a client without BEGIN", "a driver", "a wrapper without BEGIN"]) {
    it(`${kind}, whatever is called, and nothing is done`, async () => {
      const pool = new pg.Pool({ connectionString: database.connectionString });
      const given = {
        "a pool": pool,
        "a client without BEGIN": session,
        "a driver": database.driver,
        "a wrapper without BEGIN": silent(session),
      }[kind] as ApplicationTransaction;
      const { id } = await client.addJob("here", {}, { jobKey: "here" });
      const before = await state();
      for (const [name, method] of Object.entries(METHODS)) {
        expect([name, await outcome(method(client.inTransaction(given), id))]).toEqual([name, "HOWDAH_OPTION_INVALID"]);
        // The same client of a transaction does not get used to it.
        const inside = client.inTransaction(given);
        await outcome(method(inside, id));
        expect([name, await outcome(method(inside, id))]).toEqual([name, "HOWDAH_OPTION_INVALID"]);
      }
      expect(await state()).toEqual(before);
      await pool.end();
    });
  }
});

describe("inTransaction takes", () => {
  for (const [kind, wrap] of [
    ["a client that tells its state", (inner: pg.Client) => inner],
    ["a wrapper that does not", silent],
  ] as const) {
    it(`${kind}: every method is undone by a rollback`, async () => {
      const { id } = await client.addJob("here", {}, { jobKey: "here" });
      const before = await state();
      for (const [name, method] of Object.entries(METHODS)) {
        await session.query("begin");
        const answer = await outcome(method(client.inTransaction(wrap(session)), id));
        expect([name, String(answer)]).not.toEqual([name, expect.stringContaining("HOWDAH")]);
        await session.query("rollback");
      }
      expect(await state()).toEqual(before);
    });

    it(`${kind}, also one after another on the same connection`, async () => {
      for (let n = 0; n < 3; n++) {
        await session.query("begin");
        await client.inTransaction(wrap(session)).addJob("t");
        await client.inTransaction(wrap(session)).addJob(slow, {});
        await session.query("commit");
      }
      expect(await count()).toBe(6);
    });

    it(`${kind} whose BEGIN is only under way`, async () => {
      const begun = session.query("begin");
      const adding = client.inTransaction(wrap(session)).addJob("t");
      await begun;
      await adding;
      await session.query("commit");
      expect(await count()).toBe(1);
    });

    it(`${kind}, and stores nothing that was not awaited before a rollback`, async () => {
      for (const [name, method] of Object.entries(METHODS).filter(([name]) => name.startsWith("add"))) {
        await session.query("begin");
        const adding = outcome(method(client.inTransaction(wrap(session)), "0"));
        await session.query("rollback");
        await adding;
        expect([name, await count()]).toEqual([name, 0]);
      }
    });

    it(`${kind}, and nothing gets into the transaction that follows on its connection`, async () => {
      for (const [name, method] of Object.entries(METHODS).filter(([name]) => name.startsWith("add"))) {
        await session.query("begin");
        const adding = outcome(method(client.inTransaction(wrap(session)), "0"));
        await session.query("rollback");
        await session.query("begin");
        await adding;
        await session.query("commit");
        expect([name, await count()]).toEqual([name, 0]);
      }
    });
  }

  it("a transaction of `withTransaction`, and refuses it after its end", async () => {
    let kept: TransactionClient | undefined;
    await database.driver.transaction(async (transaction) => {
      kept = client.inTransaction(transaction);
      await kept.addJob("t");
    });
    expect(await outcome(kept?.addJob("t") ?? Promise.reject(new Error("none")))).toBe("HOWDAH_TRANSACTION_ENDED");
    expect(await count()).toBe(1);
  });

  it("a client of `pg` once more, in its next transaction, but nothing late of the one before", async () => {
    const inside = client.inTransaction(session);
    await session.query("begin");
    await inside.addJob(slow, {});
    const late = outcome(inside.addJob(slow, {}));
    await session.query("rollback");
    await session.query("begin");
    const next = outcome(inside.addJob(slow, {}));
    expect(await late).toBe("HOWDAH_TRANSACTION_ENDED");
    await next;
    await session.query("rollback");
    await session.query("begin");
    await inside.addJob(slow, {});
    await inside.addJob("t");
    await session.query("commit");
    expect(await count()).toBe(2);
  });

  it("a call in the turn of the commit after it, which is stored", async () => {
    await session.query("begin");
    const adding = client.inTransaction(session).addJob("t");
    await session.query("commit");
    await adding;
    expect(await count()).toBe(1);
  });

  it("a call whose schema takes its time, and says that the transaction ended meanwhile", async () => {
    await session.query("begin");
    const adding = outcome(client.inTransaction(session).addJob(slow, {}));
    await session.query("commit");
    expect(await adding).toBe("HOWDAH_TRANSACTION_ENDED");
    expect(await count()).toBe(0);
  });

  it("a client of `pg`, and sends nothing but what was asked for", async () => {
    await session.query("begin");
    const sent: string[] = [];
    const inside = client.inTransaction({
      query: (statement: pg.QueryConfig) => {
        sent.push(statement.text);
        return session.query(statement);
      },
      getTransactionStatus: () => "T",
    } as unknown as ApplicationTransaction);
    await inside.addJob("t");
    await inside.addJobs([{ identifier: "t" }]);
    await inside.removeJob("none");
    await inside.stats();
    expect(sent).toHaveLength(4);
    expect(sent.join()).not.toContain("_howdah_within_v1");
  });
});
