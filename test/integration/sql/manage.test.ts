import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../../harness/database.ts";

const database = await createDatabase();
afterAll(() => database.drop());

/** Jobs that are waiting, failed for good, running, and locked by a worker that is long gone. */
let ids: { waiting: string; failed: string; running: string; stale: string };

beforeEach(async () => {
  await database.sql("truncate howdah._private_jobs, howdah._private_job_queues");
  const add = async (name: string, change: string) => {
    const [row] = await database.sql(
      `select id from howdah.add_job('t', queue_name => '${name}', job_key => '${name}')`,
    );
    await database.sql(`update howdah._private_jobs set updated_at = '2000-01-01', ${change} where id = $1`, [
      row?.["id"],
    ]);
    return row?.["id"] as string;
  };
  ids = {
    waiting: await add("waiting", "attempts = 1, last_error = 'first'"),
    failed: await add("failed", "attempts = 25, last_error = 'last'"),
    running: await add("running", "attempts = 1, locked_at = now() - interval '3 hours 59 minutes', locked_by = 'w'"),
    stale: await add("stale", "attempts = 1, locked_at = now() - interval '4 hours 1 minute', locked_by = 'w'"),
  };
  await database.sql(
    "update howdah._private_job_queues set locked_at = now(), locked_by = 'w' where queue_name in ('running', 'stale')",
  );
});

const every = () => Object.values(ids);
const jobs = async (): Promise<Record<string, Record<string, unknown>>> => {
  const rows = await database.sql("select *, updated_at = '2000-01-01' as untouched from howdah._private_jobs");
  return Object.fromEntries(rows.map((row) => [row["id"], row]));
};

async function call(text: string, values: unknown[]) {
  const rows = await database.sql(`select * from ${text}`, values);
  return rows.map((row) => row["id"] as string);
}

describe("complete_jobs", () => {
  it("deletes what no worker runs and returns it, by id", async () => {
    expect(await call("howdah.complete_jobs($1)", [every().toReversed()])).toEqual([
      ids.waiting,
      ids.failed,
      ids.stale,
    ]);
    const left = await jobs();
    expect(Object.keys(left)).toEqual([ids.running]);
    expect(left[ids.running]).toMatchObject({ untouched: true, locked_by: "w" });
  });

  it("leaves queues locked", async () => {
    await call("howdah.complete_jobs($1)", [every()]);
    const [row] = await database.sql(
      "select count(*)::int as locked from howdah._private_job_queues where locked_by = 'w'",
    );
    expect(row).toEqual({ locked: 2 });
  });

  it.each([[null], [[]]])("does nothing for %j", async (none) => {
    expect(await call("howdah.complete_jobs($1)", [none])).toEqual([]);
    expect(Object.keys(await jobs())).toHaveLength(4);
  });
});

describe("permanently_fail_jobs", () => {
  it("uses up the attempts of what no worker runs and keeps keys, times and locks", async () => {
    expect(await call("howdah.permanently_fail_jobs($1)", [every()])).toEqual([ids.waiting, ids.failed, ids.stale]);
    const after = await jobs();
    const failed = { last_error: "Manually marked as failed", attempts: 25, untouched: false };
    expect(after[ids.waiting]).toMatchObject({ ...failed, key: "waiting", _howdah_detached: false });
    expect(after[ids.stale]).toMatchObject({ ...failed, key: "stale", locked_by: "w", _howdah_detached: true });
    expect(after[ids.running]).toMatchObject({ attempts: 1, untouched: true });
  });

  it.each(["because", ""])("stores the reason %j", async (reason) => {
    await call("howdah.permanently_fail_jobs($1, $2)", [[ids.waiting], reason]);
    expect((await jobs())[ids.waiting]).toMatchObject({ last_error: reason });
  });
});

