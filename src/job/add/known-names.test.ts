import { describe, expect, it } from "vitest";
import { KnownNames } from "./joined-adds.ts";

const names = (identifier: string, queueName: string | null = null) => ({ identifier, queueName });

describe("KnownNames", () => {
  it("knows a job when its task and its queue are known, each from whatever job", () => {
    const known = new KnownNames();
    expect(known.has(names("t"))).toBe(false);
    known.add(names("t"));
    expect([known.has(names("t")), known.has(names("t", "q")), known.has(names("q"))]).toEqual([true, false, false]);
    known.add(names("u", "q"));
    expect(known.has(names("t", "q"))).toBe(true);
    known.remove(names("u", "q"));
    expect([known.has(names("t")), known.has(names("t", "q")), known.has(names("u"))]).toEqual([true, false, false]);
  });

  it("forgets the name that it has known longest when there are too many", () => {
    const known = new KnownNames();
    for (let n = 0; n < 10_000; n++) known.add(names("t", `q${n}`));
    expect(known.has(names("t", "q0"))).toBe(true);
    known.add(names("t", "q1"));
    known.add(names("t", "one more"));
    const found = ["q0", "q1", "q9999", "one more"].map((queueName) => known.has(names("t", queueName)));
    expect(found).toEqual([false, true, true, true]);
  });
});
