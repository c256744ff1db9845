import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RefusedRow } from "../../postgres/queries/recover.ts";
import { Refusals } from "./refusals.ts";

const row = (id: string, state = "P0001", workerId = "a", kind: RefusedRow["kind"] = "job"): RefusedRow => ({
  kind,
  id,
  workerId,
  state,
  message: "no",
});

describe("refusals", () => {
  it("are news once, and again for another reason", () => {
    const refusals = new Refusals();
    expect(refusals.tried("a", "job", [row("1"), row("2")])).toEqual([row("1"), row("2")]);
    expect(refusals.tried("a", "job", [row("1"), row("2", "23514"), row("3")])).toEqual([row("2", "23514"), row("3")]);
    expect(refusals.jobs).toBe(3);
  });

  it("are forgotten when their holder was tried without them, and are news when they come back", () => {
    const refusals = new Refusals();
    refusals.tried("a", "job", [row("1")]);
    refusals.tried("a", "job", []);
    expect(refusals.jobs).toBe(0);
    expect(refusals.tried("a", "job", [row("1")])).toEqual([row("1")]);
  });

  it("of one holder and kind say nothing about others", () => {
    const refusals = new Refusals();
    refusals.tried("a", "job", [row("1")]);
    refusals.tried("a", "queue", [row("1", "P0001", "a", "queue")]);
    refusals.tried("b", "job", [row("2", "P0001", "b")]);
    refusals.tried("a", "queue", []);
    refusals.tried("b", "job", []);
    expect(refusals.jobs).toBe(1);
    expect(refusals.tried("a", "job", [row("1")])).toEqual([]);
  });

  it("are forgotten with their holder", () => {
    const refusals = new Refusals();
    refusals.tried("a", "job", [row("1")]);
    refusals.tried("b", "job", [row("2", "P0001", "b")]);
    refusals.keepOnly((workerId) => workerId === "b");
    expect(refusals.jobs).toBe(1);
  });

  it("count and tell what the last try of each holder has refused", () => {
    const tries = fc.array(
      fc.record({
        workerId: fc.constantFrom("a", "b"),
        ids: fc.uniqueArray(fc.constantFrom("1", "2", "3")),
        state: fc.constantFrom("P0001", "23514"),
      }),
    );
    fc.assert(
      fc.property(tries, (all) => {
        const refusals = new Refusals();
        const last = new Map<string, ReadonlySet<string>>();
        for (const { workerId, ids, state } of all) {
          // No two workers hold the same job.
          const rows = ids.map((id) => row(`${workerId}${id}`, state, workerId));
          const news = refusals.tried(workerId, "job", rows);
          const before = last.get(workerId) ?? new Set();
          expect(news).toEqual(rows.filter(({ id }) => !before.has(`${id} ${state}`)));
          last.set(workerId, new Set(rows.map(({ id }) => `${id} ${state}`)));
        }
        expect(refusals.jobs).toBe([...last.values()].reduce((sum, { size }) => sum + size, 0));
      }),
    );
  });
});
