import { describe, expect, it } from "vitest";
import { bucketText, durationText, durationTitle, readDuration } from "./durations.ts";
import { boundText, boundTitle, bytesText, countText, countTitle, percent, plural, shortNumber } from "./numbers.ts";
import { absoluteTime, relativeTime, timeText, timeTitle } from "./times.ts";

const NOW = Date.UTC(2026, 10, 30, 12, 0, 7);

describe("numbers", () => {
  it.each([
    [0, "0"],
    [0.25, "0.3"],
    [812, "812"],
    [6_668, "6,668"],
    [9_999, "9,999"],
    [10_000, "10k"],
    [12_345, "12.3k"],
    [400_123, "400k"],
    [999_700, "1M"],
    [3_512_345, "3.5M"],
    [-12_345, "-12.3k"],
    [7_000_000_000, "7G"],
  ])("writes %d in a tile as %s", (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });

  it("marks an estimate, and has all its digits in the title", () => {
    expect(countText({ value: 3_512_345, exact: false })).toBe("~3.5M");
    expect(countTitle({ value: 3_512_345, exact: false })).toBe("3,512,345, estimated");
    expect(countTitle({ value: 12, exact: true })).toBe("12");
  });

  it("counts one and many", () => {
    expect([plural(1, "job"), plural(6_668, "job"), plural(2, "query", "queries")]).toEqual([
      "1 job",
      "6,668 jobs",
      "2 queries",
    ]);
  });

  it("writes shares and bytes", () => {
    expect([percent(1, 0), percent(0, 5), percent(1, 5_000), percent(2, 1_000), percent(17, 100)]).toEqual([
      "-",
      "0%",
      "<0.1%",
      "0.2%",
      "17%",
    ]);
    expect([bytesText(412), bytesText(1_234), bytesText(81_200)]).toEqual(["412 B", "1.2 kB", "81 kB"]);
  });
});

describe("durations", () => {
  it.each([
    [0, "0 ms"],
    [180, "180 ms"],
    [400, "0.4 s"],
    [4_199, "4.1 s"],
    [12_900, "12 s"],
    [192_000, "3 m 12 s"],
    [180_000, "3 m"],
    [7_620_512, "2 h 7 m"],
    [4 * 86_400_000 + 3 * 3_600_000, "4 d 3 h"],
    [-5_000, "-5.0 s"],
  ])("writes %d ms as %s", (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  it("has the exact one in the title", () => {
    expect(durationTitle(7_620_512)).toBe("7,620,512 ms");
  });

  it("reads what people write", () => {
    expect(["5m", "2h30m", "90 s", "1.5h", "250ms"].map(readDuration)).toEqual([
      300_000, 9_000_000, 90_000, 5_400_000, 250,
    ]);
    expect(["", "5", "m", "5x", "-5m"].map(readDuration)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("times", () => {
  it("says how far away a time is", () => {
    expect(relativeTime(NOW - 250_000, NOW)).toBe("4 m 10 s ago");
    expect(relativeTime(NOW + 480_000, NOW)).toBe("in 8 m");
    expect(relativeTime(NOW + 400, NOW)).toBe("now");
  });

  it("leaves out the day of today", () => {
    expect(absoluteTime(NOW - 5_000, NOW, true)).toBe("12:00:02Z");
    expect(absoluteTime(NOW - 86_400_000, NOW, true)).toBe("2026-11-29 12:00:07Z");
  });

  it("follows the choice of the reader", () => {
    expect(timeText(NOW - 5_000, { now: NOW, zone: "utc" })).toBe("12:00:02Z");
    expect(timeText(NOW - 5_000, { now: NOW, zone: "relative" })).toBe("5.0 s ago");
    expect(timeText(NOW - 5_000, { now: NOW, zone: "local" })).toMatch(/\d\d:00:02$/);
  });

  it("has both zones in the title", () => {
    expect(timeTitle(NOW)).toMatch(/^2026-11-30T12:00:07\.000Z \(here .* [+-]\d\d:\d\d\)$/);
  });
});

it("says of a count that ended at its limit that there are more", () => {
  const most = { value: 1_000, exact: false };
  expect([boundText(most), boundTitle(most)]).toEqual(["1,000+", "at least 1,000: it was not counted further"]);
  expect([boundText({ value: 7, exact: true }), boundTitle({ value: 12_345, exact: true })]).toEqual(["7", "12,345"]);
});

it("rounds the end of a bucket up, so that what is below it is below what is shown", () => {
  expect([1, 256, 1_024, 4_096, 16_384, 131_072].map(bucketText)).toEqual([
    "1 ms",
    "256 ms",
    "1.1 s",
    "4.1 s",
    "17 s",
    "2 m 12 s",
  ]);
});
