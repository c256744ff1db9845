import { describe, expect, it } from "vitest";
import { SkippedJobs } from "./skipped-jobs.ts";

describe("jobs that cannot be locked", () => {
  it("are left alone for a while, then tried, and for longer when they are found again", () => {
    const skipped = new SkippedJobs();
    expect(skipped.found("1", 0)).toBe(true);
    expect(skipped.at(2_000)).toEqual(["1"]);
    expect(skipped.at(5_000)).toEqual([]);
    // The same again is no news.
    expect(skipped.found("1", 5_000)).toBe(false);
    expect(skipped.at(9_999)).toEqual(["1"]);
    expect(skipped.at(15_000)).toEqual([]);
    expect(skipped.isEmpty).toBe(false);
  });

  it("are forgotten once they are claimed", () => {
    const skipped = new SkippedJobs();
    skipped.found("1", 0);
    skipped.claimed(["2"]);
    expect(skipped.isEmpty).toBe(false);
    skipped.claimed(["1", "2"]);
    expect(skipped.isEmpty).toBe(true);
    expect(skipped.found("1", 0)).toBe(true);
  });

  it("are a hundred at most", () => {
    const skipped = new SkippedJobs();
    const news = Array.from({ length: 200 }, (_, id) => skipped.found(String(id), 0));
    expect(news.filter(Boolean)).toHaveLength(100);
    expect(skipped.at(0)).toHaveLength(100);
  });

  it("are forgotten when no claim meets them again: others have run them, or they are gone", () => {
    const skipped = new SkippedJobs();
    skipped.found("1", 0);
    skipped.found("2", 5_000);
    skipped.found("2", 10_000);
    expect(skipped.at(62_000)).toEqual([]);
    expect(skipped.isEmpty).toBe(false);
    skipped.at(65_000);
    expect(skipped.found("1", 65_000)).toBe(true);
    expect(skipped.found("2", 65_000)).toBe(false);
    skipped.at(1_000_000);
    expect(skipped.isEmpty).toBe(true);
  });

  it("make room, the one that has been tried for the longest first, but not for what is still left alone", () => {
    const skipped = new SkippedJobs();
    skipped.found("oldest", 0);
    skipped.found("first", 3_000);
    for (let id = 0; id < 98; id++) skipped.found(String(id), 6_000);
    expect(skipped.found("one more", 8_000)).toBe(true);
    expect(skipped.at(8_000)).toContain("one more");
    // Known still, and left alone again: none is left that could go.
    expect(skipped.found("first", 8_000)).toBe(false);
    expect(skipped.at(8_000)).toContain("first");
    expect(skipped.found("oldest", 8_000)).toBe(false);
    expect(skipped.at(8_000)).not.toContain("oldest");
  });
});
