import { expect, it } from "vitest";
import { at, NOW, workerView } from "../../../dev/fixtures.ts";
import { slotsInWords } from "./slots-strip.tsx";
import { lifeOf, slotsOf } from "./worker-life.ts";

const { report } = workerView("w");
if (!report) throw new Error("It has no report.");

it.each([
  ["alive", {}],
  ["silent", { lastHeartbeatAt: at(-31) }],
  ["dead", { isStale: true }],
  ["dead", { session: "lost", lastHeartbeatAt: at(-9) }],
  ["alive", { session: "lost" }],
  ["stopping", { report: { ...report, isStopping: true } }],
  ["retired", { report: { ...report, isRetired: true } }],
  ["alive", { report: null, session: "none" }],
] as const)("takes a worker for %s", (life, changes) => {
  expect(lifeOf(workerView("w", changes), NOW)).toBe(life);
});

it("has a cell for each slot, those that work the longest first", () => {
  expect(slotsOf(workerView("w"), NOW)).toEqual(["long", "minute", "ten", "short", "short", "idle"]);
  const shortened = workerView("w", { report: { ...report, busy: 6, running: report.running.slice(0, 1) } });
  expect(slotsOf(shortened, NOW)).toEqual(["long", "short", "short", "short", "short", "short"]);
  expect(slotsOf(workerView("w", { report: null }), NOW)).toEqual([]);
});

it("says the same in words", () => {
  expect(slotsInWords(["long", "short", "short", "idle"])).toBe(
    "4 slots: 1 at work for over 10 min, 2 at work for under 1 s, 1 idle",
  );
});
