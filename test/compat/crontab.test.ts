import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/runtime/clock.ts";
import { runCronWorker } from "../harness/cron.ts";
import { until } from "../harness/until.ts";
import { createPlace, emptyPlace, LAYOUTS, type Place } from "./layouts.ts";

const MINUTE_MS = 60_000;

/** The start of the minute that was N minutes ago. */
function minutesAgo(minutes: number, now = systemClock.now()): Date {
  return new Date(Math.floor(now / MINUTE_MS) * MINUTE_MS - minutes * MINUTE_MS);
}

/** The ticks that jobs of a task stand for, in order. */
async function ticks(place: Place, task: string): Promise<{ readonly ts: Date; readonly backfilled: boolean }[]> {
  const rows = await place.sql(
    `select payload -> '_cron' ->> 'ts' as ts, (payload -> '_cron' ->> 'backfilled')::boolean as backfilled
     from howdah._private_jobs own join howdah._private_tasks tasks on tasks.id = own.task_id
     where identifier = $1 order by ts`,
    [task],
  );
  return rows.map((row) => ({ ts: new Date(String(row["ts"])), backfilled: row["backfilled"] === true }));
}

const know = (place: Place, id: string, last: Date | null) =>
  place.sql("insert into howdah._private_known_crontabs values ($1, $2, $3)", [id, minutesAgo(600), last]);
const lastExecution = async (place: Place, id: string): Promise<Date> =>
  (await place.sql("select last_execution from howdah._private_known_crontabs where identifier = $1", [id]))[0]?.[
    "last_execution"
  ] as Date;

describe.each(LAYOUTS)("crontabs of graphile-worker on a schema: %s", (layout) => {
  let place: Place;
  let folder: string;

  beforeAll(async () => {
    place = await createPlace(layout);
    folder = await mkdtemp(join(tmpdir(), "howdah-compat-"));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await place[Symbol.asyncDispose]();
  });
  beforeEach(() => emptyPlace(place));

  it("add what was missed since the last execution, and nothing before it", async () => {
    await know(place, "t", minutesAgo(4));
    const runner = await place.theirs.run({
      ...place.options,
      crontab: '* * * * * t ?fill=10m&max=3&queue=q&priority=2 {"a":1}',
      taskList: { other() {} },
    });
    await until(async () => (await ticks(place, "t")).length >= 3, { message: "three missed ticks" });
    await runner.stop();
    const found = await ticks(place, "t");
    const missed = found.filter(({ backfilled }) => backfilled);
    expect(missed.length).toBeGreaterThanOrEqual(3);
    expect(missed[0]?.ts.getTime()).toBeGreaterThan(minutesAgo(6).getTime());
    expect(new Set(found.map(({ ts }) => ts.getTime())).size).toBe(found.length);
    expect(
      await place.sql(
        "select distinct queue_name, priority, max_attempts, payload ->> 'a' as a from howdah.jobs join howdah._private_jobs own using (id, priority, max_attempts)",
      ),
    ).toEqual([{ queue_name: "q", priority: 2, max_attempts: 3, a: "1" }]);
  });

  it("write down that they know an item, and add nothing for one that is new", async () => {
    const items = place.theirs.parseCronItems([
      { task: "t", match: "0 4 * * *", identifier: "nightly", options: { backfillPeriod: 86_400_000 } },
    ]);
    const runner = await place.theirs.run({ ...place.options, parsedCronItems: items, taskList: { other() {} } });
    const rows = await until(
      async () => {
        const found = await place.sql("select identifier, last_execution from howdah._private_known_crontabs");
        return found.length > 0 && found;
      },
      { message: "the item to be known" },
    );
    await runner.stop();
    expect(rows).toEqual([{ identifier: "nightly", last_execution: null }]);
    expect(await place.sql("select from howdah._private_jobs")).toEqual([]);
  });

  it("are read from text and from files", async () => {
    await writeFile(join(folder, "crontab"), "0 4 * * * t\n# no\n*/5 * * * * u ?id=x\n");
    const { items } = await place.theirs.getCronItems(place.options, join(folder, "crontab"));
    expect(items).toMatchObject([{ identifier: "t" }, { identifier: "x", task: "u" }]);
    expect(place.theirs.parseCrontab("0 4 * * * t")).toMatchObject([{ identifier: "t" }]);
  });
});

describe.each(["owned", "shared"] as const)("a crontab that moves between both on one schema: %s", (layout) => {
  let place: Place;

  beforeAll(async () => {
    place = await createPlace(layout);
  });
  afterAll(() => place[Symbol.asyncDispose]());
  beforeEach(() => emptyPlace(place));

  const CRONTAB = "* * * * * t ?fill=10m";

  it("goes on in Howdah where graphile-worker has stopped", async () => {
    const now = systemClock.now();
    await know(place, "t", minutesAgo(4));
    const runner = await place.theirs.run({ ...place.options, crontab: CRONTAB, taskList: { other() {} } });
    await until(async () => (await ticks(place, "t")).length >= 3, { message: "three missed ticks" });
    await runner.stop();
    const before = await ticks(place, "t");
    const lastMs = (await lastExecution(place, "t")).getTime();

    const at = Math.max(now, lastMs) + 2.5 * MINUTE_MS;
    await using cron = await runCronWorker(place.database, at, { crontab: CRONTAB });
    await cron.settled();

    const all = await ticks(place, "t");
    expect(all.slice(0, before.length)).toEqual(before);
    const added = all.slice(before.length).map(({ ts }) => ts.getTime());
    const first = lastMs + MINUTE_MS;
    expect(added).toEqual(
      Array.from({ length: Math.floor((at - first) / MINUTE_MS) + 1 }, (_, index) => first + index * MINUTE_MS),
    );
  });

  it("goes on in graphile-worker where Howdah has stopped", async () => {
    await know(place, "t", minutesAgo(5));
    const cron = await runCronWorker(place.database, minutesAgo(2).getTime(), { crontab: CRONTAB });
    await cron.settled();
    await cron.stop();
    const before = await ticks(place, "t");
    expect(before.length).toBeGreaterThanOrEqual(2);
    const last = await lastExecution(place, "t");

    const runner = await place.theirs.run({ ...place.options, crontab: CRONTAB, taskList: { other() {} } });
    await until(async () => (await lastExecution(place, "t")).getTime() >= minutesAgo(1).getTime(), {
      message: "the missed ticks",
    });
    await runner.stop();

    const all = await ticks(place, "t");
    expect(all.slice(0, before.length)).toEqual(before);
    expect(all[before.length]?.ts.getTime()).toBe(last.getTime() + MINUTE_MS);
    expect(new Set(all.map(({ ts }) => ts.getTime())).size).toBe(all.length);
  });
});
