import { describe, expect, it } from "vitest";
import { added, broken, judged, ledger, ok, start, told } from "../draft-ledgers.ts";
import type { Ledger } from "../ledger.ts";

const RULE = "kept once";

/** A job that is kept by its task, and one that is not; both were done. */
const done = (...names: string[]): Ledger[] => [
  added(...names),
  ledger(
    "worker",
    names.flatMap((name, index) => [
      [10 * index + 10, start(index + 1, name)],
      [10 * index + 11, ok(index + 1)],
      [10 * index + 12, told(name, "completed")],
    ]),
  ),
];
const kept = (...names: (string | null)[]) => ({ kept: names.map((name) => ({ id: `id-${name}`, name })) });

describe("kept once", () => {
  it("holds when what is to be kept is in history, and nothing else is", () => {
    const { violations, counts } = judged(done("1k", "2a", "3"), kept("1k", "2a"));
    expect(violations).toEqual([]);
    expect(counts["kept"]).toBe(2);
  });

  it("is broken when a job is in neither table", () => {
    expect(broken(done("1k"), kept())).toEqual([RULE]);
    expect(broken(done("2a"), kept())).toEqual([RULE]);
  });

  it("is broken when one is in history twice, or in both tables", () => {
    expect(broken(done("1k"), kept("1k", "1k"))).toEqual([RULE]);
    const row = { id: "id-1k", name: "1k", attempts: 1, maxAttempts: 2, lockedBy: null, lastError: null };
    expect(broken(done("1k"), { ...kept("1k"), jobs: [row] })).toContain(RULE);
  });

  it("is broken by one that is not to be kept, was not added, or has lost its result", () => {
    expect(broken(done("3"), kept("3"))).toEqual([RULE]);
    expect(broken(done(), kept("9k"))).toEqual([RULE]);
    expect(broken(done("1k"), kept(null))).toEqual([RULE]);
  });

  it("holds for one that can only fail: its row stays", () => {
    const row = { id: "id-1k", name: "1k", attempts: 2, maxAttempts: 2, lockedBy: null, lastError: "as told" };
    const failed = ledger("worker", [
      [10, start(1, "1k")],
      [11, { e: "end", n: 1, how: "failed" }],
      [12, told("1k", "dead")],
    ]);
    expect(broken([added(["1k", null, 0, 0, 1]), failed], { jobs: [row] }, true)).toEqual([]);
  });
});
