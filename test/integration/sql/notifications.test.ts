import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(() => database.sql("truncate howdah._private_jobs"));

const heard: string[] = [];
const listener = await database.connect();
listener.on("notification", ({ channel, payload }) => heard.push(`${channel} ${payload}`));
await listener.query(`listen "jobs:insert"`);
await listener.query(`listen "the end"`);

async function hearEverything(): Promise<void> {
  const before = heard.length;
  await database.sql(`notify "the end"`);
  await until(() => heard.slice(before).some((line) => line.startsWith("the end")), { message: "a notification" });
}

/** What `statement` tells on `jobs:insert`, in order; without `r`, which is random. */
async function told(statement: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  await hearEverything();
  heard.length = 0;
  await database.sql(statement, values);
  await hearEverything();
  return heard.slice(0, -1).map((line) => {
    expect(line).toMatch(/^jobs:insert \{/);
    const { r, ...rest } = JSON.parse(line.slice("jobs:insert ".length)) as Record<string, unknown>;
    expect(r).toBeTypeOf("number");
    return rest;
  });
}

async function one(query: string): Promise<number> {
  const [row] = await database.sql(`select (${query})::float8 as value`);
  return row?.["value"] as number;
}

const runAt = (id: number) => one(`select howdah._howdah_us(run_at) from howdah._private_jobs where id = ${id}`);
const lastId = () => one("select max(id) from howdah._private_jobs");
const queueId = (name: string) => one(`select id from howdah._private_job_queues where queue_name = '${name}'`);

describe("adds", () => {
  it("tells the schema, the time in microseconds and the queue of a job that is due, or its id when it is in none", async () => {
    const plain = await told("select howdah.add_job('t')");
    const id = await lastId();
    expect(plain).toEqual([{ count: 1, schema: "howdah", at: await runAt(id), queues: [], ids: [Number(id)] }]);
    const queued = await told("select howdah.add_job('t', queue_name => 'q')");
    expect(queued).toMatchObject([{ count: 1, at: await runAt(await lastId()), queues: [await queueId("q")] }]);
    expect(queued[0]).not.toHaveProperty("ids");
  });

  it("tells the same of a plain job that a client adds", async () => {
    const add = (at: string, notify = true): string =>
      `select howdah._howdah_add_plain_job_v1('t', '{}', ${at}, null, null, null, ${notify})`;
    for (const at of ["null", "'-infinity'", "now() + interval '1 second'"]) {
      const plain = await told(add(at));
      const id = await lastId();
      expect(plain).toEqual([{ count: 1, schema: "howdah", at: await runAt(id), queues: [], ids: [Number(id)] }]);
    }
    expect(await told(add("now() + interval '1 minute'"))).toEqual([]);
    expect(await told(add("null", false))).toEqual([]);
    expect(await told(add("null").replace("'t'", "'of a new task'"))).toHaveLength(1);
    expect(await told(`begin isolation level repeatable read; ${add("null")}; commit`)).toHaveLength(1);
  });

  it("tells of a job by the clock when its transaction has been open for long, however it is added", async () => {
    const at = "now() + interval '3 seconds'";
    const adds = `
      select howdah.add_job('t', run_at => ${at});
      select howdah._howdah_add_plain_job_v1('t', '{}', ${at}, null, null, null, true);
      select howdah._howdah_add_jobs_without_keys_v1(
        '{t}', array['{}']::json[], null, array[${at}], null, null, null, null, true);
      select howdah._howdah_add_jobs_without_keys_v2(
        '{t}', array['{}']::json[], null, array[${at}], null, null, null, null, true, null, true);
      select howdah._howdah_add_keyed_job_ids_v1(
        '{t}', array['{}']::json[], null, array[${at}], null, '{k}', null, null, null, null, true)`;
    expect(await told(`begin; ${adds}; commit`)).toEqual([]);
    expect(await told(`begin; select pg_sleep(1.1); ${adds}; commit`)).toHaveLength(5);
  });

  it("tells the queue of a plain job that a trigger has put into one", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'q')");
    const queue = await queueId("q");
    await database.sql(`
      create function into_queue() returns trigger language plpgsql as $$ begin new.job_queue_id := ${queue}; return new; end $$;
      create trigger into_queue before insert on howdah._private_jobs for each row execute function into_queue()`);
    const queued = await told("select howdah._howdah_add_plain_job_v1('t', '{}', null, null, null, null, true)");
    expect(queued).toMatchObject([{ count: 1, at: await runAt(await lastId()), queues: [queue] }]);
    expect(queued[0]).not.toHaveProperty("ids");
    await database.sql("drop trigger into_queue on howdah._private_jobs; drop function into_queue");
  });

  it("tells nothing of a plain job that a trigger has kept from being stored, and asks the trigger once", async () => {
    await database.sql(`
      create table asked (n integer);
      create function refuse() returns trigger language plpgsql as $$ begin insert into public.asked values (1); return null; end $$;
      create trigger refuse before insert on howdah._private_jobs for each row execute function refuse()`);
    expect(await told("select howdah._howdah_add_plain_job_v1('t', '{}', null, null, null, null, true)")).toEqual([]);
    expect(await one("select count(*) from asked")).toBe(1);
    await database.sql("drop trigger refuse on howdah._private_jobs; drop function refuse; drop table asked");
  });

  it("tells once for every call of one transaction", async () => {
    const both = await told("select howdah.add_job('t'), howdah.add_job('t')");
    expect(both).toHaveLength(2);
  });

  it("tells about jobs due within two seconds and about no later ones", async () => {
    expect(await told("select howdah.add_job('t', run_at => now() + interval '1 second')")).toHaveLength(1);
    expect(await told("select howdah.add_job('t', run_at => now() + interval '1 minute')")).toEqual([]);
    expect(await told("select howdah.add_job('t', run_at => 'infinity', job_key => 'k')")).toEqual([]);
  });

  it("tells the stored time when a keyed add keeps it", async () => {
    await database.sql("select howdah.add_job('t', job_key => 'k', run_at => '2001-01-01 00:00:00.000001+00')");
    const kept = await told("select howdah.add_job('t', job_key => 'k', job_key_mode => 'preserve_run_at')");
    expect(kept).toMatchObject([{ count: 1, at: 978_307_200_000_001 }]);
  });

  it("tells about an update by key, and about unsafe_dedupe only when it added a job", async () => {
    const dedupe = "select howdah.add_job('t', job_key => 'd', job_key_mode => 'unsafe_dedupe')";
    expect(await told(dedupe)).toMatchObject([{ count: 1 }]);
    expect(await told(dedupe)).toEqual([]);
    expect(await told("select howdah.add_job('t', job_key => 'd')")).toMatchObject([{ count: 1 }]);
  });

  it.each([
    ["without keys", "null"],
    ["with keys", "'k' || number"],
  ])("tells once for a bulk add %s: how many are due, the earliest time, each queue once", async (_, key) => {
    const bulk = await told(`
        select howdah.add_jobs(array_agg(
          row('t', null, case when number > 4 then 'queue ' || number % 2 end,
            case when number > 8 then '2200-01-01' when number = 3 then '2001-01-01 00:00:00+00'::timestamptz end,
            null, ${key}, null, null)::howdah.job_spec
        )) from generate_series(1, 10) as number`);
    expect(bulk).toEqual([{ count: 8, schema: "howdah", at: 978_307_200_000_000, queues: expect.anything() }]);
    const queues = [await queueId("queue 0"), await queueId("queue 1")];
    expect(new Set(bulk[0]?.["queues"] as number[])).toEqual(new Set(queues));
    expect(bulk[0]?.["queues"]).toHaveLength(2);
  });

  it("names at most fifty queues", async () => {
    const bulk = await told(`
      select howdah.add_jobs(array_agg(row('t', null, 'many ' || number, null, null, null, null, null)::howdah.job_spec))
      from generate_series(1, 60) as number`);
    expect(bulk).toMatchObject([{ count: 60 }]);
    expect(bulk[0]?.["queues"]).toHaveLength(50);
  });

  it("tells nothing for a bulk add of nothing, or of jobs for later", async () => {
    expect(await told("select howdah.add_jobs(null), howdah.add_jobs('{}')")).toEqual([]);
    expect(
      await told(
        "select howdah.add_jobs(array[row('t', null, null, '2200-01-01', null, null, null, null)]::howdah.job_spec[])",
      ),
    ).toEqual([]);
  });

  it("tells nothing from Howdah's own adds when the caller does that after its commit", async () => {
    expect(
      await told(`
        select howdah._howdah_add_jobs_v1(array['t'], null, null, null, null, array[key], null, null, null, false),
          howdah._howdah_add_job_v1('t', null, null, null, null, key, null, null, 'replace', false)
        from (values (null), ('k')) as keys(key)`),
    ).toEqual([]);
  });

  it("tells nothing when the transaction is rolled back", async () => {
    const session = await database.connect();
    await session.query("begin; select howdah.add_job('t'); rollback");
    expect(await told("select 1")).toEqual([]);
  });
});

