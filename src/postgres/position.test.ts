import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareIntegers, comparePositions, earlier, later, START, type Position } from "./position.ts";

const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const position = fc.record<Position>({ at: integer, id: integer });
const microsecond = "1767225600000001";

describe("compareIntegers", () => {
  it("orders all integers of PostgreSQL as numbers, also those a double cannot tell apart", () => {
    fc.assert(
      fc.property(integer, integer, (a, b) => {
        expect(Math.sign(compareIntegers(a, b))).toBe(Number(BigInt(a) > BigInt(b)) - Number(BigInt(a) < BigInt(b)));
      }),
    );
    expect(compareIntegers("9007199254740992", "9007199254740993")).toBe(-1);
    expect(compareIntegers("-10", "-9")).toBe(-1);
  });
});

describe("comparePositions", () => {
  it("compares by the time and then by the id", () => {
    expect(comparePositions({ at: microsecond, id: "9" }, { at: microsecond, id: "10" })).toBeLessThan(0);
    expect(comparePositions({ at: "1767225600000002", id: "1" }, { at: microsecond, id: "10" })).toBeGreaterThan(0);
    expect(comparePositions({ at: microsecond, id: "10" }, { at: microsecond, id: "10" })).toBe(0);
  });

  it("puts START before every job", () => {
    fc.assert(
      fc.property(integer, fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (at, id) => {
        expect(comparePositions(START, { at, id: String(id) })).toBe(-1);
      }),
    );
  });
});

it("finds the earlier and the later of two positions", () => {
  fc.assert(
    fc.property(position, position, (a, b) => {
      expect([earlier(a, b), later(a, b)]).toEqual(comparePositions(a, b) <= 0 ? [a, b] : [b, a]);
    }),
  );
});
