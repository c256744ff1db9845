import { describe, expect, it } from "vitest";
import { HowdahError } from "../errors.ts";
import { readKeep } from "./keep-options.ts";

const place = { owner: 'task "t"', path: "keep" };
const read = (given: unknown) => readKeep(given, place);

describe("keep", () => {
  it.each<[unknown, number]>([
    [1, 1],
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

  it.each([0, "366d", "1y", true, null, {}, { for: "0s" }, { for: "7d", payload: 1 }, { for: "7d", results: true }])(
    "refuses %j",
    (given) => {
      expect(() => read(given)).toThrow(HowdahError);
    },
  );
});
