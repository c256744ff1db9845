import { expect, it } from "vitest";
import type { QueueLimits } from "../queue-limits.ts";
import { describeHolder } from "./holder.ts";

const limits = (running: number, concurrency: number | "unlimited") =>
  ({ running, concurrency }) as Partial<QueueLimits> as QueueLimits;

it.each([
  ["a free queue", null, null, ""],
  ["one that a worker holds", "w", null, "w"],
  ["one with rules of which nothing runs", null, limits(0, 5), ""],
  ["one with rules", null, limits(3, 5), "3 of 5 lanes"],
  ["one without a limit", null, limits(12, "unlimited"), "12 running"],
  ["one that gets its rules when its holder is done", "w", limits(1, 1), "w"],
])("%s is told by who holds it", (_what, lockedBy, its, said) => {
  expect(describeHolder({ lockedBy, limits: its })).toBe(said);
});
