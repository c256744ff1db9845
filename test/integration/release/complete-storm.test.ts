import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { JobContext } from "../../../src/job/execute/context.ts";
import { defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker, record } from "../../harness/worker.ts";

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createDatabase();
  await database.sql("create table public.ledger (payment integer)");
  pool = new pg.Pool({ connectionString: database.connectionString, application_name: "payments", max: 8 });
  // A session may be cut off in the moment in which it is lent.
  pool.on("error", () => {}).on("connect", (session) => session.on("error", () => {}));
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, public.ledger");
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

const PAYMENTS = 60;

/** Something that goes wrong in an attempt, if anything does. */
function mishap(): "before" | "after" | "rolled back" | "too late" | "none" {
  const mishaps = ["before", "after", "rolled back", "too late", "none", "none", "none"] as const;
  return mishaps[Math.floor(Math.random() * mishaps.length)] ?? "none";
}

async function pay(payment: number, { client, complete }: JobContext): Promise<void> {
  const fate = mishap();
  const session = await pool.connect();
  let failure: Error | undefined;
  try {
    await session.query("begin");
    await session.query("insert into public.ledger values ($1)", [payment]);
    await client.inTransaction(session).addJob("receipt", { payment }, { runAt: "2099-01-01" });
    if (fate === "before") throw new Error("before");
    await complete(session);
    if (fate === "after") throw new Error("after");
    await session.query(fate === "rolled back" ? "rollback" : "commit");
    if (fate === "too late") throw new Error("too late");
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    // A session that was cut off, or is within a failed transaction, serves no call any more.
    session.release(failure);
  }
}

it.each([
  ["without queues", {}],
  ["in chains of three queues", { localQueue: { size: 30 } }],
])(
  "whatever goes wrong, and however often connections are cut, each payment is made once: %s",
  async (where, options) => {
    const task = defineTask({ identifier: "pay", retry: { type: "fixed", delay: 0 }, run: pay });
    await using worker = await createTestWorker(database, { tasks: [task], concurrency: 8, ...options });
    const completed = record(worker.hooks, "jobComplete");
    const refused = record(worker.hooks, "jobReleaseRefused");
    const inQueue = (payment: number) => (where === "without queues" ? {} : { queueName: `q${payment % 3}` });
    await worker.client.addJobs(
      Array.from({ length: PAYMENTS }, (_, payment) => ({
        task,
        payload: payment,
        spec: { maxAttempts: 1_000, ...inQueue(payment) },
      })),
    );
    const running = worker.run();
    let cuts = 0;
    await until(
      async () => {
        const victims = await database.sql(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name = 'payments' and datname = current_database() and xact_start is not null
           order by random() limit 1`,
        );
        cuts += victims.length;
        return (await database.sql("select from howdah.jobs where task_identifier = 'pay' limit 1")).length === 0;
      },
      { deadlineMs: 60_000, message: "all payments" },
    );
    await completed.reach(PAYMENTS);
    await worker.stop();
    await running;

    expect(cuts).toBeGreaterThan(0);
    const twice = "select payment from public.ledger group by 1 having count(*) <> 1";
    expect(await database.sql(twice)).toEqual([]);
    const [sums] = await database.sql(
      `select (select count(*) from public.ledger)::int as payments,
         (select count(distinct payload ->> 'payment') from howdah._private_jobs)::int as receipts,
         (select count(*) from howdah._private_jobs)::int as jobs,
         (select count(*) from howdah._private_job_queues where locked_at is not null)::int as locked`,
    );
    expect(sums).toEqual({ payments: PAYMENTS, receipts: PAYMENTS, jobs: PAYMENTS, locked: 0 });
    expect(new Set(completed.events.map(({ job }) => job.id)).size).toBe(PAYMENTS);
    expect([completed.events.length, refused.events.length]).toEqual([PAYMENTS, 0]);
  },
  90_000,
);
