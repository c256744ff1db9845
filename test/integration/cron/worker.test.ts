import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { cron } from "../../../src/cron/cron.ts";
import { every } from "../../../src/cron/every.ts";
import { parseCrontab } from "../../../src/cron/crontab.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { bystander, jobsOf, runCronWorker, scheduledTimes, ticksOf } from "../../harness/cron.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql("delete from howdah._private_jobs; delete from howdah._private_known_crontabs");
});

const FOUR_HOURS = "0 */4 * * * do_it";

async function ledger(): Promise<Record<string, unknown>[]> {
  return database.sql("select * from howdah._private_known_crontabs order by identifier");
}

async function remember(identifier: string, knownSince: string, lastExecution: string | null): Promise<void> {
  await database.sql("insert into howdah._private_known_crontabs values ($1, $2, $3)", [
    identifier,
    knownSince,
    lastExecution,
  ]);
}

describe("an entry that is new", () => {
  it("is made known and adds nothing for the past (behaviours 150)", async () => {
    await using run = await runCronWorker(database, "2021-01-01T01:00:00Z", { crontab: `${FOUR_HOURS} ?fill=1d` });
    await until(async () => (await ledger()).length === 1);
    await run.settled();
    expect(await ledger()).toEqual([
      { identifier: "do_it", known_since: new Date("2021-01-01T01:00:00Z"), last_execution: null },
    ]);
    expect(await jobsOf(database, "do_it")).toEqual([]);
  });

  it("does not catch up because another entry of its task is known", async () => {
    await remember("do_it", "2020-12-01T00:00:00Z", "2021-01-01T00:00:00Z");
    const crontab = `${FOUR_HOURS} ?fill=1d\n30 * * * * do_it ?id=second&fill=1d`;
    await using run = await runCronWorker(database, "2021-01-01T09:00:00Z", { crontab });
    await run.scheduled.reach(2);
    await run.settled();
    expect(run.scheduled.events.map(({ crontab: { id } }) => id)).toEqual(["do_it", "do_it"]);
    expect(await ticksOf(database, "do_it")).toEqual(["2021-01-01T04:00:00.000Z", "2021-01-01T08:00:00.000Z"]);
  });

  it("runs a tick of the very moment at which the worker starts (S34)", async () => {
    await using run = await runCronWorker(database, "2021-01-01T04:00:00Z", { crontab: FOUR_HOURS });
    await run.scheduled.reach();
    expect(await ticksOf(database, "do_it")).toEqual(["2021-01-01T04:00:00.000Z"]);
    expect(run.scheduled.events[0]?.backfilled).toBe(false);
  });
});

describe("an entry that is known", () => {
  it("catches up as far as its fill reaches (behaviours 152)", async () => {
    await remember("do_it", "2020-12-01T00:00:00Z", "2021-01-01T01:30:00Z");
    await using run = await runCronWorker(database, "2021-01-02T02:30:00Z", { crontab: `${FOUR_HOURS} ?fill=1d` });
    await run.scheduled.reach(6);
    await run.settled();
    const jobs = await jobsOf(database, "do_it");
    expect(jobs.map(({ runAt }) => runAt.slice(0, 16))).toEqual([
      "2021-01-01T04:00",
      "2021-01-01T08:00",
      "2021-01-01T12:00",
      "2021-01-01T16:00",
      "2021-01-01T20:00",
      "2021-01-02T00:00",
    ]);
    expect(jobs.every(({ payload, runAt }) => payload._cron.backfilled && payload._cron.ts === runAt)).toBe(true);
    expect(run.scheduled.events.every(({ backfilled }) => backfilled)).toBe(true);
  });

  it("catches up since it is known when it never ran", async () => {
    await remember("do_it", "2021-01-01T05:00:00Z", null);
    await using run = await runCronWorker(database, "2021-01-01T13:00:00Z", { crontab: `${FOUR_HOURS} ?fill=1w` });
    await run.scheduled.reach(2);
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual(["2021-01-01T08:00:00.000Z", "2021-01-01T12:00:00.000Z"]);
  });

  it("does not catch up without a fill", async () => {
    await remember("do_it", "2020-12-01T00:00:00Z", "2021-01-01T00:00:00Z");
    await using run = await runCronWorker(database, "2021-01-01T09:00:00Z", { crontab: FOUR_HOURS });
    await run.advanceTo("2021-01-01T12:00:01Z");
    await run.scheduled.reach();
    expect(await ticksOf(database, "do_it")).toEqual(["2021-01-01T12:00:00.000Z"]);
  });

  it("that another implementation has run goes on behind its last tick", async () => {
    await remember("do_it", "2020-12-01T00:00:00Z", "2021-01-01T08:00:00Z");
    await using run = await runCronWorker(database, "2021-01-01T03:00:00Z", { crontab: FOUR_HOURS });
    await run.advanceTo("2021-01-01T12:00:01Z");
    await run.scheduled.reach();
    expect(scheduledTimes(run.scheduled)).toEqual(["2021-01-01T12:00:00.000Z"]);
    expect((await ledger())[0]).toMatchObject({ last_execution: new Date("2021-01-01T12:00:00Z") });
  });
});

