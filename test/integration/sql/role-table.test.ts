import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../../src/client/client.ts";
import { createClient, silentLogger } from "../../../src/index.ts";
import { createDatabase } from "../../harness/database.ts";

const GUIDES = new URL("../../../docs/guides/", import.meta.url);
const ROLES = ["owner", "producer", "worker"] as const;
type Role = (typeof ROLES)[number];

const database = await createDatabase();
const suffix = randomBytes(4).toString("hex");
const nameOf = (role: Role): string => `howdah_${role}_${suffix}`;

const sessions = new Map<Role, { client: Client; session: pg.Client }>();

beforeAll(async () => {
  // Roles belong to the whole server, so every run has its own.
  const script = (await readFile(new URL("roles.sql", GUIDES), "utf8")).replace(
    /howdah_(producer|worker)/g,
    `$&_${suffix}`,
  );
  const owner = nameOf("owner");
  const objects = await database.sql(
    `select format('alter %s %s owner to ${owner}', case when relkind = 'v' then 'view' else 'table' end, oid::regclass) as statement
     from pg_class where relnamespace = 'howdah'::regnamespace and relkind in ('r', 'p', 'v')
     union all
     select format('alter function %s owner to ${owner}', oid::regprocedure)
     from pg_proc where pronamespace = 'howdah'::regnamespace
     union all
     select format('alter type %s owner to ${owner}', pg_type.oid::regtype) from pg_type
     join pg_class on pg_class.oid = typrelid and relkind = 'c' where typnamespace = 'howdah'::regnamespace`,
  );
  const statements = objects.map((row) => String(row["statement"]));
  await database.sql(`create role ${owner}; alter schema howdah owner to ${owner}; ${statements.join(";")}`);
  await database.sql(`set role ${owner}; reset role; ${script}`);
  for (const role of ROLES) {
    const url = new URL(database.connectionString);
    url.searchParams.set("options", `-c role=${nameOf(role)}`);
    const client = await createClient({ connectionString: url.href, migrate: false, logger: silentLogger });
    const session = await database.connect();
    await session.query(`set role ${nameOf(role)}`);
    sessions.set(role, { client, session });
  }
});
afterAll(async () => {
  for (const { client } of sessions.values()) await client.close();
  const roles = ROLES.map(nameOf).join(", ");
  await database.sql(`drop owned by ${roles} cascade; drop role ${roles}`);
  await database.drop();
});

/** A waiting job without a key, one with the key `k`, one that runs and one that failed, by these ids. */
beforeEach(async () => {
  await database.sql(`
    truncate howdah._private_jobs, howdah._private_tasks, howdah._private_job_queues, howdah._howdah_schedules, howdah._howdah_operations restart identity;
    insert into howdah._howdah_operations (action, filter, change, newest_id) values ('remove', '{"task":"none"}', '{}', 0);
    select howdah.add_job('waiting', queue_name => 'q'), howdah.add_job('keyed', job_key => 'k'),
      howdah.add_job('running', job_key => 'r'), howdah.add_job('failed', max_attempts => 1);
    insert into howdah._private_tasks (identifier) values ('unused');
    update howdah._private_tasks set _howdah_keep = 7 where identifier = 'unused';
    update howdah._howdah_history_state set next_at = 'epoch';
    update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1 where id = 3;
    update howdah._private_jobs set attempts = 1 where id = 4`);
});

interface Attempt {
  readonly client: Client;
  sql(text: string): Promise<unknown>;
}

