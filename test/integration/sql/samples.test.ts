import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { clientOver, createClient } from "../../../src/client/create-client.ts";
import { addTaskSamples } from "../../../src/postgres/queries/samples.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { addDeadJob } from "../../harness/recovery.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
const client = clientOver({ ...database, logger: silentLogger });
const target = { executor: database.driver, schema: database.schema };
afterAll(() => database.drop());
beforeEach(() =>
  database.sql(
    `truncate howdah._private_jobs, howdah._private_job_queues, howdah._private_workers, howdah._howdah_samples,
      howdah._howdah_task_samples`,
  ),
);

const SAMPLE = "select taken, next_ms from howdah._howdah_sample_v1()";

/** Takes one, however late in the ten seconds it is. */
async function sample() {
  const [row] = await database.sql(SAMPLE);
  expect(row?.["taken"]).toBe(true);
  return (await client.listSamples()).at(-1);
}

/** Stores a sample as a worker would have taken it so long ago. */
const store = (ago: string, changes: Readonly<Record<string, string>> = {}) => {
  const cells = { resolution: "10", taken_at: `now() - interval '${ago}'`, took_ms: "1", ready: "0", ...changes };
  return database.sql(
    `insert into howdah._howdah_samples (at, samples, scheduled, running, failed, workers, slots, busy, dead_rows,
       inserted, updated, deleted, ${Object.keys(cells).join(", ")})
     values (date_bin('10 s', now() - interval '${ago}', 'epoch'), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ${Object.values(cells).join(", ")})`,
  );
};

describe("a sample", () => {
  it("counts jobs by state, what waits longest, and what workers say", async () => {
    await client.addJobs([
      { identifier: "a", spec: { queueName: "mail", runAt: "2000-01-01T00:00:00Z" } },
      { identifier: "a", spec: { queueName: "mail" } },
      { identifier: "b", spec: { priority: 5 } },
      { identifier: "b", spec: { runAt: "2100-01-01T00:00:00Z" } },
    ]);
    const failed = await client.addJob("b", {}, { maxAttempts: 1 });
    await client.permanentlyFailJobs([failed.id]);
    await addDeadJob(database, "howdah_w", { task: "a" });
    await database.sql(`insert into howdah._private_workers (id, last_heartbeat_at, metadata) values
      ('howdah_w', now(), '{"running": [], "locked": 1, "concurrency": 4, "busy": 1}'),
      ('howdah_old', now(), '{"isRetired": true, "concurrency": 0, "busy": 0, "locked": 0}'),
      ('silent', now() - interval '2 minutes', '{"concurrency": 8}'),
      ('odd', now(), '{"concurrency": "x", "busy": 1e300, "locked": -3}'), ('odder', now(), '[1]')`);
    const taken = await sample();
    expect(taken).toMatchObject({
      ready: 3,
      scheduled: 1,
      running: 1,
      failed: 1,
      workers: 3,
      slots: 4,
      tasks: [{ name: "a", jobCount: 3 }, { name: "b" }],
      queues: [{ name: "mail", jobCount: 2 }],
    });
    expect(taken?.oldestDueMs).toBeGreaterThan(20 * 365 * 86_400_000);
    expect(taken?.tookMs).toBeGreaterThan(0);
  });

  it("says how long all of it took, by which the next one waits", async () => {
    await using own = await createDatabase();
    await own.sql(`create or replace function howdah._howdah_sample_top_v1() returns json language sql
      as 'select null::json from pg_catalog.pg_sleep(0.3)'`);
    await own.sql("select howdah._howdah_sample_v1()");
    expect(await own.sql("select took_ms >= 300 as is_counted from howdah._howdah_samples")).toEqual([
      { is_counted: true },
    ]);
  });

  it("estimates what is more than 10,000, and reads a limited part of the table for it", async () => {
    await database.sql(`insert into howdah._private_tasks (identifier) values ('t') on conflict do nothing`);
    await database.sql(`
      insert into howdah._private_jobs (task_id, run_at, job_queue_id, attempts)
      select 1, now() + case when n % 3 = 0 then 1 else -1 end * interval '1 h', case when n % 2 = 0 then 1 end,
        case when n % 4 = 1 then 25 else 0 end
      from generate_series(1, 160000) as n`);
    await database.sql("vacuum analyze howdah._private_jobs");
    const { ready = 0, scheduled = 0, failed = 0 } = (await sample()) ?? {};
    const [counted] = await database.sql(`select count(*) filter (where run_at <= now() and attempts = 0) as ready,
      count(*) filter (where run_at > now() and attempts = 0) as scheduled, count(*) filter (where attempts > 0) as failed
      from howdah._private_jobs`);
    const off = (value: number, name: string) => Math.abs(value / Number(counted?.[name]) - 1);
    expect([off(ready, "ready") < 0.1, off(scheduled, "scheduled") < 0.1, off(failed, "failed") < 0.1]).toEqual([
      true,
      true,
      true,
    ]);
  });

  it("is taken by one of those who ask at the same time, and the others wait for nothing", async () => {
    const sessions = await Promise.all(Array.from({ length: 6 }, () => database.connect()));
    const answers = await Promise.all(sessions.map((session) => session.query(SAMPLE)));
    const taken = answers.filter(({ rows }) => rows[0].taken === true).length;
    expect(taken).toBeGreaterThan(0);
    expect(await client.listSamples()).toHaveLength(taken);
    for (const { rows } of answers) expect(rows[0].next_ms).toBeLessThanOrEqual(10_000);
  });

  it("is taken by another when the one that takes it dies, and nothing is left of that", async () => {
    const [dying, waiting] = [await database.connect(), await database.connect()];
    await dying.query("begin");
    expect((await dying.query(SAMPLE)).rows[0].taken).toBe(true);
    expect((await waiting.query(SAMPLE)).rows[0].taken).toBe(false);
    const [{ pid }] = (await dying.query("select pg_backend_pid() as pid")).rows;
    await database.sql("select pg_terminate_backend($1)", [pid]);
    await until(async () => (await waiting.query(SAMPLE)).rows[0].taken);
    expect(await client.listSamples()).toHaveLength(1);
  });

  it("is not taken before twenty times what the last one took", async () => {
    await store("1 minute", { took_ms: "6000" });
    const [row] = await database.sql(SAMPLE);
    expect([row?.["taken"], row?.["next_ms"] > 40_000, row?.["next_ms"] <= 60_000]).toEqual([false, true, true]);
    await database.sql("update howdah._howdah_samples set took_ms = 2000");
    await sample();
  });

  it("is taken anew where the clock was set back", async () => {
    // Taken in the future: this ten seconds and the next, so that it does not matter when the test gets here.
    await store("0 s", { taken_at: "now() + interval '1 h'", ready: "99", took_ms: "9999999" });
    await store("-10 s", { taken_at: "now() + interval '1 h'", ready: "99" });
    await store("-1 h", { taken_at: "now() + interval '1 h'", ready: "99" });
    expect(await client.listSamples()).toEqual([]);
    expect(await sample()).toMatchObject({ ready: 0 });
    expect((await client.listSamples()).map(({ ready }) => ready)).toEqual([0]);
  });

  it("says nothing of times at which none was taken", async () => {
    await store("20 minutes", { ready: "7" });
    await sample();
    const { length } = await client.listSamples({ resolution: "1m" });
    expect([length, (await client.listSamples({ resolution: "10m" })).length]).toEqual([1, 1]);
  });
});

