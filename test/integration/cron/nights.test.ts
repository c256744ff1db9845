import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { runCronWorker, ticksOf } from "../../harness/cron.ts";
import { createDatabase } from "../../harness/database.ts";
import { until } from "../../harness/until.ts";

const database = await createDatabase();
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql("delete from howdah._private_jobs; delete from howdah._private_known_crontabs");
});

/** When clocks change, when `30 2 * * *` runs on that day, and how often `15 * * * *` does. */
const NIGHTS = [
  { zone: "Europe/Berlin", change: "2026-03-29T01:00:00Z", nightly: ["2026-03-29T01:00"], hours: 23 },
  { zone: "Europe/Berlin", change: "2026-10-25T01:00:00Z", nightly: ["2026-10-25T00:30"], hours: 25 },
  { zone: "America/New_York", change: "2026-03-08T07:00:00Z", nightly: ["2026-03-08T07:00"], hours: 23 },
  { zone: "America/New_York", change: "2026-11-01T06:00:00Z", nightly: ["2026-11-01T07:30"], hours: 25 },
  // Half an hour: from 02:00 to 02:30, which leaves out 02:15, and back from 02:00 to 01:30, which does not repeat it.
  { zone: "Australia/Lord_Howe", change: "2026-10-03T15:30:00Z", nightly: ["2026-10-03T15:30"], hours: 23 },
  { zone: "Australia/Lord_Howe", change: "2026-04-04T15:00:00Z", nightly: ["2026-04-04T16:00"], hours: 24 },
  { zone: "America/Santiago", change: "2026-09-06T04:00:00Z", nightly: ["2026-09-06T05:30"], hours: 23 },
  { zone: "America/Santiago", change: "2026-04-05T03:00:00Z", nightly: ["2026-04-04T05:30"], hours: 25 },
  // Nothing ever happens here.
  { zone: "Asia/Tokyo", change: "2026-03-28T18:00:00Z", nightly: ["2026-03-28T17:30"], hours: 24 },
  { zone: "Asia/Tokyo", change: "2026-10-24T18:00:00Z", nightly: ["2026-10-24T17:30"], hours: 24 },
] as const;

/** The instant at which a day of a zone begins that holds this one. */
function startOfDay(at: number, zone: string): number {
  const dayOf = (time: number): string => new Date(time).toLocaleDateString("en-CA", { timeZone: zone });
  const day = dayOf(at);
  let start = at;
  while (dayOf(start - 60_000) === day) start -= 60_000;
  return start;
}

describe("a worker that runs through the night on which clocks change", () => {
  it.each(NIGHTS)("adds what is due in $zone around $change, each once", async ({ zone, change, nightly, hours }) => {
    const fromMs = startOfDay(Date.parse(change), zone);
    const toMs = startOfDay(fromMs + 30 * 3_600_000, zone);
    const crontab = `30 2 * * * nightly ?tz=${zone}\n15 * * * * hourly ?tz=${zone}\n0 12 * * * noon`;
    await using run = await runCronWorker(database, fromMs, { crontab });
    await run.settled();
    await run.clock.advance(toMs - fromMs - 1);
    await until(async () => (await ticksOf(database, "noon")).length === 1);
    await run.settled();
    const dayTicks = await ticksOf(database, "nightly");
    expect(dayTicks.map((tick) => tick.slice(0, 16))).toEqual(nightly);
    const hourly = (await ticksOf(database, "hourly")).map((tick) => Date.parse(tick));
    expect(hourly.length).toBe(new Set(hourly).size);
    expect(hourly).toHaveLength(hours);
  });
});