describe("changes", () => {
  const add = async (more = "") => {
    await database.sql(`select howdah.add_job('t'${more})`);
    return lastId();
  };

  it("tells -1 for a job that was removed, and nothing for one that runs or is not there", async () => {
    await add(", job_key => 'k'");
    expect(await told("select howdah.remove_job('k')")).toEqual([{ count: -1, schema: "howdah" }]);
    expect(await told("select howdah.remove_job('k')")).toEqual([]);
    await add(", job_key => 'k'");
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w'");
    expect(await told("select howdah.remove_job('k')")).toEqual([]);
  });

  it("tells about jobs that are due after a reschedule", async () => {
    const later = await add(", run_at => '2200-01-01', queue_name => 'q'");
    const failed = await add(", run_at => '2001-01-01'");
    await database.sql("update howdah._private_jobs set attempts = 25 where id = $1", [failed]);
    expect(await told(`select howdah.reschedule_jobs(array[${failed}], priority => 3)`)).toEqual([]);
    expect(await told(`select howdah.reschedule_jobs(array[${later}], priority => 3)`)).toEqual([]);
    const both = await told(`
      select howdah.reschedule_jobs(array[${failed}, ${later}], run_at => '2002-01-01 00:00:00+00', attempts => 0)`);
    expect(both).toEqual([{ count: 2, schema: "howdah", at: 1_009_843_200_000_000, queues: [await queueId("q")] }]);
  });

  it.each([
    ["force_unlock_workers", "select howdah.force_unlock_workers('{w}')"],
    ["recover_dead_worker_jobs", "select howdah.recover_dead_worker_jobs('{w}')"],
  ])("tells about the jobs and queues that %s freed", async (_, call) => {
    for (const more of ["", ", queue_name => 'q'", ", run_at => '2200-01-01'", ", max_attempts => 1"]) await add(more);
    await database.sql(`
      update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = max_attempts,
        _howdah_detached = max_attempts = 1`);
    await database.sql("update howdah._private_jobs set attempts = 1 where max_attempts > 1");
    await database.sql(
      "update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where queue_name = 'q'",
    );
    expect(await told(call)).toMatchObject([{ count: 2, queues: [await queueId("q")] }]);
    expect(await told(call)).toEqual([]);
  });

  it("tells about the jobs, and then about the queues, that the recovery of a dead worker freed", async () => {
    await database.sql("select howdah.add_job('t', queue_name => 'q')");
    await database.sql("update howdah._private_jobs set locked_at = now(), locked_by = 'w', attempts = 1");
    await database.sql(
      "update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where queue_name = 'q'",
    );
    const recover = "select howdah._howdah_recover_v1('{w}', 0, null, 10)";
    expect(await told(recover)).toMatchObject([{ count: 1, at: await runAt(await lastId()) }]);
    expect(await told(recover)).toEqual([]);
    const free = "select howdah._howdah_free_queues_v1('{w}', null)";
    expect(await told(free)).toMatchObject([{ count: 1, queues: [await queueId("q")] }]);
    expect(await told(free)).toEqual([]);
  });

  it("tells about a queue that was locked without a job of it", async () => {
    await database.sql(
      "update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where queue_name = 'q'",
    );
    const before = await one("select howdah._howdah_us(now())");
    const [freed] = await told("select howdah.force_unlock_workers('{w}')");
    expect(freed).toMatchObject({ count: 1, queues: [await queueId("q")] });
    expect(freed?.["at"]).toBeGreaterThanOrEqual(before);
  });

  it("tells nothing when jobs are completed or failed", async () => {
    const id = await add();
    expect(await told(`select howdah.permanently_fail_jobs(array[${id}])`)).toEqual([]);
    expect(await told(`select howdah.complete_jobs(array[${id}])`)).toEqual([]);
  });
});

