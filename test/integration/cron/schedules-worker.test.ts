import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import type { ScheduleOptions } from "../../../src/client/schedules.ts";
import { cron } from "../../../src/cron/cron.ts";
import { every } from "../../../src/cron/every.ts";
import { prepareTickJob } from "../../../src/cron/recurring-job.ts";
import { defineTask } from "../../../src/job/task.ts";
import { addScheduleTicks } from "../../../src/postgres/queries/schedules.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { jobsOf, runCronWorker, scheduledTimes, ticksOf } from "../../harness/cron.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";
import { createRecordingLogger, createTestWorker, record } from "../../harness/worker.ts";

const database = await createDatabase();
const client = await createClient({ driver: database.driver, migrate: false, logger: silentLogger });
const { schedules } = client;
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(async () => {
  await database.sql("delete from howdah._private_jobs; delete from howdah._howdah_schedules");
});

/** Stores a schedule as if that had been done in 2020, where the clocks of these workers come from. */
async function store(options: Partial<ScheduleOptions> = {}, lastTick: string | null = null): Promise<void> {
  const { id } = await schedules.upsert({ id: "s", task: "do_it", schedule: "0 * * * *", ...options });
  await database.sql("update howdah._howdah_schedules set since = '2020-12-01', last_tick = $2 where id = $1", [
    id,
    lastTick,
  ]);
}

const hours = (...times: number[]): string[] =>
  times.map((hour) => `2021-01-01T${String(hour).padStart(2, "0")}:00:00.000Z`);

