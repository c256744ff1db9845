import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { createDatabase, type TestDatabase } from "../../harness/database.ts";
import { startNode } from "../../harness/process.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await database.sql("create table public.ledger (account text, amount integer, job bigint)");
});

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues, public.ledger");
});

afterAll(async () => {
  await database.drop();
});

/** Does what the worker does that is killed, without being killed. */
async function payRest(): Promise<void> {
  const pay = async (payments: readonly { account: string; amount: number }[], context: Context): Promise<void> => {
    await context.withTransaction(async (transaction) => {
      for (const { account, amount } of payments) {
        const values = [account, String(amount), context.job.id];
        await transaction.query({ text: "insert into public.ledger values ($1, $2, $3)", values });
      }
      const receipt = { job: context.job.id };
      await context.client.inTransaction(transaction).addJob("receipt", receipt, { runAt: "2099-01-01" });
      await context.complete(transaction);
    });
  };
  const tasks = [
    defineTask({ identifier: "pay", run: (payment: Payment, context) => pay([payment], context) }),
    defineBatchTask({ identifier: "pay_many", runBatch: (payments: Payment[], context) => pay(payments, context) }),
  ];
  await using worker = await createTestWorker(database, { tasks });
  await worker.runOnce();
}

interface Payment {
  readonly account: string;
  readonly amount: number;
}
type Context = Parameters<Parameters<typeof defineTask<Payment>>[0]["run"]>[1];

/** Kills a worker at this step of its first job, frees what it held, and lets another one do the rest. */
async function killAt(dieAt: string, options: object): Promise<void> {
  const args = [JSON.stringify({ connectionString: database.connectionString, dieAt, concurrency: 1, ...options })];
  await using child = await startNode(new URL("../fixtures/pay-worker.mjs", import.meta.url), { args });
  const [, workerId = ""] = (await child.line("started ")).split(" ");
  await child.line(`dies ${dieAt}`);
  expect(await child.ended).toMatchObject({ signal: "SIGKILL" });
  // PostgreSQL ends a transaction when it notices that its connection has: a commit that it has got may still come.
  await until(async () => {
    const sessions = "select from pg_stat_activity where datname = current_database() and xact_start is not null";
    return (await database.sql(`${sessions} and pid <> pg_backend_pid()`)).length === 0;
  });
  await database.sql("select howdah.force_unlock_workers(array[$1])", [workerId]);
  await payRest();
}

/** Each payment stands in the ledger once, each job has one receipt, and nothing is left to do or locked. */
async function assertOnce(accounts: readonly string[]): Promise<void> {
  expect(await database.sql("select account, count(*)::int as times from public.ledger group by 1 order by 1")).toEqual(
    accounts.map((account) => ({ account, times: 1 })),
  );
  const receipts = await database.sql(
    `select task_identifier as task, payload ->> 'job' as job
     from howdah.jobs join howdah._private_jobs using (id) order by 2`,
  );
  const paid = await database.sql("select distinct job::text as job from public.ledger order by 1");
  expect(receipts).toEqual(paid.map(({ job }) => ({ task: "receipt", job: job as string })));
  expect(await database.sql("select from howdah._private_job_queues where locked_at is not null")).toEqual([]);
}

const STEPS = ["begun", "written", "added", "completed", "committing", "committed", "returned"];
const payment = (account: string): object => ({ account, amount: 10 });

describe("a worker that is killed while it pays has paid exactly once in the end, when it dies", () => {
  it.each(STEPS)("in the step “%s” of a job without a queue", async (step) => {
    await database.sql("select howdah.add_job('pay', $1)", [payment("a")]);
    await killAt(step, {});
    await assertOnce(["a"]);
  });

  it.each(STEPS)("in the step “%s” of the first of a chain", async (step) => {
    for (const account of ["a", "b", "c"]) {
      await database.sql("select howdah.add_job('pay', $1, 'q')", [payment(account)]);
    }
    await killAt(step, { localQueue: { size: 10 } });
    await assertOnce(["a", "b", "c"]);
  });

  it.each(["written", "completed", "committed"])("in the step “%s” of a batch job", async (step) => {
    await database.sql("select howdah.add_job('pay_many', $1)", [JSON.stringify([payment("a"), payment("b")])]);
    await killAt(step, {});
    await assertOnce(["a", "b"]);
  });
});
