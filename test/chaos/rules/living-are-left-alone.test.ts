import { describe, expect, it } from "vitest";
import { broken, judged, ledger, start } from "../draft-ledgers.ts";
import type { Ledger, UntimedLine } from "../ledger.ts";

const RULE = "the living are left alone";

/** Three workers, each at its place, that live for 20 seconds. */
function workers(...ofFirst: readonly (readonly [number, UntimedLine])[]): Ledger[] {
  return [0, 1, 2].map((place): Ledger => {
    const rest = [...(place === 0 ? ofFirst : []), [20_000, { e: "stat", rss: 1, heap: 1, lag: 0 }] as const];
    const { file, lines } = ledger(`worker-${place}`, rest);
    const first = lines.map((line) => (line.e === "boot" ? { ...line, place } : line));
    return { file, lines: first.map((line) => (line.e === "ready" ? { ...line, w: `w${place}` } : line)) };
  });
}

const declared = (worker = "w0", atMs = 10_000) => ({ declared: [{ worker, atMs }] });
const outage = (places: readonly number[], from = 8_000, until = 10_500): Ledger =>
  ledger("faults", [
    [from, { e: "away", places }],
    [until, { e: "back", places }],
  ]);

describe("the living are left alone", () => {
  it("is broken when a worker was declared dead that wrote something afterwards", () => {
    expect(broken(workers(), declared())).toEqual([RULE]);
  });

  it("is broken for each id that the worker had", () => {
    const ids = workers([9_000, { e: "fenced", was: "w0", w: "second" }], [9_500, start(1, "a", { w: "third" })]);
    for (const id of ["second", "third"]) expect(broken(ids, declared(id))).toContain(RULE);
  });

  it("is kept when that worker has written nothing since, or is not known", () => {
    expect(broken(workers(), declared("w0", 20_001))).toEqual([]);
    expect(broken(workers(), declared("w9", 1))).toEqual([]);
  });

  it("is kept, and counts, when it had stood still shortly before", () => {
    const frozen = (from: number, until: number): Ledger =>
      ledger("faults", [
        [from, { e: "frozen", of: "worker-0" }],
        [until, { e: "thawed", of: "worker-0" }],
      ]);
    const { violations, counts } = judged([...workers(), frozen(7_000, 11_000)], declared());
    expect(violations).toEqual([]);
    expect(counts["takenForDead"]).toBe(1);
    expect(broken([...workers(), frozen(1_000, 4_000)], declared())).toEqual([RULE]);
  });

  it("is kept when it alone was cut off, broken when most were or others", () => {
    expect(broken([...workers(), outage([0])], declared())).toEqual([]);
    expect(broken([...workers(), outage([0, 1])], declared())).toEqual([RULE]);
    expect(broken([...workers(), outage([1])], declared())).toEqual([RULE]);
    expect(broken([...workers(), outage([0], 1_000, 3_000)], declared())).toEqual([RULE]);
  });

  it("takes no worker for one of many that had just started, or died meanwhile", () => {
    expect(broken([...workers(), outage([0, 1], 1_500)], declared())).toEqual([]);
    const [first, second, third] = workers() as [Ledger, Ledger, Ledger];
    const short = { ...second, lines: second.lines.slice(0, -1) };
    expect(broken([first, short, third, outage([0, 1])], declared())).toEqual([]);
  });
});
