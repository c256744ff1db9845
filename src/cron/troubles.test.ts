import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Troubles } from "./troubles.ts";

const create = (): Troubles => new Troubles(() => 1);

describe("troubles", () => {
  it("rest for longer after each refusal, up to a minute, and are over with the first job", () => {
    const troubles = create();
    const rests: number[] = [];
    let nowMs = 0;
    for (let failure = 0; failure < 9; failure += 1) {
      troubles.refused("a", "no", nowMs);
      const startMs = nowMs;
      while (troubles.rests("a", nowMs)) nowMs += 500;
      rests.push(nowMs - startMs);
    }
    expect(rests).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(troubles.has("a")).toBe(true);
    troubles.added("a");
    expect([troubles.has("a"), troubles.rests("a", 0)]).toEqual([false, false]);
  });

  it("are news once, and again for another reason or after a job was added", () => {
    const troubles = create();
    expect([troubles.refused("a", "no", 0), troubles.refused("a", "no", 0)]).toEqual([true, false]);
    expect(troubles.refused("a", "never", 0)).toBe(true);
    expect([troubles.dropped("a", "gone"), troubles.dropped("a", "gone")]).toEqual([true, false]);
    troubles.added("a");
    expect(troubles.dropped("a", "gone")).toBe(true);
  });

  it("do not rest after a tick that was dropped, which counts as done", () => {
    const troubles = create();
    troubles.refused("a", "no", 0);
    troubles.dropped("a", "gone");
    expect([troubles.rests("a", 0), troubles.has("a")]).toEqual([false, true]);
  });

  it("of one entry say nothing about another", () => {
    const steps = fc.array(
      fc.record({ key: fc.constantFrom("a", "b"), what: fc.constantFrom("refused", "dropped", "added") }),
    );
    fc.assert(
      fc.property(steps, (all) => {
        const both = create();
        const alone = create();
        for (const { key, what } of all) {
          for (const troubles of key === "a" ? [both, alone] : [both]) {
            if (what === "refused") troubles.refused(key, "no", 0);
            else if (what === "dropped") troubles.dropped(key, "gone");
            else troubles.added(key);
          }
        }
        const atEnd = (troubles: Troubles) => [troubles.has("a"), troubles.rests("a", 0), troubles.rests("a", 59_999)];
        expect(atEnd(both)).toEqual(atEnd(alone));
      }),
    );
  });
});
