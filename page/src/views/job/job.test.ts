import { expect, it } from "vitest";
import { at, jobRow, NOW } from "../../../dev/fixtures.ts";
import { stackLines } from "./stack.ts";
import { positions, timelineOf } from "./timeline.ts";

function words(...job: Parameters<typeof jobRow>): string[] {
  return timelineOf(jobRow(...job), NOW).map(({ what }) => what);
}

it("tells the life of a job in the order of time", () => {
  expect(words(42, { createdAt: at(-100), runAt: at(-100), attempts: 0 })).toEqual(["added", "due", "now"]);
  expect(words(42, { createdAt: at(-100), runAt: at(60), attempts: 3, error: "boom", updatedAt: at(-5) })).toEqual([
    "added",
    "attempt 3 failed",
    "now",
    "retry due",
  ]);
  expect(words(42, { state: "running", createdAt: at(-100), runAt: at(-90), lockedAt: at(-12), attempts: 1 })).toEqual([
    "added",
    "due",
    "attempt 1 claimed",
    "now",
  ]);
  expect(words(42, { state: "failed", createdAt: at(-100), attempts: 25, error: "boom", updatedAt: at(-5) })).toEqual([
    "added",
    "failed for good",
    "now",
  ]);
  expect(words(42, { runAt: null, createdAt: at(-100), attempts: 0 })).toEqual(["added", "now"]);
});

it("stands to scale", () => {
  const moments = timelineOf(jobRow(42, { createdAt: at(-100), runAt: at(-75), attempts: 0 }), NOW);
  expect(positions(moments)).toEqual([0, 0.25, 1]);
  expect(positions(moments.slice(0, 1))).toEqual([0]);
});

it("tells frames of the application from those of what it uses", () => {
  const error = [
    "TypeError: x",
    "  more",
    "    at own (/srv/app/src/a.ts:1:2)",
    "    at foreign (/srv/app/node_modules/pg/index.js:1:2)",
    "    at node (node:internal/x:1:2)",
  ].join("\n");
  expect(stackLines(error).map(({ kind }) => kind)).toEqual(["message", "message", "own", "foreign", "foreign"]);
});
