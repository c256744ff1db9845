import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createWorker, defineTask, silentLogger } from "../../../src/index.ts";
import { createDatabase } from "../../harness/database.ts";

const SCRIPT = new URL("../../../docs/guides/roles.sql", import.meta.url);

const database = await createDatabase();
const suffix = randomBytes(4).toString("hex");
const roles = { producer: `howdah_producer_${suffix}`, worker: `howdah_worker_${suffix}` };

beforeAll(async () => {
  // Roles belong to the whole server, so every run has its own.
  const script = (await readFile(SCRIPT, "utf8")).replace(/howdah_(producer|worker)/g, `$&_${suffix}`);
  await database.sql(script);
  await database.sql(script);
});
afterAll(async () => {
  await database.sql(`drop owned by ${roles.producer}, ${roles.worker}`);
  await database.sql(`drop role ${roles.producer}, ${roles.worker}`);
  await database.drop();
});

const producer = await database.connect();
const worker = await database.connect();
beforeAll(async () => {
  await producer.query(`set role ${roles.producer}`);
  await worker.query(`set role ${roles.worker}`);
});
beforeEach(() => database.sql("truncate howdah._private_jobs"));

const LOCK = "update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = attempts + 1";
const forbidden = { code: "42501" };

describe("a producer", () => {
  it.each([
    ["a job", "select howdah.add_job('new task', '{}', 'new queue')"],
    ["a plain job", "select howdah._howdah_add_plain_job_v1('t', '{}', null, null, null, null, true)"],
    [
      "a job in repeatable read",
      "begin isolation level repeatable read; select howdah.add_job('t', queue_name => 'q'); commit",
    ],
    [
      "many jobs",
      "select howdah.add_jobs(array[row('t', null, 'q', null, null, 'k', null, '{f}')]::howdah.job_spec[])",
    ],
  ])("may add %s", async (_, statement) => {
    await producer.query(statement);
    expect((await producer.query("select * from howdah.jobs")).rows).toHaveLength(1);
  });

  it("may replace a job by its key, one that waits and one that runs", async () => {
    const add = (more = "") =>
      producer.query(`select id, revision from howdah.add_job('t', '[1]', job_key => 'k'${more})`);
    await add();
    expect((await add()).rows).toMatchObject([{ revision: 1 }]);
    expect((await add(", job_key_mode => 'unsafe_dedupe'")).rows).toMatchObject([{ revision: 2 }]);
    await database.sql(LOCK);
    expect((await add()).rows).toMatchObject([{ revision: 0 }]);
  });

  it("may add a unique job, find the one that is there, and read the keys that are kept of none", async () => {
    const add = () =>
      producer.query(`select outcomes from howdah._howdah_add_unique_jobs_v1(
        '{t}', array['{}']::json[], null, null, null, '{k}', null, null, '{replace}', null,
        '[{"while":"unfinished","otherwise":"keep","forMs":60000}]', true)`);
    expect((await add()).rows).toEqual([{ outcomes: ["added"] }]);
    expect((await add()).rows).toEqual([{ outcomes: ["kept"] }]);
    await expect(producer.query("select * from howdah._howdah_recent")).rejects.toMatchObject(forbidden);
    await expect(producer.query("select howdah._howdah_forget_recent_v1()")).rejects.toMatchObject(forbidden);
    // Who may cancel jobs lets their keys be added again.
    await worker.query("select howdah._howdah_cancel_jobs_v1(array(select id from howdah._private_jobs), 'r')");
    expect((await add()).rows).toEqual([{ outcomes: ["added"] }]);
  });

  it("may see jobs with their payloads, and the release of the schema", async () => {
    await producer.query(`select howdah.add_job('t', '{"a": 1}')`);
    expect((await producer.query("select payload from howdah._private_jobs")).rows).toEqual([{ payload: { a: 1 } }]);
    expect(
      (await producer.query("select max(id)::int as id from howdah._howdah_migrations")).rows[0]?.id,
    ).toBeGreaterThan(0);
  });

  it.each([
    ["lock jobs", LOCK],
    ["delete jobs", "delete from howdah._private_jobs"],
    ["complete jobs", "select howdah.complete_jobs(array(select id from howdah._private_jobs))"],
    ["remove waiting jobs", "select howdah.remove_job('k')"],
    ["cancel jobs", "select howdah._howdah_cancel_jobs_v1('{1}', 'r')"],
    ["pause a queue", "select howdah._howdah_pause_queue_v1('q')"],
    ["pause a task", "select howdah._howdah_pause_task_v1('t')"],
    ["unlock others", "select howdah.force_unlock_workers('{w}')"],
    ["lock queues", "update howdah._private_job_queues set locked_at = now()"],
    ["rename tasks", "update howdah._private_tasks set identifier = 'other'"],
    ["register as a worker", "select howdah.worker_heartbeat('w')"],
    ["recover jobs", "select howdah.recover_dead_worker_jobs('{w}')"],
    ["clean up", "select howdah._howdah_delete_exhausted_v1()"],
    ["change the schema", "create table howdah.mine ()"],
  ])("may not %s", async (_, statement) => {
    await database.sql("select howdah.add_job('t', queue_name => 'q', job_key => 'k')");
    await database.sql(`${LOCK} where false`);
    await expect(producer.query(statement)).rejects.toMatchObject(forbidden);
  });
});

