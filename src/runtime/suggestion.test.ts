import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { didYouMean, editDistance, suggestName } from "./suggestion.ts";

describe("editDistance", () => {
  it.each([
    ["", "abc", 3],
    ["kitten", "sitting", 3],
    ["ttl", "tlt", 1],
    ["conccurency", "concurrency", 2],
    ["same", "same", 0],
  ])("of %j and %j is %i", (a, b, expected) => {
    expect(editDistance(a, b)).toBe(expected);
  });

  it("is symmetric, zero only for equal texts, and never more than the longer one", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });

  it("is one for any single slip", () => {
    const slip = fc.constantFrom("insert", "remove", "replace", "swap");
    fc.assert(
      fc.property(fc.string({ minLength: 2, maxLength: 12 }), fc.nat(), slip, (word, where, kind) => {
        const at = where % (word.length - 1);
        const [before, first, second, after] = [word.slice(0, at), word[at], word[at + 1], word.slice(at + 2)];
        const typed = {
          insert: `${before}\u{1}${first}${second}${after}`,
          remove: `${before}${second}${after}`,
          replace: `${before}\u{1}${second}${after}`,
          swap: `${before}${second}${first}${after}`,
        }[kind];
        expect(editDistance(typed, word)).toBe(typed === word ? 0 : 1);
      }),
    );
  });
});

describe("suggestName", () => {
  const names = ["concurrency", "pollInterval", "localQueue", "ttl"];

  it.each([
    ["conccurency", "concurrency"],
    ["poll_interval", "pollInterval"],
    ["POLLINTERVAL", "pollInterval"],
    ["local-queue", "localQueue"],
    ["tll", "ttl"],
  ])("takes %s for %s", (typed, meant) => {
    expect(suggestName(typed, names)).toBe(meant);
  });

  it.each(["", "x", "database", "__proto__"])("has nothing to suggest for %j", (typed) => {
    expect(suggestName(typed, names)).toBeUndefined();
  });

  it("answers at once for absurdly long names", () => {
    expect(suggestName("x".repeat(10_000_000), names)).toBeUndefined();
  });
});

describe("didYouMean", () => {
  it("lists what is known when nothing is near", () => {
    expect(didYouMean("zzz", ["size", "limit"], "queue.")).toBe(". Known: `queue.size`, `queue.limit`.");
    expect(didYouMean("zzz", [])).toBe(".");
  });
});
