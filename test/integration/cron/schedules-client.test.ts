import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import { every } from "../../../src/cron/every.ts";
import { defineBatchTask, defineTask } from "../../../src/job/task.ts";
import { silentLogger } from "../../../src/runtime/logger.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
const report = defineTask({
  identifier: "report",
  defaults: { queueName: "reports", maxAttempts: 3 },
  run(_payload: { kind: string }) {},
});
const client = await createClient({ driver: database.driver, migrate: false, logger: silentLogger });
const { schedules } = client;
afterAll(async () => {
  await client.close();
  await database.drop();
});
beforeEach(async () => {
  await database.sql("delete from howdah._private_jobs; delete from howdah._howdah_schedules");
});

const versionOf = async (): Promise<unknown> =>
  (await database.sql("select version, updated_at, since from howdah._howdah_schedules"))[0];

describe("upsert", () => {
  it("stores a schedule with the defaults of its task", async () => {
    const stored = await schedules.upsert({
      id: "daily",
      task: report,
      schedule: every.day("8:30"),
      timeZone: "Europe/Berlin",
      payload: { kind: "short" },
      fill: "2h",
      missed: "all",
      spec: { priority: 5 },
    });
    expect(stored).toEqual({
      id: "daily",
      task: "report",
      schedule: "30 8 * * *",
      timeZone: "Europe/Berlin",
      fill: 7_200_000,
      missed: "all",
      payload: { kind: "short" },
      isPaused: false,
      pausedUntil: null,
      lastTick: null,
      spec: {
        queueName: "reports",
        maxAttempts: 3,
        priority: 5,
      },
      nextTick: expect.any(Date),
      isTaskKnown: false,
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
    });
    expect(await schedules.list()).toEqual([stored]);
  });

  it("has defaults of its own", async () => {
    expect(await schedules.upsert({ id: "a", task: "x", schedule: "  0   0 * * 1 " })).toMatchObject({
      schedule: "0 0 * * 1",
      timeZone: "UTC",
      fill: 86_400_000,
      missed: "once",
      payload: {},
      spec: {},
    });
  });

  it("changes nothing when it is repeated", async () => {
    const options = { id: "a", task: "x", schedule: "0 0 * * *", payload: { a: [1, "b"] }, spec: { flags: ["f"] } };
    await schedules.upsert(options);
    const before = await versionOf();
    await schedules.upsert(options);
    expect(await versionOf()).toEqual(before);
  });

  it("begins afresh only when the expression or the zone changes", async () => {
    const options = { id: "a", task: "x", schedule: "0 0 * * *" };
    await schedules.upsert(options);
    await database.sql("update howdah._howdah_schedules set since = '2020-01-01'");
    await schedules.upsert({ ...options, payload: { n: 1 }, missed: "skip" });
    expect(await versionOf()).toMatchObject({ since: new Date("2020-01-01T00:00:00Z") });
    await schedules.upsert({ ...options, timeZone: "Asia/Tokyo" });
    expect((await versionOf()) as { since: Date }).not.toMatchObject({ since: new Date("2020-01-01T00:00:00Z") });
  });

  it("keeps a pause", async () => {
    const options = { id: "a", task: "x", schedule: "0 0 * * *" };
    await schedules.upsert(options);
    await schedules.pause("a");
    expect(await schedules.upsert({ ...options, payload: { n: 2 } })).toMatchObject({ isPaused: true, nextTick: null });
  });

  it("refuses what cannot be read or stored, before it writes anything", async () => {
    const good = { id: "a", task: "x", schedule: "0 0 * * *" };
    await expect(schedules.upsert({ ...good, schedule: "0 0 * *" })).rejects.toMatchObject({
      code: "HOWDAH_CRON_INVALID",
    });
    await expect(schedules.upsert({ ...good, timeZone: "+02:00" })).rejects.toMatchObject({
      code: "HOWDAH_CRON_INVALID",
    });
    await expect(schedules.upsert({ ...good, id: "" })).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    await expect(schedules.upsert({ ...good, missed: "never" as never })).rejects.toThrow('"skip", "once", "all"');
    await expect(schedules.upsert({ ...good, fil: "1d" } as never)).rejects.toThrow("did you mean `fill`?");
    const { id, ...nameless } = good;
    await expect(schedules.upsert({ ...nameless, idd: id } as never)).rejects.toThrow("did you mean `id`?");
    await expect(schedules.upsert(nameless as never)).rejects.toMatchObject({ code: "HOWDAH_JOB_INVALID" });
    await expect(schedules.upsert({ ...good, payload: [1] as never })).rejects.toMatchObject({
      code: "HOWDAH_PAYLOAD_INVALID",
    });
    await expect(schedules.upsert({ ...good, payload: { n: 1n } })).rejects.toMatchObject({
      code: "HOWDAH_PAYLOAD_INVALID",
    });
    await expect(
      schedules.upsert({ ...good, spec: { jobKey: "k", jobKeyMode: "unsafe_dedupe" as never } }),
    ).rejects.toThrow("swallow ticks");
    const batch = defineBatchTask({ identifier: "b", runBatch() {} });
    await expect(schedules.upsert({ ...good, task: batch } as never)).rejects.toThrow("a batch task");
    await expect(schedules.upsert(undefined as never)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    expect(await schedules.list()).toEqual([]);
  });

  it("refuses tasks that the client was not given", async () => {
    const strict = await createClient({
      driver: database.driver,
      migrate: false,
      logger: silentLogger,
      tasks: [report],
    });
    await expect(strict.schedules.upsert({ id: "a", task: "reprot", schedule: "0 0 * * *" })).rejects.toMatchObject({
      code: "HOWDAH_TASK_UNKNOWN",
    });
    await strict.close();
  });
});

describe("a pause", () => {
  it("lasts until it is ended", async () => {
    await schedules.upsert({ id: "a", task: "x", schedule: "* * * * *" });
    expect(await schedules.pause("a")).toMatchObject({ isPaused: true, pausedUntil: null, nextTick: null });
    expect(await schedules.preview("a")).toEqual([]);
    expect(await schedules.resume("a")).toMatchObject({ isPaused: false, nextTick: expect.any(Date) });
  });

  it("may have an end", async () => {
    await schedules.upsert({ id: "a", task: "x", schedule: "0 0 1 1 *" });
    const end = new Date("2100-06-01T00:00:00Z");
    expect(await schedules.pause("a", { until: end })).toMatchObject({
      isPaused: true,
      pausedUntil: end,
      nextTick: new Date("2101-01-01T00:00:00Z"),
    });
    expect(await schedules.preview("a", 2)).toEqual([
      new Date("2101-01-01T00:00:00Z"),
      new Date("2102-01-01T00:00:00Z"),
    ]);
    expect(await schedules.pause("a", { until: "2020-01-01T00:00:00Z" })).toMatchObject({
      isPaused: false,
      pausedUntil: null,
    });
  });

  it("leaves behind that its ticks are not made up for", async () => {
    await schedules.upsert({ id: "a", task: "x", schedule: "* * * * *" });
    await database.sql(
      "update howdah._howdah_schedules set since = '2020-01-01', paused_at = '2021-01-01', paused_until = '2022-01-01'",
    );
    await schedules.resume("a");
    expect(await versionOf()).toMatchObject({ since: new Date("2022-01-01T00:00:00Z") });
    await database.sql("update howdah._howdah_schedules set paused_at = '2023-01-01', paused_until = '2024-01-01'");
    await schedules.pause("a");
    expect(await versionOf()).toMatchObject({ since: new Date("2024-01-01T00:00:00Z") });
  });

  it("of a schedule that does not exist is refused", async () => {
    const unknown = { code: "HOWDAH_SCHEDULE_UNKNOWN" };
    await expect(schedules.pause("nope")).rejects.toMatchObject(unknown);
    await expect(schedules.resume("nope")).rejects.toMatchObject(unknown);
    await expect(schedules.trigger("nope")).rejects.toMatchObject(unknown);
    await expect(schedules.preview("nope")).rejects.toMatchObject(unknown);
    expect(await schedules.remove("nope")).toBeUndefined();
    await expect(schedules.pause("a", { until: "tomorrow" })).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});

describe("schedules", () => {
  it("can be tried out at once, paused or not", async () => {
    await schedules.upsert({ id: "a", task: report, schedule: "0 0 1 1 *", payload: { kind: "x" } });
    await schedules.pause("a");
    const job = await schedules.trigger("a");
    expect(job).toMatchObject({ task: "report", queueName: "reports", maxAttempts: 3, state: "ready" });
    expect(job.payload).toEqual({ kind: "x", _cron: { ts: expect.stringMatching(/^\d{4}-.*Z$/), backfilled: false } });
    expect((await schedules.list())[0]?.lastTick).toBeNull();
  });

  it("can be looked ahead of, stored or not", async () => {
    const preview = await schedules.preview({ schedule: "0 12 1 1 *", timeZone: "Asia/Tokyo" }, 3);
    expect(preview).toHaveLength(3);
    expect(preview.every((tick) => tick.toISOString().endsWith("-01-01T03:00:00.000Z"))).toBe(true);
    await schedules.upsert({ id: "a", task: "x", schedule: "0 12 1 1 *", timeZone: "Asia/Tokyo" });
    expect(await schedules.preview("a", 3)).toEqual(preview);
    expect(await schedules.preview("a")).toHaveLength(5);
    await expect(schedules.preview("a", 0)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
    await expect(schedules.preview({ schedule: "nonsense" })).rejects.toMatchObject({ code: "HOWDAH_CRON_INVALID" });
  });

  it("are listed by id, and gone when they are removed", async () => {
    for (const id of ["b", "a", "C"]) await schedules.upsert({ id, task: "x", schedule: "* * * * *" });
    expect((await schedules.list()).map(({ id }) => id)).toEqual(["C", "a", "b"]);
    expect(await schedules.remove("a")).toMatchObject({ id: "a" });
    expect((await schedules.list()).map(({ id }) => id)).toEqual(["C", "b"]);
  });

  it("change with the application's transaction, or not at all", async () => {
    const session = await database.connect();
    await session.query("begin");
    const inside = client.inTransaction(session).schedules;
    await inside.upsert({ id: "a", task: "x", schedule: "* * * * *" });
    await inside.pause("a");
    await inside.trigger("a");
    expect(await inside.list()).toHaveLength(1);
    expect(await schedules.list()).toEqual([]);
    await session.query("rollback");
    expect(await schedules.list()).toEqual([]);
    await session.query("begin");
    await inside.upsert({ id: "a", task: "x", schedule: "* * * * *" });
    await session.query("commit");
    expect(await schedules.list()).toHaveLength(1);
  });

  it("are announced when a change is committed, and only then", async () => {
    const listener = await database.connect();
    const heard: unknown[] = [];
    listener.on("notification", ({ channel, payload }) => void heard.push([channel, payload]));
    await listener.query('listen "howdah:schedules"');
    await schedules.upsert({ id: "a", task: "x", schedule: "* * * * *" });
    await schedules.remove("a");
    // What a tick writes is not notified.
    await schedules.upsert({ id: "b", task: "x", schedule: "* * * * *" });
    await database.sql("update howdah._howdah_schedules set last_tick = now(), task_seen_at = now()");
    await until(() => heard.length >= 3);
    await listener.query("select 1");
    expect(heard).toEqual(Array.from({ length: 3 }, () => ["howdah:schedules", "howdah"]));
  });

  it("are closed with the client", async () => {
    const closed = await createClient({ driver: database.driver, migrate: false, logger: silentLogger });
    await closed.close();
    await expect(closed.schedules.list()).rejects.toMatchObject({ code: "HOWDAH_CLIENT_CLOSED" });
  });
});