/** What each row of the table stands for: every statement and call of it has to succeed, or every one has to be refused. */
const attempts: Readonly<Record<string, (as: Attempt) => readonly (() => Promise<unknown>)[]>> = {
  "see jobs, with their payloads": ({ client, sql }) => [
    () => client.listJobs(),
    () => client.getJob("1"),
    () => client.stats(),
    () => client.listQueues(),
    () => client.listErrors(),
    () => client.stats({ by: "task" }),
    () => client.backlog(),
    () => sql("select payload from howdah._private_jobs"),
    () => sql("select * from howdah.jobs"),
  ],
  "see workers and what they do, and why a job does not run": ({ client }) => [
    () => client.listActiveWorkers(),
    () => client.listIdleWorkers(),
    () => client.explainJob("1"),
  ],
  "see progress and logs of jobs": ({ client, sql }) => [
    () => client.listJobLogs("1"),
    () => sql("select * from howdah._howdah_progress"),
  ],
  "note progress and lines of logs": ({ sql }) => [
    () =>
      sql(
        `select howdah._howdah_note_v1(array[3], '{w}', array(select howdah._howdah_us(locked_at) from howdah._private_jobs where id = 3),
           '{1}', '{3}', '{1}', '{1}', '{1}', '{m}', '{null}', '{3}', '{1}', '{3}')`,
      ),
    async () => {
      await sql("select howdah._howdah_sweep_notes_v1()");
      // One who comes too early for a sweep needs no right to make it.
      await sql("update howdah._howdah_notes_sweep set next_at = next_at");
    },
  ],
  "see finished jobs and failed attempts": ({ client, sql }) => [
    () => client.history(),
    () => client.listAttempts("1"),
    () => client.getJob("77"),
    () => sql("select payload from howdah._howdah_history"),
  ],
  "see samples": ({ client }) => [() => client.listSamples(), () => client.listTaskSamples()],
  "take samples": ({ sql }) => [
    async () => {
      await sql("select howdah._howdah_sample_v1()");
      // One that is taken already needs no right to take it.
      await sql("insert into howdah._howdah_samples select * from howdah._howdah_samples where false");
    },
    () =>
      sql(
        "insert into howdah._howdah_task_samples values (now(), 't', 1, 1, 1, '{1}') on conflict (at, task) do update set failed = 2",
      ),
  ],
  "see which release the schema belongs to": ({ sql }) => [
    () => sql("select * from howdah._howdah_migrations"),
    () => sql("select * from howdah.migrations"),
  ],
  "`addJob`, `addJobs` and `addBatchJob`, alone and inside of a transaction": ({ client, sql }) => [
    () => client.addJob("new"),
    () => client.addJob("new", 1, { queueName: "new", flags: ["f"], timeout: "1s" }),
    () => client.addJobs([{ identifier: "new" }, { identifier: "newer", spec: { queueName: "newer" } }]),
    () => client.addJobs([{ identifier: "new" }], { returning: "ids" }),
    () => client.addJobs([{ identifier: "new", spec: { queueName: "newest" } }], { returning: "ids" }),
    () => client.addBatchJob("batch", [1]),
    () => inTransaction(client, sql, {}),
  ],
  "the same with a key: replaces the waiting job that has it, and ends the attempts of one that runs": ({
    client,
    sql,
  }) => [
    async () => expect(await client.addJob("keyed", 2, { jobKey: "k" })).toMatchObject({ id: "2", revision: 1 }),
    async () => expect((await client.addJob("running", 2, { jobKey: "r" })).id).not.toBe("3"),
    () => client.addJobs([{ identifier: "keyed", spec: { jobKey: "k", jobKeyMode: "preserve_run_at" } }]),
    async () =>
      expect(await client.addJobs([{ identifier: "keyed", spec: { jobKey: "k" } }], { returning: "ids" })).toEqual([
        { id: "2" },
      ]),
    () => client.addBatchJob("batch", [1], { jobKey: "b" }),
    () => inTransaction(client, sql, { jobKey: "k" }),
  ],
  "`addJob` with `unsafe_dedupe`": ({ client }) => [
    () => client.addJob("keyed", 2, { jobKey: "k", jobKeyMode: "unsafe_dedupe" }),
    () => client.addJob("keyed", 2, { jobKey: "another", jobKeyMode: "unsafe_dedupe" }),
  ],
  "`add_job` and `add_jobs` in SQL": ({ sql }) => [
    () => sql("select howdah.add_job('new', queue_name => 'new')"),
    () => sql("select howdah.add_job('keyed', job_key => 'k')"),
    () => sql("select howdah.add_job('keyed', job_key => 'k', job_key_mode => 'unsafe_dedupe')"),
    () => sql("select howdah.add_jobs(array[row('t', null, 'q', null, null, 'k', null, '{f}')]::howdah.job_spec[])"),
    () => sql("begin isolation level repeatable read; select howdah.add_job('t', queue_name => 'q'); commit"),
  ],
  "`addJob` with `awaited`, and `result`": ({ client }) => [
    () => client.addJob("new", 1, { awaited: true }),
    () => client.addJobs([{ identifier: "new", spec: { awaited: true } }], { returning: "ids" }),
    () =>
      client.result("4").catch((error: { code: string }) => {
        if (error.code !== "HOWDAH_RESULT_FAILED") throw error;
      }),
    () =>
      client.result("987654").catch((error: { code: string }) => {
        if (error.code !== "HOWDAH_RESULT_UNKNOWN") throw error;
      }),
  ],
  "`removeJob`": ({ client, sql }) => [() => client.removeJob("k"), () => sql("select howdah.remove_job('r')")],
  "`completeJobs`": ({ client, sql }) => [
    () => client.completeJobs(["1"]),
    () => sql("select howdah.complete_jobs('{2}')"),
  ],
  "`permanentlyFailJobs`": ({ client, sql }) => [
    () => client.permanentlyFailJobs(["1"]),
    () => sql("select howdah.permanently_fail_jobs('{2}')"),
  ],
  "`rescheduleJobs`": ({ client, sql }) => [
    () => client.rescheduleJobs(["1"], { priority: 1 }),
    () => sql("select howdah.reschedule_jobs('{2}', attempts => 0)"),
  ],
  "`cancelJobs`": ({ client }) => [() => client.cancelJobs(["1"]), () => client.cancelJobs(["3"])],
  "`retryJobs`, `removeJobs`, and `rescheduleJobs` and `cancelJobs` by a filter": ({ client }) => [
    () => client.retryJobs({ task: "failed" }),
    () => client.removeJobs({ task: "waiting" }),
    () => client.rescheduleJobs({ task: "keyed" }, { priority: 1 }),
    () => client.cancelJobs({ task: "running" }),
  ],
  "`operations.list`, `get`, `pause`, `resume` and `stop`": ({ client }) => [
    () => client.operations.list(),
    ...(["get", "pause", "resume", "stop"] as const).map((method) => () => client.operations[method]("1")),
  ],
  "make and drop partitions of the history, by the function for that": ({ sql }) => [
    () => sql("select howdah._howdah_tend_history_v1(true)"),
    () => sql("select howdah._howdah_tend_history_v1(true)"),
  ],
  "`eraseJobs`": ({ client }) => [() => client.eraseJobs({ key: "k" }), () => client.eraseJobs({ keyPrefix: "k" })],
  "`forceUnlockWorkers`": ({ client, sql }) => [
    () => client.forceUnlockWorkers(["w"]),
    () => sql("select howdah.force_unlock_workers('{w}')"),
    () => sql("select howdah.recover_dead_worker_jobs('{w}')"),
  ],
  "`pauseQueue` and `resumeQueue`": ({ client }) => [() => client.pauseQueue("q"), () => client.resumeQueue("q")],
  "see rules of queues": ({ client }) => [() => client.listQueueRules()],
  "`setQueueRules` and `setQueuePool`": ({ client }) => [
    () => client.setQueuePool("p", { concurrency: 2 }),
    () => client.setQueueRules("q", { concurrency: 2, rate: { limit: 1, per: "1s" }, pool: "p" }),
    () => client.setQueueRules("q", null),
    () => client.setQueuePool("p", null),
  ],
  "`pauseTask` and `resumeTask`": ({ client }) => [() => client.pauseTask("keyed"), () => client.resumeTask("keyed")],
  "`schedules.upsert`, `pause`, `resume`, `trigger` and `remove`": ({ client }) => [
    () => client.schedules.upsert({ id: "s", task: "keyed", schedule: "* * * * *" }),
    () => client.schedules.pause("s"),
    () => client.schedules.resume("s"),
    () => client.schedules.trigger("s"),
    () => client.schedules.remove("s"),
  ],
  "`sweepStaleWorkers`": ({ client }) => [() => client.sweepStaleWorkers({ sweepThreshold: "1h" })],
  "`cleanup` of jobs that failed for good": ({ client }) => [() => client.cleanup(["permanentlyFailedJobs"])],
  "`cleanup` of tasks and queues": ({ client }) => [() => client.cleanup(["unusedTasks"])],
  "run jobs": ({ sql }) => [
    () => sql("select howdah._howdah_claim_named_v1('w', '{1}', array(select id from howdah._private_tasks), null)"),
  ],
  "update jobs in SQL, in any column": ({ sql }) =>
    [
      "attempts",
      "run_at",
      "priority",
      "payload",
      "locked_at",
      "locked_by",
      "key",
      "last_error",
      "_howdah_detached",
    ].map((column) => () => sql(`update howdah._private_jobs set ${column} = ${column} where id = 1`)),
  "insert a job with a key in SQL, without a function": ({ sql }) => [
    () => sql("insert into howdah._private_jobs (task_id, key) values (1, 'past')"),
    () => sql("insert into howdah._private_jobs (task_id, locked_by) values (1, 'w')"),
  ],
  "delete jobs in SQL": ({ sql }) => [() => sql("delete from howdah._private_jobs where id = 1")],
  "lock queues in SQL": ({ sql }) => [
    () => sql("update howdah._private_job_queues set locked_at = now(), locked_by = 'w'"),
  ],
  "rename tasks and queues in SQL": ({ sql }) => [
    () => sql("update howdah._private_tasks set identifier = 'other' where identifier = 'unused'"),
    () => sql("update howdah._private_job_queues set queue_name = 'other'"),
  ],
  "the [record](../reference/admin-api.md#routes) of changes through the admin API": ({ sql }) => [
    () => sql("insert into howdah._howdah_audit (who, action, target) values ('ada', 'jobs.add', '{}')"),
    () => sql("select from howdah._howdah_audit"),
    () => sql("update howdah._howdah_audit set outcome = 'done'"),
    () => sql("delete from howdah._howdah_audit"),
  ],
  "register and deregister workers": ({ sql }) => [
    () => sql("select howdah.worker_heartbeat('w')"),
    () => sql("select howdah.worker_deregister('w')"),
  ],
  "migrate, and create anything in the schema": ({ sql }) => [
    () => sql("create table howdah.mine (); drop table howdah.mine"),
    () => sql("insert into howdah._howdah_migrations select * from howdah._howdah_migrations where false"),
  ],
};