describe("a running worker", () => {
  it("adds the jobs of a stored schedule, as they were stored", async () => {
    const spec = { queueName: "q", priority: -2, maxAttempts: 3, flags: ["f"], jobKey: "k" };
    await store({ payload: { n: 1 }, spec });
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", {});
    await run.scheduled.reach();
    // The tick at 03:00 was missed; of those the last is made up for.
    await run.advanceTo("2021-01-01T04:00:01Z");
    await run.scheduled.reach(2);
    expect(run.scheduled.events.map(({ crontab, backfilled }) => [crontab, backfilled])).toEqual([
      [{ id: "s", source: "schedule", task: "do_it" }, true],
      [{ id: "s", source: "schedule", task: "do_it" }, false],
    ]);
    const [job, ...others] = await jobsOf(database, "do_it");
    expect(others).toEqual([]);
    expect(job).toMatchObject({
      key: "k",
      runAt: "2021-01-01T04:00:00.000Z",
      payload: {
        n: 1,
        _cron: {
          ts: "2021-01-01T04:00:00.000Z",
          backfilled: false,
        },
      },
    });
    expect(await database.sql("select queue_name, priority, max_attempts, flags from howdah.jobs")).toEqual([
      { queue_name: "q", priority: -2, max_attempts: 3, flags: { f: true } },
    ]);
  });

  it("sees a schedule that is stored while it runs, when it is told", async () => {
    const worker = await createTestWorker(database, { tasks: [defineTask({ identifier: "t", run() {} })] });
    const scheduled = record(worker.hooks, "cronJobScheduled");
    const running = worker.run();
    await worker.client.schedules.upsert({ id: "often", task: "do_it", schedule: every.seconds(1) });
    await scheduled.reach(2);
    await worker.client.schedules.remove("often");
    await worker.stop();
    await running;
    const ticks = await ticksOf(database, "do_it");
    expect(new Set(ticks).size).toBe(ticks.length);
  });

  it("sees it within two seconds also without a notification", async () => {
    await using run = await runCronWorker(database, "2021-01-01T03:59:58Z", { useNotificationDelivery: false });
    await run.settled();
    await store({ missed: "skip" });
    await run.advanceTo("2021-01-01T04:00:00Z");
    await run.scheduled.reach();
    expect(scheduledTimes(run.scheduled)).toEqual(hours(4));
  });

  it("shares the ticks with others, each added once", async () => {
    await store({ schedule: every.minutes(1), missed: "skip" });
    await using first = await runCronWorker(database, "2021-01-01T00:00:30Z", {});
    await using second = await runCronWorker(database, "2021-01-01T00:00:30Z", {});
    await Promise.all([first, second].map((run) => run.settled()));
    await Promise.all([first, second].map((run) => run.clock.advance(50 * 60_000)));
    await Promise.all([first, second].map((run) => run.ticks.reach(50)));
    const ticks = await ticksOf(database, "do_it");
    expect([ticks.length, new Set(ticks).size]).toEqual([50, 50]);
    expect(first.scheduled.events.length + second.scheduled.events.length).toBe(50);
  });

  it("adds nothing while a schedule is paused, and does not make up for it", async () => {
    await store({ missed: "all", fill: "1w" }, "2021-01-01T03:00:00Z");
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", {});
    await run.settled();
    await schedules.pause("s", { until: "2021-01-01T06:00:00Z" });
    await run.advanceTo("2021-01-01T07:00:01Z");
    await run.scheduled.reach(2);
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual(hours(6, 7));
    await schedules.pause("s");
    await run.advanceTo("2021-01-01T12:00:01Z");
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual(hours(6, 7));
  });

  it("does not make up for a pause that ended while no worker ran", async () => {
    await store({ missed: "all", fill: "1w" }, "2021-01-01T03:00:00Z");
    await schedules.pause("s", { until: "2021-01-01T06:00:00Z" });
    await using run = await runCronWorker(database, "2021-01-01T07:30:00Z", {});
    await run.scheduled.reach(2);
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual(hours(6, 7));
  });

  it("goes on with what was due when a schedule is changed before its tick is added", async () => {
    await store({ missed: "skip" });
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", { useNotificationDelivery: false });
    await run.settled();
    await store({ missed: "skip", payload: { changed: true } });
    await run.advanceTo("2021-01-01T04:00:00Z");
    await run.clock.advance(1_000);
    await run.scheduled.reach();
    await run.settled();
    expect((await jobsOf(database, "do_it")).map(({ payload }) => payload)).toEqual([
      { changed: true, _cron: { ts: hours(4)[0], backfilled: false } },
    ]);
  });

  it("leaves out ticks from before a change of the expression", async () => {
    await store({ missed: "all", fill: "1w" }, "2021-01-01T03:00:00Z");
    await schedules.upsert({ id: "s", task: "do_it", schedule: "30 * * * *", missed: "all", fill: "1w" });
    await using run = await runCronWorker(database, "2021-01-01T05:00:00Z", {});
    await run.advanceTo("2021-01-01T08:00:00Z");
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual([]);
  });

  it("adds nothing for a schedule that is removed", async () => {
    await store({ missed: "skip" });
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", {});
    await run.settled();
    await schedules.remove("s");
    await run.advanceTo("2021-01-01T05:00:01Z");
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual([]);
  });

  it("sees what is changed with SQL", async () => {
    await store({ missed: "skip" });
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", {});
    await run.settled();
    await database.sql("update howdah._howdah_schedules set paused_at = now()");
    await run.advanceTo("2021-01-01T05:00:01Z");
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual([]);
  });

  it("reports a schedule that cannot be read, and goes on with the others", async () => {
    await store({ missed: "skip" });
    await store({ id: "broken" });
    await database.sql("update howdah._howdah_schedules set expression = 'nonsense' where id = 'broken'");
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", {});
    await run.errors.reach();
    await run.advanceTo("2021-01-01T05:00:01Z");
    await run.scheduled.reach(2);
    expect(run.errors.events.map(({ activity }) => activity)).toEqual(['read the schedule "broken"']);
    expect((await schedules.list()).map(({ id, nextTick }) => [id, nextTick === null])).toEqual([
      ["broken", true],
      ["s", false],
    ]);
  });

  it("warns of a schedule whose task no running worker knows", async () => {
    const logger = createRecordingLogger();
    await store({ id: "lost", task: "nobodys_task", missed: "skip" });
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", { logger, useNotificationDelivery: false });
    await run.settled();
    expect((await schedules.list()).map(({ isTaskKnown }) => isTaskKnown)).toEqual([false]);
    await run.clock.advance(70_000);
    await run.settled();
    await run.clock.advance(70_000);
    await run.settled();
    const warnings = logger.entries.filter(({ message }) => message.includes("no running worker knows"));
    expect(warnings.map(({ fields }) => fields)).toEqual([{ schedule: "lost", task: "nobodys_task" }]);
  });

  it("says that it knows the task of a schedule, so that others do not warn", async () => {
    const logger = createRecordingLogger();
    await store({ missed: "skip" });
    const doIt = defineTask({ identifier: "do_it", run() {} });
    await using _knows = await runCronWorker(database, "2021-01-01T03:30:00Z", { tasks: [doIt] });
    await until(async () => (await schedules.list())[0]?.isTaskKnown);
    await using run = await runCronWorker(database, "2021-01-01T03:30:00Z", { logger, useNotificationDelivery: false });
    await run.clock.advance(70_000);
    await run.settled();
    await run.clock.advance(70_000);
    await run.settled();
    expect(logger.messages("warn").filter((message) => message.includes("no running worker"))).toEqual([]);
  });
});

