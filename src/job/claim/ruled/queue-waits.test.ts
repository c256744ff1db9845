import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { QueueWaits } from "./queue-waits.ts";

/** Without jitter, unless a number is given. */
const setUp = (random = 0): QueueWaits => new QueueWaits(() => random);

describe("a queue that waits", () => {
  it("is named when its time has come, once", () => {
    const waits = setUp();
    waits.add(7, 500, 0);
    expect([waits.restMs(0), waits.take(499), waits.restMs(499)]).toEqual([500, [], 1]);
    expect([waits.take(500), waits.take(1_000), waits.restMs(1_000)]).toEqual([[7], [], Number.POSITIVE_INFINITY]);
  });

  it("is named at the time that was told last", () => {
    const waits = setUp();
    waits.add(7, 500, 0);
    waits.add(7, 800, 10);
    expect([waits.take(500), waits.take(800)]).toEqual([[], [7]]);
    waits.add(7, 2_000, 900);
    waits.add(7, 1_000, 901);
    expect([waits.take(1_000), waits.take(2_000)]).toEqual([[7], []]);
  });

  it("is spread by a tenth of its rest, between one millisecond and fifty", () => {
    for (const [restMs, jitterMs] of [
      [5, 1],
      [200, 20],
      [3_600_000, 50],
    ] as const) {
      const waits = setUp(0.999);
      waits.add(7, restMs, 0);
      expect(waits.restMs(0) - restMs).toBeCloseTo(jitterMs * 0.999, 5);
    }
  });

  it("is named by announcements ten times a second, and then a last time when its time has come", () => {
    const waits = setUp();
    waits.add(7, 1_000, 0);
    const namedAt: number[] = [];
    for (let now = 10; now <= 1_100; now += 10) {
      if (waits.take(now).includes(7)) namedAt.push(now);
      if (now < 1_000 && !waits.postpones(7, now)) namedAt.push(now);
    }
    expect(namedAt).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
  });

  it("is named at once by an announcement when it was not looked at for a while, or waits no longer", () => {
    const waits = setUp();
    waits.add(7, 1_000, 0);
    expect([waits.postpones(7, 150), waits.postpones(7, 151)]).toEqual([false, true]);
    expect([waits.postpones(8, 150), waits.postpones(7, 1_000)]).toEqual([false, false]);
  });

  it("is one of 10,000 at most", () => {
    const waits = setUp();
    for (let queueId = 1; queueId <= 10_001; queueId++) waits.add(queueId, 500, 0);
    waits.add(1, 400, 0);
    expect(waits.take(400)).toEqual([1]);
    expect(waits.take(500)).toHaveLength(9_999);
  });

  it("is never forgotten, nor named before its time, whatever is told and announced", () => {
    const event = fc.record({ queueId: fc.integer({ min: 1, max: 5 }), inMs: fc.integer({ min: 0, max: 300 }) });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), event), { maxLength: 200 }), (events) => {
        const waits = setUp();
        const until = new Map<number, number>();
        let now = 0;
        for (const [isAdd, { queueId, inMs }] of events) {
          now += 7;
          for (const named of waits.take(now)) if ((until.get(named) ?? 0) <= now) until.delete(named);
          if (isAdd) {
            waits.add(queueId, now + inMs, now);
            until.set(queueId, now + inMs);
          } else {
            waits.postpones(queueId, now);
          }
          for (const at of until.values()) expect(at + 7).toBeGreaterThanOrEqual(now);
        }
        const left = new Set(waits.take(now + 1_000));
        for (const queueId of until.keys()) expect(left).toContain(queueId);
      }),
    );
  });
});
