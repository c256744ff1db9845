import { expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import type { Outcome } from "../outcome.ts";
import { toKeptJob } from "./kept-job.ts";

const kept = (outcome: Outcome) =>
  toKeptJob({
    job: claimedJob(),
    outcome,
    durationMs: 1,
    endsChain: false,
    keep: { days: 1, payload: false, result: true },
  });

it.each<[unknown, string | null]>([
  [undefined, null],
  [null, "null"],
  [{ a: [1, "\0"] }, String.raw`{"a":[1,"\u0000"]}`],
  ["\ud800", String.raw`"\ud800"`],
  [() => 1, null],
  [Symbol("s"), null],
])("a result of %o becomes %s", (result, json) => {
  expect(kept({ kind: "completed", result })).toEqual({ id: "1", result: json, error: null, startedAt: null });
});

it("a result that cannot be JSON is left out, and that is said", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  for (const result of [1n, circle, { toJSON: () => Promise.reject.call(null) }]) {
    const { result: json, error } = kept({ kind: "completed", result });
    expect(json).toBeNull();
    expect(error).toMatch(/^The result cannot be stored as JSON: ./);
  }
});
