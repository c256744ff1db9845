import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { blocked } from "../../harness/blocked.ts";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_tasks"));

const first = await database.connect();
const second = await database.connect();

const count = async (call: string, values: unknown[] = []) => {
  const [row] = await database.sql(`select howdah.${call} as count`, values);
  return row?.["count"];
};
const column = async (query: string) => {
  const rows = await database.sql(`select value from (${query}) as list(value) order by 1`);
  return rows.map((row) => row["value"]);
};
const tasks = () => column("select identifier from howdah._private_tasks");
const queues = () => column("select queue_name from howdah._private_job_queues");
const danglingJobs = () =>
  column(`
    select id from howdah._private_jobs
    where task_id not in (select id from howdah._private_tasks)
      or job_queue_id not in (select id from howdah._private_job_queues)`);

describe("what a clean-up removes", () => {
  it("removes tasks that no job uses, except those to keep", async () => {
    await database.sql("select howdah.add_job(name, job_key => name) from unnest('{job3,a,b,c,d}'::text[]) as name");
    await database.sql("update howdah._private_jobs set attempts = 25 where key = 'a'");
    await database.sql("delete from howdah._private_jobs where key in ('b', 'c', 'd')");
    expect(await count("_howdah_clean_up_tasks_v1($1)", [["d", "unknown"]])).toBe(2);
    expect(await tasks()).toEqual(["a", "d", "job3"]);
    expect(await count("_howdah_clean_up_tasks_v1(null)")).toBe(1);
    expect(await tasks()).toEqual(["a", "job3"]);
  });

  it("removes queues that no job uses and no worker holds, also when there are jobs without a queue", async () => {
    await database.sql(
      "select howdah.add_job('t', queue_name => name, job_key => name) from unnest('{waiting,failed,empty,held}'::text[]) as name",
    );
    await database.sql("select howdah.add_job('t')");
    await database.sql("update howdah._private_jobs set attempts = 25 where key = 'failed'");
    await database.sql("delete from howdah._private_jobs where key in ('empty', 'held')");
    await database.sql(
      "update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where queue_name = 'held'",
    );
    expect(await count("_howdah_clean_up_queues_v1()")).toBe(1);
    expect(await queues()).toEqual(["failed", "held", "waiting"]);
    expect(await count("_howdah_clean_up_queues_v1()")).toBe(0);
  });

  it("removes jobs that failed for good, also with more attempts than allowed, and none that runs", async () => {
    await database.sql(
      "select howdah.add_job('t', job_key => name, max_attempts => 2) from unnest('{new,last,failed,beyond}'::text[]) as name",
    );
    await database.sql("update howdah._private_jobs set attempts = 2 where key in ('failed', 'last')");
    await database.sql("update howdah._private_jobs set attempts = 3 where key = 'beyond'");
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w' where key = 'last'");
    expect(await count("_howdah_delete_exhausted_v1()")).toBe(2);
    expect(await column("select key from howdah._private_jobs")).toEqual(["last", "new"]);
  });

  it("works in batches", async () => {
    await database.sql(
      "select howdah.add_job('t ' || n, queue_name => 'q ' || n, max_attempts => 1) from generate_series(1, 25) as n",
    );
    await database.sql("update howdah._private_jobs set attempts = 1");
    for (const name of [
      "_howdah_delete_exhausted_v1(10)",
      "_howdah_clean_up_tasks_v1(null, 10)",
      "_howdah_clean_up_queues_v1(10)",
    ]) {
      const counts = [await count(name), await count(name), await count(name), await count(name)];
      expect(counts).toEqual([10, 10, 5, 0]);
    }
  });

  it("leaves alone what is in use", async () => {
    await database.sql("select howdah.add_job('t', max_attempts => 1) from generate_series(1, 2)");
    await database.sql("update howdah._private_jobs set attempts = 1");
    await first.query("begin; select from howdah._private_jobs order by id limit 1 for update");
    expect(await count("_howdah_delete_exhausted_v1()")).toBe(1);
    await first.query("rollback");
  });
});

