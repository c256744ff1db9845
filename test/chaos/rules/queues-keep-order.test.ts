import { describe, expect, it } from "vitest";
import { added, broken, ledger, ok, start, type StartOptions } from "../draft-ledgers.ts";
import type { Ledger } from "../ledger.ts";

describe("queues keep their order", () => {
  /** Starts b, then a. */
  function inOrder(a: StartOptions, b: StartOptions): Ledger {
    return ledger("one", [
      [10, start(1, "b", { q: "q", l: 100_000, ...b })],
      [11, ok(1)],
      [12, start(2, "a", { q: "q", l: 100_000, ...a })],
      [13, ok(2)],
    ]);
  }
  const listed = (a: number, b: number): Ledger => added(["a", "q", a, 0, 0], ["b", "q", b, 0, 0]);

  it("is broken by a job that overtakes one of a better priority, or an older one", () => {
    expect(broken([listed(-1, 0), inOrder({ p: -1 }, {})])).toEqual(["queues keep their order"]);
    expect(broken([listed(0, 0), inOrder({ r: 0 }, { r: 1 })])).toEqual(["queues keep their order"]);
  });

  it("holds when the other one may not have been there yet, or was moved meanwhile", () => {
    expect(broken([listed(0, -1), inOrder({}, { p: -1 })])).toEqual([]);
    expect(broken([listed(-1, 0), inOrder({ p: -1 }, { l: 2_000 })])).toEqual([]);
    expect(broken([listed(-1, 0), inOrder({ p: -1, r: 50_000 }, {})])).toEqual([]);
  });
});