describe("a tick", () => {
  it("adds one job at its time, and says so once it is stored (behaviours 153, 154, 160)", async () => {
    await using run = await runCronWorker(database, "2021-01-01T01:00:00Z", { crontab: "0 */4 * * * my_task" });
    await run.advanceTo("2021-01-01T03:00:01Z");
    await run.settled();
    expect(run.scheduled.events).toEqual([]);
    await run.advanceTo("2021-01-01T03:59:50Z");
    await run.advanceTo("2021-01-01T03:59:55Z");
    await run.advanceTo("2021-01-01T04:00:01Z");
    const event = await run.scheduled.reach();
    const [job, ...others] = await jobsOf(database, "my_task");
    expect(others).toEqual([]);
    expect(event).toEqual({
      workerId: run.worker.id,
      crontab: { id: "my_task", source: "crontab", task: "my_task" },
      scheduledAt: new Date("2021-01-01T04:00:00.000Z"),
      jobId: job?.id,
      backfilled: false,
    });
    expect(job?.payload).toEqual({ _cron: { ts: "2021-01-01T04:00:00.000Z", backfilled: false } });
    expect(job?.runAt).toBe("2021-01-01T04:00:00.000Z");
    await run.advanceTo("2021-01-01T08:00:01Z");
    await run.scheduled.reach(2);
    expect(run.ticks.events.map(({ timestamp, crontabs }) => [timestamp.toISOString(), crontabs.length])).toEqual([
      ["2021-01-01T04:00:00.000Z", 1],
      ["2021-01-01T08:00:00.000Z", 1],
    ]);
  });

  it("is not added by a clock that comes near it, nor twice by one that goes back (behaviours 156)", async () => {
    await using run = await runCronWorker(database, "2021-01-01T03:59:00Z", { crontab: FOUR_HOURS });
    for (let times = 0; times < 10; times++) {
      await run.clock.advance(30_000);
      await run.settled();
      run.clock.jump(-30_000);
    }
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual([]);
    await run.advanceTo("2021-01-01T04:00:01Z");
    await run.scheduled.reach();
    run.clock.jump(-3_600_000);
    await run.advanceTo("2021-01-01T04:00:10Z");
    await run.advanceTo("2021-01-01T08:00:01Z");
    await run.scheduled.reach(2);
    expect(await ticksOf(database, "do_it")).toEqual(["2021-01-01T04:00:00.000Z", "2021-01-01T08:00:00.000Z"]);
  });

  it("is not skipped by a clock that jumps over it", async () => {
    const logger = createRecordingLogger();
    await using run = await runCronWorker(database, "2021-01-01T00:30:00Z", { crontab: FOUR_HOURS, logger });
    await until(async () => (await ledger()).length === 1);
    run.clock.jump(12 * 3_600_000);
    await run.clock.advance(1_001);
    await run.scheduled.reach(3);
    expect(scheduledTimes(run.scheduled)).toEqual([
      "2021-01-01T04:00:00.000Z",
      "2021-01-01T08:00:00.000Z",
      "2021-01-01T12:00:00.000Z",
    ]);
    expect(run.scheduled.events.some(({ backfilled }) => backfilled)).toBe(false);
    expect(logger.messages("warn")).toContain("Jobs of the crontab are late and are added now");
  });

  it("with a key replaces the waiting job of the one before (behaviours 157)", async () => {
    const crontab = "0 */4 * * * do_it ?jobKey=foo";
    await using run = await runCronWorker(database, "2021-01-01T03:00:00Z", { crontab });
    await run.advanceTo("2021-01-01T04:00:01Z");
    await run.scheduled.reach();
    const [first] = await jobsOf(database, "do_it");
    await run.advanceTo("2021-01-01T08:00:01Z");
    await run.scheduled.reach(2);
    const [second, ...others] = await jobsOf(database, "do_it");
    expect(others).toEqual([]);
    expect(second?.id).toBe(first?.id);
    expect([first, second].map((job) => job?.payload._cron.ts)).toEqual([
      "2021-01-01T04:00:00.000Z",
      "2021-01-01T08:00:00.000Z",
    ]);
  });

  it("of several entries adds the jobs in their order, each in its own way", async () => {
    const crontab = `* * * * * do_it ?id=a&queue=q&priority=-3&max=4&flags=x {n: 1}
* * * * * do_it ?id=b {n: 2, _cron: "mine"}`;
    await using run = await runCronWorker(database, "2021-01-01T00:00:30Z", { crontab });
    await run.clock.advance(31_000);
    await run.scheduled.reach(2);
    const rows = await database.sql("select queue_name, priority, max_attempts, flags from howdah.jobs order by id");
    expect(rows).toEqual([
      { queue_name: "q", priority: -3, max_attempts: 4, flags: { x: true } },
      { queue_name: null, priority: 0, max_attempts: 25, flags: null },
    ]);
    const cronOf = { ts: "2021-01-01T00:01:00.000Z", backfilled: false };
    expect((await jobsOf(database, "do_it")).map(({ payload }) => payload)).toEqual([
      { n: 1, _cron: cronOf },
      { n: 2, _cron: cronOf },
    ]);
  });

  it("may come every few seconds", async () => {
    await using run = await runCronWorker(database, "2021-01-01T00:00:01Z", { crontab: "*/20 * * * * * do_it" });
    await run.advanceTo("2021-01-01T00:01:01Z");
    await run.scheduled.reach(3);
    expect(await ticksOf(database, "do_it")).toEqual([
      "2021-01-01T00:00:20.000Z",
      "2021-01-01T00:00:40.000Z",
      "2021-01-01T00:01:00.000Z",
    ]);
  });

  it("means a time of the zone that the entry names", async () => {
    const crontab = "0 9 * * * do_it ?tz=America/New_York";
    await using run = await runCronWorker(database, "2021-07-01T00:00:00Z", { crontab });
    await run.advanceTo("2021-07-01T13:00:01Z");
    await run.scheduled.reach();
    expect(await ticksOf(database, "do_it")).toEqual(["2021-07-01T13:00:00.000Z"]);
  });

  it("is run by the worker as any other job", async () => {
    const seen: unknown[] = [];
    const minutely = defineTask({
      identifier: "minutely",
      defaults: { queueName: "clockwork" },
      run: (payload: { n: number; _cron?: unknown }, { job }) => void seen.push([payload, job.queueName]),
    });
    const entry = cron({ task: minutely, schedule: every.minutes(1), payload: { n: 7 } });
    await using run = await runCronWorker(database, "2021-01-01T00:00:30Z", { tasks: [minutely], crons: [entry] });
    await run.clock.advance(31_000);
    await until(() => seen.length === 1);
    expect(seen).toEqual([[{ n: 7, _cron: { ts: "2021-01-01T00:01:00.000Z", backfilled: false } }, "clockwork"]]);
  });
});