/** Adds raw, through a session of the caller, which a transaction of `pg` is for a client. */
async function inTransaction(client: Client, sql: Attempt["sql"], spec: { jobKey?: string }): Promise<void> {
  const executor = { query: (query: pg.QueryConfig) => sql(query as unknown as string) } as unknown as pg.Client;
  await sql("begin");
  try {
    await client.inTransaction(executor).addJob("keyed", {}, spec);
    await client.inTransaction(executor).addJobs([{ identifier: "keyed", spec }]);
  } finally {
    await sql("commit");
  }
}

const page = await readFile(new URL("database-roles.md", GUIDES), "utf8");
const cells = page
  .split("\n")
  .filter((line) => /\| (yes|no) +\|$/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .flatMap(([, what = "", ...said]) => ROLES.map((role, index) => ({ what, role, may: said[index] === "yes" })));

describe("the table of database roles", () => {
  it("has a row for everything that is tried here", () => {
    expect([...new Set(cells.map(({ what }) => what))].sort()).toEqual(Object.keys(attempts).sort());
  });

  it.each(cells)("says of $role that it may: $what: $may", async ({ what, role, may }) => {
    const { client, session } = sessions.get(role) ?? expect.unreachable();
    const calls = attempts[what]?.({ client, sql: (text) => session.query(text) }) ?? [];
    for (const call of calls) {
      const error: unknown = await call().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (may || !isForbidden(error)) expect(error).toBe(may ? undefined : "a refusal for a right that is missing");
    }
  });
});

function isForbidden(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: string; cause?: { code?: string } };
  return code === "42501" || code === "HOWDAH_DATABASE_FORBIDDEN" || cause?.code === "42501";
}
