import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import { every, snooze } from "../../../src/index.ts";
import { createClient } from "../../../src/client/create-client.ts";
import type { ConnectionOptions } from "../../../src/client/connection.ts";
import { defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createTestWorker } from "../../harness/worker.ts";

/** Settings that change how literals and arrays are read. */
const LITERALS = ["array_nulls = off", "standard_conforming_strings = off", "backslash_quote = off"];

/** What else a role, or a whole server, may have set and what changes how statements are read, run or answered. */
const OTHERS = [
  "default_transaction_isolation = 'serializable'",
  "default_transaction_deferrable = on",
  "search_path = pg_temp, pg_catalog",
  "datestyle = 'German'",
  "intervalstyle = 'sql_standard'",
  "timezone = 'Asia/Kathmandu'",
  "extra_float_digits = -15",
  "bytea_output = 'escape'",
  "quote_all_identifiers = on",
  "transform_null_equals = on",
  "client_encoding = 'LATIN1'",
  "client_min_messages = 'error'",
  "plan_cache_mode = 'force_custom_plan'",
  "row_security = off",
  "lock_timeout = '1s'",
  "check_function_bodies = off",
  "session_replication_role = 'local'",
  "xmloption = 'document'",
];

const ADMIN = await createDatabase({ migrate: false });
const suffix = randomBytes(4).toString("hex");

afterAll(() => ADMIN.drop());

/** A database that is not migrated, and the way to it of a role with settings. */
async function createRole(index: number, settings: readonly string[]) {
  const role = `howdah_setting_${suffix}_${index}`;
  await ADMIN.sql(`create role ${role} superuser login password 'secret'`);
  for (const setting of settings) await ADMIN.sql(`alter role ${role} set ${setting}`);
  const database = await createDatabase({ migrate: false });
  const url = new URL(database.connectionString);
  url.username = role;
  url.password = "secret";
  return {
    database,
    connectionString: url.href,
    async drop() {
      await database.drop();
      await ADMIN.sql(`drop role ${role}`);
    },
  };
}

/** The whole life of jobs, from the migration on. Returns the queues that there should not be. */
async function live(
  database: Awaited<ReturnType<typeof createDatabase>>,
  way: Pick<ConnectionOptions, "connectionString" | "pool">,
): Promise<string[]> {
  const options = { ...way, schema: database.schema.name, logger: silentLogger };
  const client = await createClient(options);
  const session = await (way.pool ? way.pool.connect() : database.connect());

  // Keys whose payloads are merged, from the client and from SQL.
  await client.addJob("run", ["\\ \0".slice(0, 2)], { jobKey: "merged", queueName: "a\\b", runAt: new Date(0) });
  const merged = await client.addJob("run", ["'"], { jobKey: "merged", queueName: "a\\b" });
  expect(merged.payload).toEqual(["\\ ", "'"]);
  await session.query({
    text: "select howdah.add_job('run', '[3]', job_key => 'merged', queue_name => E'a\\\\b')",
  } as never);
  expect((await client.getJob(merged.id))?.payload).toEqual(["\\ ", "'", 3]);

  // Columns that some jobs set and others do not, with and without keys, inside of transactions and outside.
  const mixed = [
    {
      identifier: "run",
      payload: [4],
      spec: { queueName: "q", priority: 1, maxAttempts: 3, flags: ["f"], timeout: 5_000 },
    },
    { identifier: "run", payload: [5], spec: { runAt: new Date(0) } },
  ];
  const keyed = [...mixed, { identifier: "run", payload: [6], spec: { jobKey: "k" } }];
  for (const jobs of [mixed, keyed]) {
    expect(await client.addJobs(jobs, { returning: "ids" })).toHaveLength(jobs.length);
    const stored = await client.addJobs(jobs);
    expect(stored.map(({ queueName, jobKey }) => [queueName, jobKey]).slice(0, 2)).toEqual([
      ["q", null],
      [null, null],
    ]);
  }
  await session.query({ text: "begin" } as never);
  const inside = client.inTransaction(session);
  for (const jobs of [mixed, keyed]) {
    expect(await inside.addJobs(jobs, { returning: "ids" })).toHaveLength(jobs.length);
    const stored = await inside.addJobs(jobs);
    expect(stored.map(({ queueName, priority }) => [queueName, priority]).slice(0, 2)).toEqual([
      ["q", 1],
      [null, 0],
    ]);
  }
  await session.query({ text: "commit" } as never);
  if ("release" in session) session.release();

  // Outcomes of every kind, and what recurs.
  const ran: string[] = [];
  const note = (identifier: string, result?: () => unknown) =>
    defineTask({
      identifier,
      retry: { type: "fixed", delay: 10 },
      run: (_payload: unknown, { job }) => {
        ran.push(`${identifier} ${job.attempts}`);
        return job.attempts === 1 ? (result?.() as never) : undefined;
      },
    });
  const fail = (): never => {
    throw new Error("it's \\ failed");
  };
  await client.addJob("fail");
  await client.addJob("snooze");
  await client.schedules.upsert({ id: "s", task: "recur", schedule: every.seconds(1) });
  const worker = await createTestWorker(database, {
    ...way,
    concurrency: 3,
    pollInterval: 50,
    crontab: "* * * * * cron ?fill=2m\n",
    tasks: [note("run"), note("fail", fail), note("snooze", () => snooze(1)), note("recur"), note("cron")],
  });
  const running = worker.run();
  await until(() => ran.filter((line) => line.startsWith("run")).length >= 10 && ran.includes("fail 2"));
  await until(() => ran.includes("recur 1") && ran.filter((line) => line.startsWith("snooze")).length >= 2);
  await worker.client.schedules.remove("s");
  await worker.client.cancelJobs([(await client.addJob("run", [], { runAt: new Date("2999-01-01T00:00:00Z") })).id]);
  await worker.stop();
  await running;
  // None stays locked, or was changed by what it was sent with.
  const rows = await database.sql(
    "select job.locked_at, queue.queue_name, job.key from howdah._private_jobs as job left join howdah._private_job_queues as queue on queue.id = job.job_queue_id",
  );
  for (const { locked_at: lockedAt } of rows) expect(lockedAt).toBe(null);
  const queues = (await client.listQueues()).queues.map(({ name }) => name);
  await client.close();
  return queues.filter((name) => !["q", "a\\b"].includes(name));
}

describe("the whole life of a job is the same", () => {
  const table = [
    ...LITERALS.map((setting) => [setting, [setting]] as const),
    ["all of them", LITERALS] as const,
    ["others", OTHERS] as const,
  ].map(([name, settings], index) => [name, settings, index] as const);

  it.each(table)("for a role with %s", async (_name, settings, index) => {
    const { database, connectionString, drop } = await createRole(index, settings);
    expect(await live(database, { connectionString })).toEqual([]);
    await drop();
  });

  it.each(table.slice(-2))("over a pool of the application, for a role with %s", async (_name, settings, index) => {
    const { database, connectionString, drop } = await createRole(index + 100, settings);
    const pool = new pg.Pool({ connectionString });
    expect(await live(database, { pool })).toEqual([]);
    await pool.end();
    await drop();
  });
});
