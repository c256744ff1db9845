import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { workerContext } from "../../test/harness/worker-context.ts";
import type { Outcome } from "./outcome.ts";
import { countWait, RUN_BUCKETS, TaskTally, WAIT_BUCKETS } from "./task-tally.ts";

/** Reports jobs of the task `t`, as the releaser does once their outcomes are written. */
function setUp(tasks = ["t"]) {
  const { reporter } = workerContext();
  const tally = new TaskTally(tasks);
  reporter.countInto(tally.counts);
  const release = (outcome: Outcome, durationMs: number): void =>
    reporter.released({ job: claimedJob(), outcome, durationMs, endsChain: true, lost: false }, "0");
  return { reporter, tally, release };
}

const failed = { kind: "failed", final: false, error: "no", message: "no", delayMs: 1 } as const;
const OUTCOMES: readonly Outcome[] = [
  { kind: "completed" },
  { kind: "undecided", otherwise: failed, within: () => "1" },
  failed,
  { kind: "failed", final: true, error: "no", message: "no" },
  { kind: "cancelled", reason: "no" },
  { kind: "snoozed", delayMs: 1 },
  { kind: "interrupted", reason: "shutdown", delayMs: 1 },
  { kind: "returned" },
];

it("counts each attempt once, by how it ended, and nothing that says nothing about its task", () => {
  const { tally, release } = setUp();
  for (const outcome of OUTCOMES) release(outcome, 3);
  expect(tally.take()).toMatchObject([{ task: "t", completed: 1, failed: 4, runMs: 15 }]);
  expect(tally.take()).toEqual([]);
  release({ kind: "completed" }, 3);
  expect(tally.take()).toMatchObject([{ task: "t", completed: 1, failed: 0, runMs: 3 }]);
});

it("counts the tasks beyond the first fifty together, and none when that is not wanted", () => {
  const { reporter, tally, release } = setUp([...Array.from({ length: 50 }, (_, n) => `t${n}`), "t"]);
  release({ kind: "completed" }, 1);
  release({ kind: "completed" }, 1);
  expect(tally.take()).toMatchObject([{ task: "_other", completed: 2 }]);
  reporter.countInto(undefined);
  release({ kind: "completed" }, 1);
  expect(tally.take()).toEqual([]);
});

it("puts a run into the first bucket whose end it is below, and the longest into the last", () => {
  const { tally, release } = setUp();
  const bucketOf = (ms: number): number => {
    release({ kind: "completed" }, ms);
    return tally.take()[0]?.buckets.indexOf(1) ?? -1;
  };
  expect([0, 0.9, 1, 1.9, 2, 3.9, 4, 1_000, 16_383, 16_384, 1e12].map(bucketOf)).toEqual([
    0, 0, 1, 1, 2, 2, 3, 10, 14, 15, 15,
  ]);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 16_383, noNaN: true }), (ms) => {
      const bucket = bucketOf(ms);
      expect(bucket).toBeLessThan(RUN_BUCKETS - 1);
      expect(ms).toBeLessThan(2 ** bucket);
      if (bucket > 0) expect(ms).toBeGreaterThanOrEqual(2 ** (bucket - 1));
    }),
  );
});

describe("waits", () => {
  it("are in the first bucket whose end they are below, and the longest in the last", () => {
    const bucketOf = (ms: number): number => {
      const count = new TaskTally(["t"]).counts.get("t");
      if (!count) throw new Error("There is no count of the task.");
      countWait(count, ms);
      expect(count.waits).toHaveLength(WAIT_BUCKETS);
      return count.waits.indexOf(1);
    };
    expect([0, 0.9, 1, 3.9, 4, 1_000, 2 ** 28 - 1, 2 ** 28, 1e12].map(bucketOf)).toEqual([
      0, 0, 1, 2, 3, 10, 28, 29, 29,
    ]);
  });

  it("are as many as the attempts that started, although of many only some are looked at", () => {
    const { reporter, tally } = setUp();
    let looks = 0;
    const waitedMs = (at: number): number => {
      looks += 1;
      return at;
    };
    const job = Object.assign(claimedJob(), { waitedMs });
    const ending = { job, outcome: { kind: "completed" }, durationMs: 1, endsChain: true, lost: false } as const;
    reporter.released(ending, "0");
    expect([looks, tally.take()[0]?.waits.every((one) => one === 0)]).toEqual([0, true]);
    for (let times = 0; times < 1_024; times += 1) reporter.released({ ...ending, startedAt: 5 }, "0");
    const [counted] = tally.take();
    expect([counted?.completed, counted?.waits[3], looks]).toEqual([1_024, 1_024, 16 + (1_024 - 16) / 8]);
    expect(tally.counts.get("t")?.waits.every((one) => one === 0)).toBe(true);
  });
});
