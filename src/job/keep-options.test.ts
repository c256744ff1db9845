import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import { readKeep } from "./keep-options.ts";

const place = { owner: 'task "t"', path: "keep" };
const read = (given: unknown) => readKeep(given, place);

describe("keep", () => {
  it.each<[unknown, number]>([
    ["1h", 1],
    [3_600_000, 1],
    ["1d", 1],
    ["25h", 7],
    ["7d", 7],
    ["8d", 30],
    ["30d", 30],
    ["31d", 365],
    ["365d", 365],
  ])("rounds %s up to %s days, and keeps results without payloads", (given, days) => {
    expect(read(given)).toEqual({ days, payload: false, result: true });
  });

  it("keeps what an object says", () => {
    expect(read({ for: "7d", payload: true, result: false })).toEqual({ days: 7, payload: true, result: false });
    expect(read({ for: "1w" })).toEqual({ days: 7, payload: false, result: true });
  });

  it.each([
    0,
    7,
    "1m",
    "7 days",
    "",
    "366d",
    "1y",
    true,
    null,
    {},
    { for: "0s" },
    { for: "7d", payload: 1 },
    { for: "7d", results: true },
  ])("refuses %j", (given) => {
    expect(() => read(given)).toThrow(HowdahError);
  });

  it("says what it can be", () => {
    for (const [given, option] of [
      ["2y", "keep"],
      [7, "keep"],
      [false, "keep"],
      [{ for: "7 days" }, "keep.for"],
    ] as const)
      expect(() => read(given)).toThrow(
        new RegExp(`\`${option}\` must be a time of an hour to 365 days, with its unit, such as "7d" or "52w"`),
      );
    expect(() => read({ payload: true })).toThrow("`keep.for` is required");
  });
});
