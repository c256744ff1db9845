import { expect, it } from "vitest";
import { Problem } from "./problem.ts";
import { dataOf, nextState, retryDelayMs, UNASKED, type ViewState } from "./view-state.ts";

const DOWN = new Problem("unreachable", "The server cannot be reached.");
const GONE = new Problem("gone", "There is no such job.");
const READY: ViewState<number[]> = { kind: "ready", data: [1], at: 100, isAsking: false };

it("draws nothing, then a skeleton, then a word while the first answer is awaited", () => {
  const patience = [0, 399, 400, 1_999, 2_000].map((ms) => nextState(UNASKED, { type: "waited", ms }));
  expect(patience.map((state) => state.kind === "loading" && state.patience)).toEqual([
    "none",
    "none",
    "skeleton",
    "skeleton",
    "word",
  ]);
});

it("keeps what it shows while it asks again, however long that takes", () => {
  const asking = nextState(READY, { type: "asked" });
  expect(asking).toEqual({ ...READY, isAsking: true });
  expect(nextState(asking, { type: "waited", ms: 9_000 })).toBe(asking);
});

it("never shows a failure as an empty list", () => {
  expect(nextState<number[]>(UNASKED, { type: "failed", problem: DOWN, retryAt: 5 })).toEqual({
    kind: "failed",
    problem: DOWN,
    retryAt: 5,
  });
});

it("keeps the last data with their age when the server cannot be reached", () => {
  const stale = nextState(READY, { type: "failed", problem: DOWN, retryAt: 5 });
  expect(stale).toEqual({ kind: "stale", data: [1], at: 100, problem: DOWN, retryAt: 5 });
  expect(nextState(stale, { type: "asked" })).toBe(stale);
  expect(nextState(stale, { type: "failed", problem: DOWN, retryAt: 9 })).toMatchObject({ at: 100, retryAt: 9 });
  expect(nextState(stale, { type: "answered", data: [], at: 200 })).toEqual({
    kind: "ready",
    data: [],
    at: 200,
    isAsking: false,
  });
});

it("drops what it showed when it is gone", () => {
  expect(dataOf(nextState(READY, { type: "failed", problem: GONE, retryAt: 0 }))).toBeUndefined();
});

it("tries again later each time, and at most after half a minute", () => {
  expect([1, 2, 3, 5, 6, 60].map(retryDelayMs)).toEqual([1_000, 2_000, 4_000, 16_000, 30_000, 30_000]);
});