describe("ticks that were due while no worker ran", () => {
  const missedFrom = async (options: Partial<ScheduleOptions>): Promise<string[]> => {
    await store(options, "2021-01-01T02:00:00Z");
    await using run = await runCronWorker(database, "2021-01-01T07:30:00Z", {});
    await run.settled();
    await run.advanceTo("2021-01-01T08:00:01Z");
    await until(async () => (await ticksOf(database, "do_it")).includes(hours(8)[0]!));
    return ticksOf(database, "do_it");
  };

  it("are left out with `skip`", async () => {
    expect(await missedFrom({ missed: "skip" })).toEqual(hours(8));
  });

  it("are made up for by the last of them with `once`, which is the default", async () => {
    expect(await missedFrom({})).toEqual(hours(7, 8));
  });

  it("are all added with `all`", async () => {
    expect(await missedFrom({ missed: "all" })).toEqual(hours(3, 4, 5, 6, 7, 8));
  });

  it("are added as far as `fill` reaches", async () => {
    expect(await missedFrom({ missed: "all", fill: "2h" })).toEqual(hours(6, 7, 8));
    await database.sql("delete from howdah._private_jobs");
    expect(await missedFrom({ missed: "once", fill: "20m" })).toEqual(hours(8));
  });

  it("are not those from before the schedule was stored", async () => {
    await schedules.upsert({ id: "s", task: "do_it", schedule: "0 * * * *", missed: "all", fill: "1w" });
    await database.sql("update howdah._howdah_schedules set since = '2021-01-01T05:30:00Z'");
    await using run = await runCronWorker(database, "2021-01-01T07:30:00Z", {});
    await run.scheduled.reach(2);
    await run.settled();
    expect(await ticksOf(database, "do_it")).toEqual(hours(6, 7));
  });
});

it("refuses a tick of before the schedule began, from any worker", async () => {
  await store();
  await database.sql("update howdah._howdah_schedules set since = '2020-12-01T00:00:00Z'");
  const [{ version }] = (await database.sql("select version from howdah._howdah_schedules")) as [{ version: string }];
  const target = { executor: database.driver, schema: database.schema };
  const job = await prepareTickJob(cron({ task: "do_it", schedule: "0 * * * *" }));
  const tickAt = (at: string) => ({ id: "s", version, tickMs: Date.parse(at), payload: "{}", runAt: null, job });
  const ticks = [tickAt("2020-11-30T23:00:00Z"), tickAt("2020-12-01T00:00:00Z")];
  expect(await addScheduleTicks(target, ticks)).toMatchObject([
    { jobId: null, hasChanged: false },
    { jobId: expect.stringMatching(/^\d+$/) as string, hasChanged: false },
  ]);
});

it("refuses a tick of a pause, and takes those of its end and after it, from any worker", async () => {
  await store();
  await schedules.pause("s", { until: "2200-01-01T00:00:00Z" });
  const [{ version }] = (await database.sql("select version from howdah._howdah_schedules")) as [{ version: string }];
  const target = { executor: database.driver, schema: database.schema };
  const job = await prepareTickJob(cron({ task: "do_it", schedule: "0 * * * *" }));
  const tickAt = (at: string) => ({ id: "s", version, tickMs: Date.parse(at), payload: "{}", runAt: null, job });
  const ticks = [tickAt("2199-12-31T23:00:00Z"), tickAt("2200-01-01T00:00:00Z")];
  expect(await addScheduleTicks(target, ticks)).toMatchObject([
    { jobId: null, hasChanged: false },
    { jobId: expect.stringMatching(/^\d+$/) as string, hasChanged: false },
  ]);
});

it("refuses a tick that was computed from what a schedule is no longer", async () => {
  await store();
  const [{ version }] = (await database.sql("select version from howdah._howdah_schedules")) as [{ version: string }];
  const target = { executor: database.driver, schema: database.schema };
  const job = await prepareTickJob(cron({ task: "do_it", schedule: "0 * * * *" }));
  const tick = { id: "s", version, tickMs: Date.parse("2021-01-01T04:00:00Z"), payload: "{}", runAt: null, job };
  await schedules.upsert({ id: "s", task: "other", schedule: "0 * * * *" });
  expect(await addScheduleTicks(target, [tick])).toEqual([{ jobId: null, hasChanged: true }]);
  await schedules.remove("s");
  expect(await addScheduleTicks(target, [tick])).toEqual([{ jobId: null, hasChanged: true }]);
  expect(await database.sql("select id from howdah._private_jobs")).toEqual([]);
});