describe("longer samples", () => {
  const join = async () => {
    await database.sql("select howdah._howdah_join_samples_v1(10, 60)");
    await database.sql("select howdah._howdah_join_samples_v1(60, 600)");
  };

  it("add up to the shorter ones, whatever was taken and when they are joined", async () => {
    const stored = fc.record({ slot: fc.nat(2 * 360), ready: fc.nat(1_000), oldest: fc.option(fc.nat(5_000)) });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(stored, { selector: ({ slot }) => slot, maxLength: 60 }), async (samples) => {
        await database.sql("truncate howdah._howdah_samples");
        const insert = (some: readonly { slot: number; ready: number; oldest: number | null }[]) =>
          database.sql(
            `insert into howdah._howdah_samples
             select 10, date_bin('10 min', now(), 'epoch') - interval '2 h' + slot * interval '10 s', 1, now() - interval '1 minute', ready, 0, 0, 0,
               0, 0, 0, 0, oldest, null, 1, slot, 0, 0, null
             from jsonb_to_recordset($1) as sample(slot integer, ready float8, oldest float8)`,
            [JSON.stringify(some)],
          );
        // Half of them is joined before the other half, which is later, is there.
        await insert(samples.filter(({ slot }) => slot < 360));
        await join();
        await insert(samples.filter(({ slot }) => slot >= 360));
        await join();
        await join();
        const sums = await database.sql(
          `select resolution, sum(samples)::integer as samples, round(sum(ready * samples)) as ready, max(oldest_due_ms) as oldest, max(inserted)::integer as last
           from howdah._howdah_samples where at < date_bin('10 min', now(), 'epoch') group by resolution order by resolution`,
        );
        const over = samples.filter(({ slot }) => slot < 2 * 360);
        const expected = {
          samples: over.length,
          ready: over.reduce((sum, { ready }) => sum + ready, 0),
          oldest: over.reduce<number | null>(
            (most, { oldest }) => (oldest === null ? most : Math.max(most ?? 0, oldest)),
            null,
          ),
          last: Math.max(...over.map(({ slot }) => slot)),
        };
        expect(sums).toEqual(over.length === 0 ? [] : [10, 60, 600].map((resolution) => ({ resolution, ...expected })));
      }),
      { numRuns: 25 },
    );
  });

  it("are kept for their time, like the short ones", async () => {
    for (const [resolution, old, kept] of [
      ["10", "25 h", "23 h"],
      ["60", "15 days", "13 days"],
      ["600", "401 days", "399 days"],
    ] as const) {
      await store(old, { resolution, ready: "1" });
      await store(kept, { resolution, ready: "2" });
    }
    await database.sql(
      "insert into howdah._howdah_task_samples values (now() - interval '8 days', 't', 1, 1, 1, '{1}')",
    );
    await database.sql(
      "insert into howdah._howdah_task_samples values (now() - interval '6 days', 't', 2, 1, 1, '{1}')",
    );
    await database.sql("select howdah._howdah_forget_samples_v1()");
    const left = await database.sql("select ready from howdah._howdah_samples");
    expect(left.map((row) => row["ready"])).toEqual([2, 2, 2]);
    expect(await client.listTaskSamples()).toMatchObject([{ completed: 2 }]);
  });

  it("are listed from a time on, the newest of them, in order", async () => {
    for (const ago of ["3 minutes", "2 minutes", "1 minute"]) await store(ago, { ready: ago[0] ?? "" });
    const ready = async (options: Parameters<typeof client.listSamples>[0]) =>
      (await client.listSamples(options)).map((found) => found.ready);
    expect(await ready({})).toEqual([3, 2, 1]);
    expect(await ready({ limit: 2 })).toEqual([2, 1]);
    expect(await ready({ since: new Date(systemClock.now() - 145_000) })).toEqual([2, 1]);
    expect(await ready({ resolution: "10m" })).toEqual([]);
    await expect(client.listSamples({ resolution: "1h" as "1m" })).rejects.toMatchObject({
      code: "HOWDAH_OPTION_INVALID",
    });
  });
});

