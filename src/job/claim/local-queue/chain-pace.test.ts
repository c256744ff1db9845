import { describe, expect, it } from "vitest";
import { ChainPace } from "./chain-pace.ts";

/** The length after N handlers that took this long. */
function lengthAfter(count: number, durationMs: number, pace = new ChainPace()): number {
  for (let done = 0; done < count; done++) pace.note(durationMs);
  return pace.length;
}

describe("the length of chains", () => {
  it.each([
    ["at most 100, however fast the jobs are", 0, 100],
    ["less than half a second of jobs", 100, 4],
    ["one when a job takes longer than that", 5_000, 1],
    ["one also when jobs take hours", 10 * 3_600_000, 1],
  ])("is %s", (_, durationMs, expected) => {
    expect(lengthAfter(200, durationMs)).toBe(expected);
  });

  it("comes down with the first slow job", () => {
    expect(lengthAfter(1, 20_000)).toBe(1);
  });

  it("recovers when the jobs are fast again", () => {
    const pace = new ChainPace();
    lengthAfter(50, 2_000, pace);
    expect(pace.length).toBe(1);
    expect(lengthAfter(200, 1, pace)).toBe(100);
  });
});
