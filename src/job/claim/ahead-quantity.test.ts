import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aheadQuantity, HOLD_MS, REST_MS, type ClaimsSoFar } from "./ahead-quantity.ts";

/** A worker of 24 slots that runs a thousand quick jobs a second. */
const BUSY: ClaimsSoFar = { slots: 24, isFull: true, tookMs: 2, quickJobs: 1_000, sinceReturnMs: Infinity };

describe("how much is read ahead", () => {
  it.each<[string, Partial<ClaimsSoFar>, number]>([
    ["one batch of slots when there are jobs enough", {}, 24],
    ["what starts in the time for which it may wait, when that is less", { quickJobs: 200 }, 10],
    ["nothing with one slot", { slots: 1 }, 0],
    ["nothing after a claim that came back short", { isFull: false }, 0],
    ["nothing when answers take half of that time", { tookMs: HOLD_MS / 2 }, 0],
    ["nothing soon after jobs had to go back", { sinceReturnMs: REST_MS - 1 }, 0],
    ["as before when that is a second ago", { sinceReturnMs: REST_MS }, 24],
    ["nothing when jobs are rare", { quickJobs: 19 }, 0],
    ["nothing when no job was quick", { quickJobs: 0 }, 0],
  ])("is %s", (_, changes, expected) => {
    expect(aheadQuantity({ ...BUSY, ...changes })).toBe(expected);
  });

  it("is never more than a batch of slots or a quarter of what the last second ran, and whole", () => {
    const claims = fc.record({
      slots: fc.integer({ min: 1, max: 500 }),
      isFull: fc.boolean(),
      tookMs: fc.double({ min: 0, max: 100, noNaN: true }),
      quickJobs: fc.nat(50_000),
      sinceReturnMs: fc.oneof(fc.double({ min: 0, max: 3_000, noNaN: true }), fc.constant(Infinity)),
    });
    fc.assert(
      fc.property(claims, (soFar) => {
        const quantity = aheadQuantity(soFar);
        expect(Number.isInteger(quantity)).toBe(true);
        expect(quantity).toBeGreaterThanOrEqual(0);
        expect(quantity).toBeLessThanOrEqual(soFar.slots);
        expect(quantity).toBeLessThanOrEqual(soFar.quickJobs / 4);
        // No job waits longer for its turn than it may, at the pace of the last second.
        expect(quantity).toBeLessThanOrEqual((soFar.quickJobs / 1_000) * HOLD_MS);
        if (!soFar.isFull || soFar.sinceReturnMs < REST_MS) expect(quantity).toBe(0);
      }),
    );
  });
});
