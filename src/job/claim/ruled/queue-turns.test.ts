import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { QueueTurns } from "./queue-turns.ts";

describe("turns", () => {
  it("put the queue first that was served the longest time ago", () => {
    const turns = new QueueTurns();
    expect(turns.order).toEqual([]);
    for (const queueId of [7, 8, 9, 7]) turns.took(queueId, 1);
    expect(turns.order).toEqual([8, 9, 7]);
  });

  it("leave a queue where it is until it has had its share", () => {
    const turns = new QueueTurns();
    for (const queueId of [7, 8, 9]) turns.took(queueId, 1);
    turns.took(7, 3);
    turns.took(7, 3);
    expect(turns.order).toEqual([7, 8, 9]);
    turns.took(7, 3);
    expect(turns.order).toEqual([8, 9, 7]);
  });

  it("let one that is unknown stay unknown until its share is used up, whatever comes between", () => {
    const turns = new QueueTurns();
    turns.took(7, 2);
    turns.took(8, 1);
    expect(turns.order).toEqual([8]);
    turns.took(7, 2);
    expect(turns.order).toEqual([8, 7]);
  });

  it("end with a share that has become smaller", () => {
    const turns = new QueueTurns();
    turns.took(7, 10);
    turns.took(7, 1);
    expect(turns.order).toEqual([7]);
  });

  it("forget the queue that was served first beyond 1,000 of them", () => {
    const turns = new QueueTurns();
    for (let queueId = 1; queueId <= 1_001; queueId++) turns.took(queueId, 1);
    for (let queueId = 1; queueId <= 1_001; queueId++) turns.took(2_000 + queueId, 2);
    expect([turns.order.length, turns.order[0], turns.order.at(-1)]).toEqual([1_000, 2, 1_001]);
    // The first of these is not in its turn any more, and begins another one.
    turns.took(2_001, 2);
    expect(turns.order.at(-1)).toBe(1_001);
    turns.took(3_001, 2);
    expect(turns.order.at(-1)).toBe(3_001);
  });

  it("give each queue its share of the jobs when the one that is due is always taken", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }), (shares) => {
        const turns = new QueueTurns();
        const counts = shares.map(() => 0);
        const rounds = 20;
        for (let taken = 0; taken < rounds * shares.reduce((sum, share) => sum + share, 0); taken++) {
          const places = new Map(turns.order.map((queueId, place) => [queueId, place]));
          const next = shares
            .map((_, index) => index)
            .toSorted((a, b) => (places.get(a) ?? -1) - (places.get(b) ?? -1));
          const queueId = next[0] ?? 0;
          counts[queueId] = (counts[queueId] ?? 0) + 1;
          turns.took(queueId, shares[queueId] ?? 1);
        }
        expect(counts).toEqual(shares.map((share) => share * rounds));
      }),
    );
  });
});
