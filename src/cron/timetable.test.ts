import { type CronExpression, CronExpressionParser } from "cron-parser";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseExpression } from "./expression.ts";
import { createTimetable, type Timetable } from "./timetable.ts";
import { checkTimeZone } from "./time-zone.ts";

const timetable = (text: string, timeZone = "UTC"): Timetable => createTimetable(parseExpression(text), timeZone);
const ticks = (table: Timetable, after: string, count: number): string[] => {
  const found: string[] = [];
  let at: number | undefined = Date.parse(after);
  while (found.length < count && (at = table.next(at)) !== undefined)
    found.push(new Date(at).toISOString().slice(0, 19));
  return found;
};

describe("a timetable", () => {
  it("goes from tick to tick, never giving the one it starts from", () => {
    const table = timetable("*/20 * * * *");
    expect(ticks(table, "2026-01-01T00:00:00Z", 3)).toEqual([
      "2026-01-01T00:20:00",
      "2026-01-01T00:40:00",
      "2026-01-01T01:00:00",
    ]);
    expect(table.next(Date.parse("2026-01-01T00:19:59.999Z"))).toBe(Date.parse("2026-01-01T00:20:00Z"));
    expect(table.next(Date.parse("2026-01-01T00:20:00.001Z"))).toBe(Date.parse("2026-01-01T00:40:00Z"));
    expect(table.previous(Date.parse("2026-01-01T00:20:00Z"))).toBe(Date.parse("2026-01-01T00:00:00Z"));
    expect(table.previous(Date.parse("2026-01-01T00:20:00.001Z"))).toBe(Date.parse("2026-01-01T00:20:00Z"));
  });

  it("knows days of the week (behaviours 140)", () => {
    const days = ticks(timetable("0 0 * * 5-6"), "2026-01-01T00:00:00Z", 4);
    expect(days.map((day) => new Date(`${day}Z`).getUTCDay())).toEqual([5, 6, 5, 6]);
    expect(ticks(timetable("0 0 * * 0"), "2026-01-01T00:00:00Z", 1)).toEqual(["2026-01-04T00:00:00"]);
    expect(ticks(timetable("0 0 * * 7"), "2026-01-01T00:00:00Z", 1)).toEqual(["2026-01-04T00:00:00"]);
  });

  it("takes either a day of the month or one of the week when both are restricted (behaviours 141)", () => {
    const matches = (at: string): boolean => timetable("0-5 15 3-4 7 0-2").next(Date.parse(at) - 1) === Date.parse(at);
    // 2021-07-04 was a Sunday, 2025-07-04 a Friday, 2025-07-01 a Tuesday.
    expect(matches("2025-07-04T15:00:00Z")).toBe(true);
    expect(matches("2025-07-01T15:05:00Z")).toBe(true);
    expect(matches("2021-07-04T15:03:00Z")).toBe(true);
    expect(matches("2025-07-05T15:00:00Z")).toBe(false);
    expect(matches("2025-01-01T15:00:00Z")).toBe(false);
    expect(matches("2025-07-04T15:06:00Z")).toBe(false);
    expect(matches("2025-07-04T14:00:00Z")).toBe(false);
    // What is full restricts nothing, however it is written.
    expect(ticks(timetable("0 0 1-31 * 1"), "2026-01-01T00:00:00Z", 2)).toEqual(
      ticks(timetable("0 0 * * 1"), "2026-01-01T00:00:00Z", 2),
    );
    expect(ticks(timetable("0 0 13 * 0-6"), "2026-01-01T00:00:00Z", 2)).toEqual(
      ticks(timetable("0 0 13 * *"), "2026-01-01T00:00:00Z", 2),
    );
  });

  it("counts steps of days from the first (behaviours 142)", () => {
    const table = timetable("30 8-10 */4 * *");
    const matches = (at: string): boolean => table.next(Date.parse(at) - 1) === Date.parse(at);
    for (const at of ["2026-01-17T08:30:00Z", "2026-01-05T09:30:00Z", "2026-01-13T10:30:00Z"])
      expect(matches(at)).toBe(true);
    for (const at of ["2026-01-17T11:30:00Z", "2026-01-17T08:31:00Z", "2026-01-17T08:29:00Z", "2026-01-04T08:30:00Z"]) {
      expect(matches(at)).toBe(false);
    }
  });

  it("knows leap years, and refuses days that never come", () => {
    expect(ticks(timetable("0 0 29 2 *"), "2026-01-01T00:00:00Z", 2)).toEqual([
      "2028-02-29T00:00:00",
      "2032-02-29T00:00:00",
    ]);
    for (const never of ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"]) {
      expect(() => timetable(never)).toThrow(expect.objectContaining({ code: "HOWDAH_CRON_INVALID" }));
    }
  });

  it("goes back as it goes forward", () => {
    fc.assert(
      fc.property(expressions, zones, instants, (text, zone, at) => {
        const table = timetable(text, zone);
        const next = table.next(at);
        if (next === undefined) return;
        const [before, after] = [table.previous(next + 1), table.next(next - 1)];
        expect([before, after]).toEqual([next, next]);
      }),
      { numRuns: 200 },
    );
  });
});