describe("a worker with a crontab", () => {
  it("takes text and typed entries together (behaviours 138, 148)", async () => {
    const digest = defineTask({ identifier: "digest", run(_payload: { size: number }) {} });
    const typed = cron({
      id: "daily_digest",
      task: digest,
      schedule: every.day("8:30"),
      fill: "2h",
      payload: { size: 3 },
      spec: {
        maxAttempts: 3,
        queueName: "mail",
        priority: -1,
        jobKey: "digest",
        jobKeyMode: "preserve_run_at",
      },
    });
    expect(typed).toMatchObject({ id: "daily_digest", fill: 7_200_000, schedule: "30 8 * * *", timeZone: "UTC" });
    const crons = [typed, ...parseCrontab("* * * * * other"), { task: "plain", schedule: "* * * * *" }];
    await using _run = await runCronWorker(database, "2021-01-01T00:00:00Z", { crontab: FOUR_HOURS, crons });
    await until(async () => (await ledger()).length === 4);
    expect((await ledger()).map((row) => row["identifier"])).toEqual(["daily_digest", "do_it", "other", "plain"]);
  });

  it("ends its crontab when it is told to stop (behaviours 161)", async () => {
    const run = await runCronWorker(database, "2021-01-01T00:00:30Z", { crontab: "* * * * * do_it" });
    await run.clock.advance(31_000);
    await run.scheduled.reach();
    await run.stop();
    await run.clock.advance(600_000);
    expect(await ticksOf(database, "do_it")).toHaveLength(1);
    expect(run.clock.pending).toBe(0);
  });

  it("shares the ticks with others, each added once", async () => {
    const options = { crontab: "* * * * * do_it" };
    const start = "2021-01-01T00:00:30Z";
    await using first = await runCronWorker(database, start, options);
    await using second = await runCronWorker(database, start, options);
    await using third = await runCronWorker(database, start, options);
    const runs = [first, second, third];
    await Promise.all(runs.map((run) => run.clock.advance(50 * 60_000)));
    await Promise.all(runs.map((run) => run.ticks.reach(50)));
    expect(new Set(await ticksOf(database, "do_it")).size).toBe(50);
    expect(await ticksOf(database, "do_it")).toHaveLength(50);
    expect(runs.reduce((sum, run) => sum + run.scheduled.events.length, 0)).toBe(50);
  });

  it("does nothing about it in runOnce", async () => {
    const worker = await createTestWorker(database, { tasks: [bystander], crontab: "* * * * * * do_it" });
    await worker.runOnce();
    await worker.stop();
    expect(await ledger()).toEqual([]);
  });

  it("says which tasks it does not know", async () => {
    const logger = createRecordingLogger();
    const worker = await createTestWorker(database, { tasks: [bystander], crontab: "* * * * * bystandr", logger });
    await worker.stop();
    expect(logger.messages("warn")).toEqual([
      "The crontab adds jobs of a task that this worker does not know, did you mean `bystander`?",
    ]);
  });

  it("goes on after the database was away, and loses nothing", async () => {
    let isAway = false;
    const { driver } = database;
    const flaky: typeof driver = {
      transaction: (work) => driver.transaction(work),
      listen: (names, handlers) => driver.listen(names, handlers),
      close: () => driver.close(),
      query: (query) =>
        isAway ? Promise.reject(Object.assign(new Error("away"), { code: "57P01" })) : driver.query(query),
    };
    await using run = await runCronWorker(database, "2021-01-01T00:00:30Z", {
      crontab: "* * * * * do_it",
      driver: flaky,
    });
    await until(async () => (await ledger()).length === 1);
    isAway = true;
    await run.clock.advance(10 * 60_000);
    const told = run.errors.events.filter(({ activity }) => activity.includes("crontab"));
    expect(told).toHaveLength(1);
    isAway = false;
    await run.clock.advance(60_000);
    await run.scheduled.reach(11);
    expect(await ticksOf(database, "do_it")).toHaveLength(11);
  });

  it("lets no entry that cannot be stored hold up the others", async () => {
    await database.sql(`
      create function refuse() returns trigger language plpgsql as $$
      begin
        if new.payload::jsonb ->> 'bad' = 'yes' then raise exception 'refused' using errcode = '23514'; end if;
        return new;
      end $$;
      create trigger refuse before insert on howdah._private_jobs for each row execute function refuse()`);
    const crontab = "* * * * * do_it ?id=bad {bad: 'yes'}\n* * * * * do_it ?id=good";
    await using run = await runCronWorker(database, "2021-01-01T00:00:30Z", { crontab });
    await run.clock.advance(31_000);
    await run.scheduled.reach();
    await run.clock.advance(60_000);
    await run.scheduled.reach(2);
    expect(run.scheduled.events.map(({ crontab: { id } }) => id)).toEqual(["good", "good"]);
    expect(run.errors.events.map(({ activity }) => activity)).toContain('add a job of crontab entry "bad"');
    await database.sql("drop function refuse cascade");
    // Nothing of it is lost once it can be stored.
    const bad = (): string[] =>
      run.scheduled.events
        .filter(({ crontab: { id } }) => id === "bad")
        .map(({ scheduledAt }) => scheduledAt.toISOString().slice(11, 16));
    await until(async () => {
      await run.clock.advance(1_000);
      return bad().length >= 3;
    });
    expect(bad().slice(0, 3)).toEqual(["00:01", "00:02", "00:03"]);
  });

  it("is not created with a crontab that could not work", async () => {
    const create = (options: object) => createTestWorker(database, { tasks: [bystander], ...options });
    await expect(create({ crontab: "* * * *" })).rejects.toMatchObject({ code: "HOWDAH_CRON_INVALID" });
    await expect(create({ crontab: "* * * * * a", crons: [{ task: "a", schedule: "* * * * *" }] })).rejects.toThrow(
      'Two entries of the worker\'s crontab have the id "a"',
    );
    await expect(create({ crons: [{ task: "a", schedul: "* * * * *" }] })).rejects.toThrow(
      "Unknown worker option `crons[0].schedul`, did you mean `crons[0].schedule`?",
    );
    await expect(
      create({ crons: [{ task: "a", schedule: "* * * * *", spec: { runAt: new Date() } }] }),
    ).rejects.toThrow("the schedule defines when its jobs run");
    const batch = defineBatchTask({ identifier: "batch", runBatch() {} });
    await expect(create({ crons: [{ task: batch, schedule: "* * * * *" }] })).rejects.toThrow("a batch task");
  });

  it("is not created when a task's schema refuses the payload with its _cron", async () => {
    const strict = defineTask({
      identifier: "strict",
      payload: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value) =>
            Object.keys(value as object).length === 1 ? { value } : { issues: [{ message: "one key only" }] },
        },
      },
      run() {},
    });
    const create = createTestWorker(database, { tasks: [strict], crontab: "* * * * * strict {a: 1}" });
    await expect(create).rejects.toMatchObject({ code: "HOWDAH_PAYLOAD_INVALID" });
    const worker = await createTestWorker(database, { tasks: [strict], crontab: "* * * * * strict" });
    expect(record(worker.hooks, "cronTick").events).toEqual([]);
    await worker.stop();
  });
});
