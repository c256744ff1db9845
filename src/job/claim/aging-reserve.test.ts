import fc from "fast-check";
import { expect, it } from "vitest";
import { AgingReserve } from "./aging-reserve.ts";

const placesOf = (quantities: readonly number[]): number[] => {
  const reserve = new AgingReserve(1_000);
  return quantities.map((quantity) => reserve.next(quantity)?.places ?? 0);
};

it("a claim for eight jobs or more reserves a place at least, and smaller ones in turns", () => {
  expect(placesOf([8, 8, 24, 200])).toEqual([1, 1, 3, 25]);
  expect(placesOf([10, 10, 10, 10])).toEqual([1, 1, 1, 2]);
  expect(placesOf(Array.from({ length: 17 }, () => 1))).toEqual([...Array(7).fill(0), 1, ...Array(7).fill(0), 1, 0]);
  expect(placesOf([3, 3, 3, 3, 3])).toEqual([0, 0, 1, 0, 0]);
});

it("one place in eight is reserved, whatever claims ask for, and never more than a claim asks for", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 50 }), (quantities) => {
      const places = placesOf(quantities);
      let asked = 0;
      let reserved = 0;
      for (const [index, quantity] of quantities.entries()) {
        asked += quantity;
        reserved += places[index] ?? 0;
        expect(places[index]).toBeLessThanOrEqual(quantity);
        expect(reserved).toBe(Math.floor(asked / 8));
      }
    }),
  );
});