describe("time zones", () => {
  it("are names that this machine knows", () => {
    for (const name of ["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires"])
      expect(checkTimeZone(name)).toBe(name);
    for (const name of ["", "+02:00", "Mars/Olympus", "Europe/Berlim", " UTC", 5, null]) {
      expect(() => checkTimeZone(name)).toThrow(expect.objectContaining({ code: "HOWDAH_CRON_INVALID" }));
    }
    expect(() => checkTimeZone("Europe/Berlim")).toThrow("did you mean `Europe/Berlin`?");
  });
});

/*
 * The same questions to another library. Both agree wherever a zone's offset
 * stays the same. Where it changes they differ by design, and those hours are
 * left out here: the other one moves a time that does not exist by the length of
 * the gap, and lets a time that comes twice come once even when it recurs; ours
 * follows the rules below, which an oracle of their own checks.
 */
const field = (min: number, max: number): fc.Arbitrary<string> => {
  const value = fc.integer({ min, max });
  const span = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
  const step = fc.integer({ min: 1, max: max - min });
  const item = fc.oneof(
    fc.constant("*"),
    value.map(String),
    span,
    step.map((n) => `*/${n}`),
    fc.tuple(span, step).map(([range, n]) => `${range}/${n}`),
  );
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant("*") },
    { weight: 3, arbitrary: fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join(",")) },
  );
};
const expressions = fc
  .tuple(field(0, 59), field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
  .map((fields) => fields.join(" "));
const zones = fc.constantFrom(
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "America/Sao_Paulo",
  "Africa/Cairo",
  "Pacific/Chatham",
  "America/St_Johns",
);
const instants = fc.integer({ min: Date.UTC(1995, 0, 1), max: Date.UTC(2060, 0, 1) });

/** The other library refuses lists in which a value comes twice, and does not see that `0-6` restricts nothing. */
function withoutRepeats(text: string): string {
  const read = parseExpression(text);
  const fields = [read.second, read.minute, read.hour, read.day, read.month, read.weekday];
  const plain = (index: number): string => (fields[index]!.isFull ? "*" : fields[index]!.values.join(","));
  return text
    .split(" ")
    .map((written, index) => (written.includes(",") || fields[index]!.isFull ? plain(index) : written))
    .join(" ");
}

describe("beside another library", () => {
  it("agrees on random expressions, zones and years", () => {
    fc.assert(
      fc.property(expressions, zones, instants, (text, zone, at) => {
        const ours = timetable(text, zone);
        const theirs = CronExpressionParser.parse(withoutRepeats(text), { tz: zone, currentDate: new Date(at) });
        const mine: number[] = [];
        const other: number[] = [];
        for (let n = 0, from: number | undefined = at; n < 8; n++) {
          from = ours.next(from);
          const next = from && nextOf(theirs);
          if (from === undefined || next === undefined) break;
          mine.push(from);
          other.push(next);
        }
        const horizon = Math.min(mine.at(-1) ?? at, other.at(-1) ?? at);
        const ordinary = (tick: number): boolean => tick <= horizon && !isNearChange(tick, zone);
        expect(mine.filter(ordinary)).toEqual(other.filter(ordinary));
      }),
      { numRuns: 400 },
    );
  });
});

const HOUR = 3_600_000;

/** Whether the clocks of a zone change within a day of this instant. */
function isNearChange(at: number, zone: string): boolean {
  return offsetOf(at - 26 * HOUR, zone) !== offsetOf(at + 26 * HOUR, zone);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** What clocks show in a zone, as if it were UTC. */
function wallOf(at: number, zone: string): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  formats.set(zone, format);
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const [year = 0, month = 0, ...rest] = (["year", "month", "day", "hour", "minute", "second"] as const).map((type) =>
    parts.get(type),
  );
  return Date.UTC(year, month - 1, ...rest.map(Number));
}

function offsetOf(at: number, zone: string): number {
  return wallOf(at, zone) - at;
}

/*
 * Both nights, minute by minute, by a second reading of the rules:
 *   what recurs (a `*` or a step in seconds, minutes or hours) runs at every minute whose clock matches
 *   set times run at the first of two such minutes, and at the end of the gap that has swallowed them
 */
function expectedTicks(text: string, zone: string, fromMs: number, toMs: number): number[] {
  const { minute, hour, day, weekday } = parseExpression(text);
  const recurs = minute.isWild || hour.isWild;
  const matches = (wall: Date): boolean =>
    minute.values.includes(wall.getUTCMinutes()) &&
    hour.values.includes(wall.getUTCHours()) &&
    day.values.includes(wall.getUTCDate()) &&
    weekday.values.includes(wall.getUTCDay());
  const found = new Set<number>();
  const seen = new Set<number>();
  for (let at = fromMs; at < toMs; at += 60_000) {
    const [before, wall] = [wallOf(at - 60_000, zone), wallOf(at, zone)];
    for (let lost = before + 60_000; !recurs && lost < wall; lost += 60_000) if (matches(new Date(lost))) found.add(at);
    if (matches(new Date(wall)) && (recurs || !seen.has(wall))) found.add(at);
    seen.add(wall);
  }
  return [...found];
}

describe("the two nights on which clocks change", () => {
  const nights: readonly (readonly [zone: string, spring: string, autumn: string])[] = [
    ["Europe/Berlin", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"],
    ["America/New_York", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"],
    ["Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z"],
    ["America/Santiago", "2026-09-06T04:00:00Z", "2026-04-05T03:00:00Z"],
    ["Europe/London", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"],
  ];
  const texts = [
    "30 2 * * *",
    "0 2 * * *",
    "15 1 * * *",
    "0 3 * * *",
    "30 1 * * *",
    "0 0 * * *",
    "45 0 * * *",
    "10,50 1-2 * * *",
    "*/15 * * * *",
    "5 * * * *",
    "30 */2 * * *",
    "*/30 2 * * *",
    "0-10 2 * * *",
    "20,40 1,2,3 * * *",
    "* 2 * * *",
    "59 23 * * *",
    "0 12 * * 0",
    "30 2 * * 0",
    "0-59 2 * * *",
  ];

  it.each(nights)("run by the rules in %s", (zone, spring, autumn) => {
    for (const [name, change] of Object.entries({ spring, autumn })) {
      const [from, to] = [Date.parse(change) - 12 * HOUR, Date.parse(change) + 12 * HOUR];
      // The night is the one that the table says.
      expect(offsetOf(Date.parse(change), zone)).not.toBe(offsetOf(Date.parse(change) - 60_000, zone));
      for (const text of texts) {
        const table = timetable(text, zone);
        const found: number[] = [];
        for (let at = table.next(from - 1); at !== undefined && at < to; at = table.next(at)) found.push(at);
        const show = (times: number[]): string[] => times.map((at) => new Date(at).toISOString());
        expect({ name, text, ticks: show(found) }).toEqual({
          name,
          text,
          ticks: show(expectedTicks(text, zone, from, to)),
        });
      }
    }
  });

  it("are the same instants whether one goes forward or back", () => {
    for (const [zone, ...changes] of nights) {
      for (const [text, change] of texts.flatMap((text) => changes.map((change) => [text, change] as const))) {
        const table = timetable(text, zone);
        const [from, to] = [Date.parse(change) - 12 * HOUR, Date.parse(change) + 12 * HOUR];
        const forward: number[] = [];
        for (let at = table.next(from - 1); at !== undefined && at < to; at = table.next(at)) forward.push(at);
        const back: number[] = [];
        for (let at = table.previous(to); at !== undefined && at >= from; at = table.previous(at)) back.unshift(at);
        expect([zone, text, back]).toEqual([zone, text, forward]);
      }
    }
  });
});

/** The next time of the other library; `undefined` where it gives up, because that is too many steps away. */
function nextOf(theirs: CronExpression): number | undefined {
  try {
    return theirs.next().getTime();
  } catch (error) {
    if (error instanceof Error && error.message.includes("loop limit exceeded")) return undefined;
    throw error;
  }
}