describe("a clean-up and an add at the same time", () => {
  beforeEach(async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'q')");
    await database.sql("truncate howdah._private_jobs");
  });

  it.each([
    ["add_job", "select howdah.add_job('t', queue_name => 'q')"],
    ["add_job with a key", "select howdah.add_job('t', queue_name => 'q', job_key => 'k')"],
    ["add_jobs", "select howdah.add_jobs(array[row('t', null, 'q', null, null, null, null, null)]::howdah.job_spec[])"],
  ])("makes the clean-up wait for an open transaction with an add, and give up: %s", async (_, add) => {
    await first.query(`begin; ${add}`);
    await expect(second.query("select howdah._howdah_clean_up_queues_v1()")).rejects.toMatchObject({ code: "55P03" });
    await expect(second.query("select howdah._howdah_clean_up_tasks_v1(null)")).rejects.toMatchObject({
      code: "55P03",
    });
    await first.query("commit");
    expect(await count("_howdah_clean_up_queues_v1()")).toBe(0);
    expect(await danglingJobs()).toEqual([]);
  });

  const plainAdd = "select howdah._howdah_add_plain_job_v1('t', null, null, null, null, null, true)";

  it("makes one wait for the other, too, when the job is plain", async () => {
    await first.query(`begin; ${plainAdd}`);
    await expect(second.query("select howdah._howdah_clean_up_tasks_v1(null)")).rejects.toMatchObject({
      code: "55P03",
    });
    await first.query("commit");
    await database.sql("truncate howdah._private_jobs");
    await first.query("begin; select howdah._howdah_clean_up_tasks_v1(null)");
    const adding = second.query(plainAdd);
    await blocked(database, second);
    await first.query("commit");
    await adding;
    expect(await column("select task_identifier from howdah.jobs")).toEqual(["t"]);
    expect(await danglingJobs()).toEqual([]);
  });

  it("refuses a plain job whose task is deleted while the add waits, and stores nothing", async () => {
    await first.query("begin; lock table howdah._private_jobs in share mode");
    const adding = second.query(plainAdd).catch((error: unknown) => error);
    await blocked(database, second);
    await database.sql("delete from howdah._private_tasks where identifier = 't'");
    await first.query("commit");
    expect(await adding).toMatchObject({ code: "23502" });
    expect(await column("select id from howdah._private_jobs")).toEqual([]);
  });

  it("restores a task that was removed behind the snapshot of a repeatable read when the job is plain", async () => {
    await first.query("begin isolation level repeatable read; select count(*) from howdah.jobs");
    expect(await count("_howdah_clean_up_tasks_v1(null)")).toBe(1);
    await first.query(`${plainAdd}; commit`);
    expect(await column("select task_identifier from howdah.jobs")).toEqual(["t"]);
    expect(await danglingJobs()).toEqual([]);
  });

  it("looks again once it has the lock: what was unused before may be used by now", async () => {
    await first.query("begin; select howdah.add_job('t', queue_name => 'q')");
    const cleaning = second.query("select howdah._howdah_clean_up_queues_v1() as count");
    await blocked(database, second);
    await first.query("commit");
    expect((await cleaning).rows).toEqual([{ count: 0 }]);
    expect(await danglingJobs()).toEqual([]);
  });

  it.each([
    ["add_job", "select howdah.add_job('t', queue_name => 'q')"],
    ["add_job with a key", "select howdah.add_job('t', queue_name => 'q', job_key => 'k')"],
    ["add_jobs", "select howdah.add_jobs(array[row('t', null, 'q', null, null, null, null, null)]::howdah.job_spec[])"],
  ])("makes an add wait for the clean-up, and store what was removed again: %s", async (_, add) => {
    await first.query("begin; select howdah._howdah_clean_up_tasks_v1(null), howdah._howdah_clean_up_queues_v1()");
    const adding = second.query(add);
    await blocked(database, second);
    await first.query("commit");
    await adding;
    expect(await column("select task_identifier || ' ' || queue_name from howdah.jobs")).toEqual(["t q"]);
    expect(await danglingJobs()).toEqual([]);
  });

  it.each([
    ["add_job", "select howdah.add_job('t', queue_name => 'q')"],
    ["add_jobs", "select howdah.add_jobs(array[row('t', null, 'q', null, null, null, null, null)]::howdah.job_spec[])"],
  ])("restores what was removed behind the snapshot of a repeatable read: %s", async (_, add) => {
    await first.query("begin isolation level repeatable read; select count(*) from howdah.jobs");
    expect(await count("_howdah_clean_up_tasks_v1(null)")).toBe(1);
    expect(await count("_howdah_clean_up_queues_v1()")).toBe(1);
    await first.query(`${add}; commit`);
    expect(await column("select task_identifier || ' ' || queue_name from howdah.jobs")).toEqual(["t q"]);
    expect(await danglingJobs()).toEqual([]);
  });

  it("steps over a queue that a claim has just chosen, instead of waiting for it", async () => {
    await first.query("begin; select from howdah._private_job_queues where queue_name = 'q' for update");
    expect(await count("_howdah_clean_up_queues_v1()")).toBe(0);
    await first.query("update howdah._private_job_queues set locked_at = now(), locked_by = 'w'; commit");
    expect(await queues()).toEqual(["q"]);
  });
});