describe("reschedule_jobs", () => {
  it("sets what is given and keeps the rest", async () => {
    const changed = await call(
      `howdah.reschedule_jobs(job_ids => $1, run_at => '2200-01-01', priority => 7, attempts => 2, max_attempts => 9)`,
      [every()],
    );
    expect(changed).toEqual([ids.waiting, ids.failed, ids.stale]);
    const after = await jobs();
    expect(after[ids.waiting]).toMatchObject({
      run_at: new Date("2200-01-01T00:00:00Z"),
      priority: 7,
      attempts: 2,
      max_attempts: 9,
      last_error: "first",
      key: "waiting",
      untouched: false,
    });
    expect(after[ids.stale]).toMatchObject({ attempts: 2, locked_by: "w", is_available: false });
    expect(after[ids.running]).toMatchObject({ attempts: 1, untouched: true });
  });

  it("changes only the time of the update when nothing is given", async () => {
    const { untouched: _, updated_at: __, ...before } = (await jobs())[ids.waiting] ?? {};
    await call("howdah.reschedule_jobs($1)", [[ids.waiting]]);
    expect((await jobs())[ids.waiting]).toMatchObject({ ...before, untouched: false });
  });

  it("revives a job that failed for good, with a clean record", async () => {
    await database.sql("update howdah._private_jobs set _howdah_detached = true, _howdah_recoveries = -3");
    await call("howdah.reschedule_jobs($1, attempts => 0)", [every()]);
    const after = await jobs();
    expect(after[ids.failed]).toMatchObject({ is_available: true, _howdah_detached: false, _howdah_recoveries: 0 });
    expect(after[ids.stale]).toMatchObject({ attempts: 0, _howdah_detached: true });
  });

  it("accepts attempts below zero and above the most", async () => {
    await call("howdah.reschedule_jobs($1, attempts => -1)", [[ids.waiting]]);
    await call("howdah.reschedule_jobs($1, attempts => 30)", [[ids.failed]]);
    const after = await jobs();
    expect([after[ids.waiting]?.["attempts"], after[ids.failed]?.["attempts"]]).toEqual([-1, 30]);
  });

  it.each([
    ["max_attempts => 0", "23514"],
    ["max_attempts => 32768", "22003"],
    ["priority => -32769", "22003"],
  ])("refuses %s with %s", async (change, code) => {
    await expect(call(`howdah.reschedule_jobs($1, ${change})`, [[ids.waiting]])).rejects.toMatchObject({ code });
  });
});

describe("remove_job", () => {
  it.each(["waiting", "failed", "stale"] as const)("deletes a job that is %s", async (key) => {
    expect(await call("howdah.remove_job($1)", [key])).toEqual([ids[key]]);
    expect(await jobs()).not.toHaveProperty(ids[key]);
  });

  it("takes key and further attempts from a job that runs", async () => {
    expect(await call("howdah.remove_job($1)", ["running"])).toEqual([ids.running]);
    expect((await jobs())[ids.running]).toMatchObject({
      key: null,
      attempts: 25,
      locked_by: "w",
      untouched: false,
      _howdah_detached: true,
    });
  });

  it.each([["missing"], [null]])("returns one row of nulls for the key %j", async (key) => {
    const rows = await database.sql("select * from howdah.remove_job($1)", [key]);
    expect(rows).toHaveLength(1);
    expect(Object.values(rows[0] ?? {}).every((value) => value === null)).toBe(true);
  });
});

describe("force_unlock_workers", () => {
  it("unlocks jobs and queues of these workers and nothing else", async () => {
    await database.sql("update howdah._private_jobs set locked_by = 'other' where id = $1", [ids.stale]);
    await database.sql("update howdah._private_job_queues set locked_by = 'other' where queue_name = 'stale'");
    await database.sql("select howdah.force_unlock_workers('{w,x}')");
    const after = await jobs();
    expect(after[ids.running]).toMatchObject({ locked_at: null, locked_by: null, attempts: 1, untouched: true });
    expect(after[ids.stale]).toMatchObject({ locked_by: "other" });
    const locked = await database.sql("select queue_name from howdah._private_job_queues where locked_at is not null");
    expect(locked).toEqual([{ queue_name: "stale" }]);
  });

  it.each(["null", "'{}'"])("does nothing for %s", async (none) => {
    await database.sql(`select howdah.force_unlock_workers(${none})`);
    expect((await jobs())[ids.running]).toMatchObject({ locked_by: "w" });
  });
});