describe("releases", () => {
  /** Locks the newest job and gives it back. */
  const release = (delayMs: number, isFinal = false): string => `
    update howdah._private_jobs set locked_by = 'w', locked_at = howdah._howdah_at(1000000), attempts = 1;
    select howdah._howdah_release_v1(
      'w', '{1000000}', '{}', array(select id from howdah._private_jobs), '{f}', '{${isFinal}}', '{${delayMs}}',
      array['it failed'], array[null::text], '{}', '{}', '{}', true
    )`;

  it("tells of a job that is due again, or will be in a moment, and of its queue", async () => {
    for (const delayMs of [0, 1000]) {
      await database.sql("truncate howdah._private_jobs; select howdah.add_job('t')");
      const plain = await told(release(delayMs));
      expect(plain).toEqual([{ count: 1, schema: "howdah", at: await runAt(await lastId()), queues: [] }]);
      await database.sql("truncate howdah._private_jobs; select howdah.add_job('t', queue_name => 'q')");
      expect(await told(release(delayMs))).toMatchObject([{ count: 1, queues: [await queueId("q")] }]);
    }
  });

  it("tell nothing of a job that is due later, or never again", async () => {
    await database.sql("truncate howdah._private_jobs; select howdah.add_job('t')");
    expect(await told(release(3_600_000))).toEqual([]);
    expect(await told(release(0, true))).toEqual([]);
  });
});
