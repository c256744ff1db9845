import { expect, it } from "vitest";
import { formatBytes, formatCount, formatSeconds } from "./amounts.ts";

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1.0 kB"],
  [9_960, "10 kB"],
  [999_600, "1.0 MB"],
  [812_000_000, "812 MB"],
  [5e15, "5000 TB"],
])("writes %d bytes as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it("counts one file and many files", () => {
  expect([formatCount(1, "file"), formatCount(45_213, "file"), formatCount(45_213)]).toEqual([
    "1 file",
    "45,213 files",
    "45,213",
  ]);
});

it.each([
  [0.04, "0.0 s"],
  [9.96, "10 s"],
  [59.4, "59 s"],
  [125, "2 min 5 s"],
])("writes %d seconds as %s", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});
