import { describe, expect, it } from "vitest";
import { broken, judged, ledger, ok, start } from "../draft-ledgers.ts";
import type { Ledger, UntimedLine } from "../ledger.ts";
import { LANES, POOLED } from "../limited-queues.ts";

const RULE = "limits hold";
const CLAIMED = { l: 20 };

/** The number of lanes is set, from 10 ms on unless told otherwise. */
const limit = (width: number | null, at = 10, of: typeof LANES | typeof POOLED = LANES): Ledger =>
  ledger(`faults-${of}-${at}`, [[at, { e: "limit", of, width }]]);

/** Runs of these queues that begin at 21 ms and more, each 1 ms after the other, and end at 40 ms. */
function runs(...queues: readonly string[]): Ledger {
  const lines = queues.flatMap((q, place): (readonly [number, UntimedLine])[] => [
    [21 + place, start(place, `${q}-${place}`, { q, ...CLAIMED })],
  ]);
  return ledger("one", [...lines, ...queues.map((_, place) => [40, ok(place)] as const)]);
}

const limitsBroken = (...ledgers: readonly Ledger[]): boolean => broken(ledgers).includes(RULE);

describe("limits hold", () => {
  it("is broken by more jobs at once than there are lanes", () => {
    expect(limitsBroken(limit(2), runs("lanes-0", "lanes-0", "lanes-1"))).toBe(false);
    expect(limitsBroken(limit(2), runs("lanes-0", "lanes-0", "lanes-0"))).toBe(true);
    expect(judged([limit(2), runs("lanes-0", "lanes-0")]).counts).toMatchObject({ startsLimited: 2, startsAtLimit: 1 });
  });

  it("is broken by more jobs of all queues of a pool than that has lanes", () => {
    expect(limitsBroken(limit(2, 10, POOLED), runs("pooled-0", "pooled-1"))).toBe(false);
    expect(limitsBroken(limit(2, 10, POOLED), runs("pooled-0", "pooled-1", "pooled-2"))).toBe(true);
  });

  it("counts what was claimed since the number was set, and before it is changed", () => {
    const three = runs("lanes-0", "lanes-0", "lanes-0");
    expect(limitsBroken(limit(1, 30), three)).toBe(false);
    expect(limitsBroken(limit(1), limit(null, 15), limit(3, 16), three)).toBe(false);
    expect(limitsBroken(limit(3), limit(null, 15), three)).toBe(false);
  });

  it("is broken by more starts in a time than a bucket lets", () => {
    const claims = (...times: number[]): Ledger =>
      ledger(
        "one",
        times.flatMap((l, place) => [
          [l + 1, start(place, `r${place}`, { q: "rated-0", l })] as const,
          [l + 1, ok(place)] as const,
        ]),
      );
    // Two at once, and one in 100 ms.
    expect(limitsBroken(claims(10, 10, 110, 210))).toBe(false);
    expect(limitsBroken(claims(10, 10, 80))).toBe(true);
  });

  it("leaves out a handler whose worker stood still, and of which nothing came", () => {
    const stopped = ledger("two", [
      [21, start(1, "s", { q: "lanes-0", w: "w2", ...CLAIMED })],
      [60, ok(1)],
    ]);
    const frozen = ledger("faults", [
      [22, { e: "frozen", of: "two" }],
      [50, { e: "thawed", of: "two" }],
    ]);
    const later = ledger("one", [
      [45, start(1, "l", { q: "lanes-0", l: 44 })],
      [70, ok(1)],
    ]);
    expect(limitsBroken(limit(1), stopped, later)).toBe(true);
    expect(limitsBroken(limit(1), stopped, later, frozen)).toBe(false);
  });
});
