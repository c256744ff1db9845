import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs } from "./backoff.ts";

describe("backoffMs", () => {
  it("doubles up to its cap", () => {
    const rests = [1, 2, 3, 4, 5].map((failures) => backoffMs({ firstMs: 100, maxMs: 1000 }, failures, () => 1));
    expect(rests).toEqual([100, 200, 400, 800, 1000]);
  });

  it("lies between half and all of the full rest, after any number of failures", () => {
    const random = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.nat(), random, fc.integer({ min: 1, max: 10 }), (failures, drawn, factor) => {
        const limits = { firstMs: 50, maxMs: 5000, factor };
        const full = backoffMs(limits, failures, () => 1);
        const rest = backoffMs(limits, failures, () => drawn);
        expect(full).toBeLessThanOrEqual(5000);
        expect(rest).toBeGreaterThanOrEqual(full / 2);
        expect(rest).toBeLessThanOrEqual(full);
      }),
    );
  });
});