describe("what handlers did", () => {
  it("adds up over workers that write at the same time", async () => {
    const counts = (task: string) => ({
      task,
      completed: 2,
      failed: 1,
      runMs: 1.5,
      buckets: [1, 2, 0],
      waits: [0, 0, 0, 3],
    });
    await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        addTaskSamples(target, (n % 2 ? ["a", "b"] : ["b", "a"]).map(counts), 10_000),
      ),
    );
    const found = await client.listTaskSamples({ task: "a" });
    const sum = (name: "completed" | "failed" | "runMs") => found.reduce((all, entry) => all + entry[name], 0);
    expect([sum("completed"), sum("failed"), sum("runMs")]).toEqual([16, 8, 12]);
    expect(found[0]).toMatchObject({ task: "a", p50Ms: 2, p95Ms: 2, waitP50Ms: null });
    await addTaskSamples(target, [{ ...counts("b"), waits: [0, 3, 0, 0, 0] }], 10_000);
    const [waits] = await database.sql(
      "select waits from howdah._howdah_task_samples where task = 'b' order by at desc",
    );
    expect(waits?.["waits"]).toHaveLength(5);
  });
});

describe("a backlog that may come from a sample", () => {
  it("has the counts of the newest one that is fresh, and counts otherwise", async () => {
    await client.addJobs(Array.from({ length: 3 }, () => ({ identifier: "t" })));
    const maxSampleAge = "20s";
    const counted = { isSample: false, jobs: { ready: { value: 3, exact: true } } };
    expect(await client.backlog({ maxSampleAge })).toMatchObject(counted);
    await store("30 s", { ready: "70" });
    expect(await client.backlog({ maxSampleAge })).toMatchObject(counted);
    await store("15 s", { ready: "71.6" });
    const sampled = await client.backlog({ maxSampleAge });
    expect(sampled).toMatchObject({
      isSample: true,
      jobs: { ready: { value: 72, exact: false }, failed: { value: 0 } },
    });
    const agoMs = systemClock.now() - sampled.jobs.ready.asOf.getTime();
    expect(agoMs).toBeGreaterThan(14_000);
    // What no sample has is read all the same, unless it is not wanted.
    expect(sampled).toMatchObject({ tasks: [{ name: "t", ready: { value: 3 } }], oldestDue: { queuedMs: null } });
    expect(sampled.oldestDue.plainMs).not.toBeNull();
    expect(await client.backlog({ maxSampleAge, tasks: false })).toMatchObject({ isSample: true, tasks: [] });
    expect(await client.backlog()).toMatchObject(counted);
    // Taken by a clock that was set back since.
    await store("-30 s", { ready: "73" });
    expect((await client.backlog({ maxSampleAge })).jobs.ready.value).toBe(72);
  });

  it("is counted for a role that may not see samples", async () => {
    const role = `blind_${randomBytes(4).toString("hex")}`;
    await database.sql(`create role ${role}`);
    try {
      await database.sql(
        `grant usage on schema howdah to ${role}; grant select on all tables in schema howdah to ${role}`,
      );
      await database.sql(`revoke select on howdah._howdah_samples from ${role}`);
      await client.addJob("t");
      await store("5 s", { ready: "70" });
      const url = new URL(database.connectionString);
      url.searchParams.set("options", `-c role=${role}`);
      await using blind = await createClient({ connectionString: url.href, migrate: false, logger: silentLogger });
      expect(await blind.backlog({ maxSampleAge: "20s" })).toMatchObject({
        isSample: false,
        jobs: { ready: { value: 1 } },
      });
    } finally {
      await database.sql(`drop owned by ${role}; drop role ${role}`);
    }
  });
});
