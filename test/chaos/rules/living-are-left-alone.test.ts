import { describe, expect, it } from "vitest";
import { broken, judged, ledger } from "../draft-ledgers.ts";
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

const recovered = ledger("sweeper", [[10_000, { e: "recovered", was: "w0" }]]);
const outage = (places: readonly number[], from = 8_000, until = 10_500): Ledger =>
  ledger("faults", [
    [from, { e: "away", places }],
    [until, { e: "back", places }],
  ]);

describe("the living are left alone", () => {
  it("is broken when a worker was taken for dead that wrote something afterwards", () => {
    expect(broken([...workers(), recovered])).toEqual([RULE]);
    expect(broken(workers([10_000, { e: "fenced", was: "w0", w: "another" }]))).toEqual([RULE]);
  });

  it("is broken once by what several tell of", () => {
    const ledgers = [...workers([10_100, { e: "fenced", was: "w0", w: "another" }]), recovered];
    expect(judged(ledgers).violations).toHaveLength(1);
  });

  it("is kept when that worker has written nothing since, or is not known", () => {
    const late = ledger("sweeper", [[20_001, { e: "recovered", was: "w0" }]]);
    expect(broken([...workers(), late])).toEqual([]);
    expect(broken([...workers(), ledger("sweeper", [[1, { e: "recovered", was: "w9" }]])])).toEqual([]);
  });

  it("is kept, and counts, when it had stood still shortly before", () => {
    const frozen = (from: number, until: number): Ledger =>
      ledger("faults", [
        [from, { e: "frozen", of: "worker-0" }],
        [until, { e: "thawed", of: "worker-0" }],
      ]);
    const { violations, counts } = judged([...workers(), recovered, frozen(7_000, 11_000)]);
    expect(violations).toEqual([]);
    expect(counts["takenForDead"]).toBe(1);
    expect(broken([...workers(), recovered, frozen(1_000, 4_000)])).toEqual([RULE]);
  });

  it("is kept when it alone was cut off, broken when most were or others", () => {
    expect(broken([...workers(), recovered, outage([0])])).toEqual([]);
    expect(broken([...workers(), recovered, outage([0, 1])])).toEqual([RULE]);
    expect(broken([...workers(), recovered, outage([1])])).toEqual([RULE]);
    expect(broken([...workers(), recovered, outage([0], 1_000, 3_000)])).toEqual([RULE]);
  });

  it("takes no worker for one of many that had just started, or died meanwhile", () => {
    expect(broken([...workers(), recovered, outage([0, 1], 1_500)])).toEqual([]);
    const [first, second, third] = workers() as [Ledger, Ledger, Ledger];
    const short = { ...second, lines: second.lines.slice(0, -1) };
    expect(broken([first, short, third, recovered, outage([0, 1])])).toEqual([]);
  });
});