describe("a worker", () => {
  it("may run jobs, of a queue and without, and a client of its own may add and manage them", async () => {
    const url = new URL(database.connectionString);
    url.searchParams.set("options", `-c role=${roles.worker}`);
    const seen: unknown[] = [];
    const note = defineTask({
      identifier: "note",
      retry: { type: "fixed", delay: "1h" },
      async run(payload: string, { withTransaction, complete }) {
        seen.push(payload);
        if (payload === "bad") throw new Error("no");
        if (payload === "exactly once") await withTransaction((transaction) => complete(transaction));
      },
    });
    await using runner = await createWorker({
      connectionString: url.href,
      migrate: false,
      tasks: [note],
      logger: silentLogger,
      shutdown: { osSignals: false },
    });
    await runner.client.addJobs([
      { task: note, payload: "queued", spec: { queueName: "q" } },
      { task: note, payload: "bad", spec: { jobKey: "bad" } },
      { task: note, payload: "plain" },
      { task: note, payload: "exactly once" },
    ]);
    expect(await runner.runOnce()).toMatchObject({ completed: 3, failed: 1, ended: "drained" });
    expect(new Set(seen)).toEqual(new Set(["bad", "exactly once", "plain", "queued"]));
    const left = await database.sql("select key, attempts, locked_by from howdah._private_jobs");
    expect(left).toEqual([{ key: "bad", attempts: 1, locked_by: null }]);
  });

  it.each([
    ["report that it lives", "select howdah.worker_heartbeat('w'), howdah.worker_deregister('w')"],
    ["recover the dead", "select howdah.recover_dead_worker_jobs('{w}'), howdah.delete_stale_workers('{w}')"],
    [
      "look for the dead",
      "select howdah.list_stale_workers('5 minutes'), howdah.list_orphan_locked_workers('5 minutes')",
    ],
    [
      "watch others and recover what they held",
      `select (select count(*) from howdah._howdah_workers_v1()), howdah._howdah_declare_dead_v1('{w}', '{0}'),
         howdah._howdah_recover_v1('{w}', 0, null, 1), howdah._howdah_free_queues_v1('{w}', null),
         howdah._howdah_orphans_v1(0, 0, 0), howdah._howdah_sweep_v1(1, 1, 1, '{}', 1, 1, false)`,
    ],
    [
      "manage jobs",
      "select howdah.remove_job('k'), howdah.reschedule_jobs('{1}'), howdah.complete_jobs('{1}'), howdah.permanently_fail_jobs('{1}')",
    ],
    [
      "cancel jobs, and pause and resume queues and tasks",
      `select howdah._howdah_cancel_jobs_v1('{1}', 'r'), howdah._howdah_control_v1('{1}'),
         howdah._howdah_pause_queue_v1('q'), howdah._howdah_resume_queue_v1('q'),
         howdah._howdah_pause_task_v1('x'), howdah._howdah_resume_task_v1('x')`,
    ],
    ["unlock others", "select howdah.force_unlock_workers('{w}')"],
    ["delete jobs that failed for good", "select howdah._howdah_delete_exhausted_v1()"],
    [
      "note when a crontab ran",
      "insert into howdah._private_known_crontabs values ('c', now()) on conflict (identifier) do update set last_execution = now()",
    ],
    [
      "add the ticks of a crontab",
      "select * from howdah._howdah_add_cron_ticks_v1('{c}', '{1600000000000000}', '{t}', array['{}']::json[], '{q}', '{3}', '{k}', '{0}', array['{}']::jsonb[], '{replace}')",
    ],
    [
      "keep schedules and add their ticks",
      `select howdah._howdah_upsert_schedule_v1('s', 't', '* * * * *', 'UTC', 0, 'all', '{}', 'q', null, null, null, null, null);
       select howdah._howdah_pause_schedule_v1('s', null), howdah._howdah_resume_schedule_v1('s');
       select howdah._howdah_add_schedule_ticks_v1(
         array[id], array[version], array[howdah._howdah_us(now() + interval '1 minute')], '{t}', array['{}']::json[],
         '{q}', '{3}', '{k}', '{0}', array['{}']::jsonb[], '{replace}'
       ) from howdah._howdah_schedules;
       delete from howdah._howdah_schedules`,
    ],
  ])("may %s", async (_, statement) => {
    await database.sql("select howdah.add_job('t', queue_name => 'q', job_key => 'k')");
    await expect(worker.query(statement)).resolves.toBeDefined();
  });

  it.each([
    ["change the schema", "create table howdah.mine ()"],
    ["rename queues", "update howdah._private_job_queues set queue_name = 'other'"],
    ["rename tasks", "update howdah._private_tasks set identifier = 'other'"],
    ["pretend that a migration ran", "insert into howdah.migrations (id) values (21)"],
    ["clean up queues that are not used", "select howdah._howdah_clean_up_queues_v1()"],
  ])("may not %s", async (_, statement) => {
    await database.sql("select howdah.add_job('t', queue_name => 'q')");
    await database.sql("truncate howdah._private_jobs");
    await expect(worker.query(statement)).rejects.toMatchObject(forbidden);
  });
});

describe("a role without rights", () => {
  it("cannot look into the schema, although everybody may execute functions", async () => {
    const stranger = `howdah_stranger_${suffix}`;
    await database.sql(`create role ${stranger}`);
    try {
      const session = await database.connect();
      await session.query(`set role ${stranger}`);
      await expect(session.query("select howdah.add_job('t')")).rejects.toMatchObject(forbidden);
      await expect(session.query("select * from howdah.jobs")).rejects.toMatchObject(forbidden);
    } finally {
      await database.sql(`drop role ${stranger}`);
    }
  });
});
