import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHowdahError } from "../errors.ts";
import { MAX_DURATION_MS, parseDuration } from "./duration.ts";

describe("parseDuration", () => {
  it.each([
    [0, 0],
    [1500.5, 1500.5],
    ["250ms", 250],
    ["5s", 5_000],
    ["1.5h", 5_400_000],
    ["2m", 120_000],
    ["2d", 172_800_000],
    ["1w", 604_800_000],
    ["0.5ms", 0.5],
    [MAX_DURATION_MS, MAX_DURATION_MS],
  ])("reads %j as %d ms", (value, expected) => {
    expect(parseDuration(value, "ttl")).toBe(expected);
  });

  it.each([
    [-1],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [MAX_DURATION_MS + 1],
    ["-5s"],
    ["5"],
    [""],
    ["5 s"],
    ["5S"],
    ["5M"],
    ["5 minutes"],
    ["1y"],
    ["1e3s"],
    ["5s\n"],
    ["99999w"],
    [null],
    [undefined],
    [5n],
    [{}],
    [["5s"]],
    [new Date(5)],
  ])("refuses %o", (value) => {
    expect(() => parseDuration(value, "ttl")).toThrow(expect.objectContaining({ code: "HOWDAH_OPTION_INVALID" }));
  });

  it("says what it is for, what was found and what is allowed", () => {
    expect(() => parseDuration("5 minutes", "the delay of snooze()")).toThrow(
      'The delay of snooze() must be a duration of at most 100 years: milliseconds as a number, or a number with one of the units ms, s, m, h, d, w, like "250ms" or "1.5h"; found "5 minutes".',
    );
  });

  it("gives a finite number of milliseconds or a coded error, whatever it is given", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true }), (value) => {
        const ms = attempt(() => parseDuration(value, "ttl"));
        expect(isHowdahError(ms, "HOWDAH_OPTION_INVALID") || (Number(ms) >= 0 && Number(ms) <= MAX_DURATION_MS)).toBe(
          true,
        );
      }),
    );
  });
});

function attempt(parse: () => number): number | Error {
  try {
    return parse();
  } catch (error) {
    return error as Error;
  }
}
