import { describe, expect, it } from "vitest";
import { formatFill, parseFill } from "./fill.ts";

describe("fill", () => {
  it("adds up weeks, days, hours, minutes and seconds (behaviours 144)", () => {
    expect(parseFill("0s")).toBe(0);
    expect(parseFill("1s")).toBe(1_000);
    expect(parseFill("1w30d28h350m2s")).toBe(3_318_602_000);
    expect(["2s", "2m", "2h", "2d", "2w"].map(parseFill)).toEqual([2e3, 120e3, 7_200e3, 172_800e3, 1_209_600e3]);
    expect(["2w", "432h", "32d", "1w30d"].map((text) => parseFill(text)!)).toEqual(
      ["2w", "432h", "32d", "1w30d"].map((text) => parseFill(text)!).sort((a, b) => a - b),
    );
  });

  it("is nothing else", () => {
    for (const text of ["", "5", "5y", "-1d", "1.5h", "1 d", "d", "99999999w"]) expect(parseFill(text)).toBeUndefined();
  });

  it("can be written down", () => {
    expect([0, 1_000, 86_400_000, 2_685_660_000].map(formatFill)).toEqual(["0s", "1s", "1d", "4w3d2h1m"]);
  });
});
