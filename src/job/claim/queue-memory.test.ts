import { describe, expect, it } from "vitest";
import { QueueMemory, type QueueFloor } from "./queue-memory.ts";

const LIFE_MS = 1_000;
const last = (id: string) => ({ priority: 0, position: { at: "5", id } });
const looked = { sentAt: 99, tookMs: 1, sentWith: new Map<number, QueueFloor>() };
const ENDS_AT = 99 + LIFE_MS;
/** When another look from the front is paid for. */
const PAYABLE_AT = 99 + 21;

/** Floors that remember a chain of queue 7, which ended with job "3". */
function setUp(): QueueMemory {
  const queues = new QueueMemory(LIFE_MS);
  queues.took(7, last("3"), looked);
  return queues;
}

describe("the floor of a queue", () => {
  it("does not count while the chain is held, whose jobs may go back to before it", () => {
    const queues = setUp();
    expect(queues.floor(7, 100)).toBeUndefined();
    expect(queues.floors([7], 100).size).toBe(0);
  });

  it("counts from the end of the chain on, for a limited time", () => {
    const queues = setUp();
    queues.freed(7);
    expect(queues.floors([7], 100).get(7)).toMatchObject({ priority: 0, position: { at: "5", id: "3" } });
    expect(queues.floor(7, ENDS_AT - 1)).toBeDefined();
    expect(queues.floor(7, ENDS_AT)).toBeUndefined();
  });

  it("is as old as the begin of its claim, however late the answer was read", () => {
    const queues = new QueueMemory(LIFE_MS);
    queues.took(7, last("3"), { ...looked, sentAt: 99, tookMs: 1 });
    queues.freed(7);
    expect(queues.floor(7, 8_000)).toBeUndefined();
  });

  it("counts for a minute and a bit at most, whatever a look waited for", () => {
    const queues = new QueueMemory(LIFE_MS);
    queues.took(7, last("3"), { ...looked, sentAt: 99, tookMs: 100_000 });
    queues.freed(7);
    expect(queues.floor(7, 99 + 62_999)).toBeDefined();
    expect(queues.floor(7, 99 + 63_000)).toBeUndefined();
  });

  it("does not count when a job of the chain went back", () => {
    const queues = setUp();
    queues.wentBack(7, 100);
    queues.freed(7);
    expect(queues.floor(7, 100)).toBeUndefined();
  });

  it("does not count when the next chain was taken before the end of this one was told", () => {
    const queues = setUp();
    queues.took(7, last("6"), looked);
    queues.freed(7);
    expect(queues.floor(7, 100)).toBeUndefined();
    queues.freed(7);
    expect(queues.floor(7, 100)?.position.id).toBe("6");
  });

  it("counts for a queue whose last chain ends before it is looked at", () => {
    const queues = setUp();
    expect(queues.floors([7], 100, [7]).has(7)).toBe(true);
    queues.took(7, last("6"), looked);
    expect(queues.floors([7], 100, [7]).has(7)).toBe(false);
  });

  it("counts, once jobs are announced, until another look from the front has a twentieth of the time", () => {
    const queues = setUp();
    queues.freed(7);
    queues.announced(7, 110);
    expect(queues.floor(7, PAYABLE_AT - 1)).toBeDefined();
    expect(queues.floor(7, PAYABLE_AT)).toBeUndefined();
  });

  it("counts no longer than that when announcements may have been missed, those of a claim under way included", () => {
    const queues = setUp();
    queues.distrust(110);
    queues.took(8, last("4"), { ...looked, sentAt: 109, tookMs: 1 });
    queues.took(9, last("5"), { ...looked, sentAt: 111, tookMs: 1 });
    for (const queueId of [7, 8, 9]) queues.freed(queueId);
    expect([7, 8, 9].filter((queueId) => queues.floor(queueId, PAYABLE_AT - 1))).toEqual([7, 8, 9]);
    expect([7, 8, 9].filter((queueId) => queues.floor(queueId, PAYABLE_AT + 12))).toEqual([9]);
  });

  it("ends the same way when the announcement came during the claim, however many claims follow", () => {
    const queues = setUp();
    queues.freed(7);
    for (let now = 101; now < 120; now += 1) {
      const sentWith = queues.floors([7], now);
      expect(sentWith.has(7)).toBe(true);
      queues.announced(7, now);
      queues.took(7, last(String(now)), { sentAt: now, tookMs: 0.5, sentWith });
      queues.freed(7);
    }
    expect(queues.floors([7], 120).size).toBe(0);
  });

  it("keeps what is left of its life from claim to claim", () => {
    const queues = setUp();
    queues.freed(7);
    const sentWith = queues.floors([7], 1_000);
    queues.took(7, last("9"), { sentAt: 1_000, tookMs: 50, sentWith });
    queues.freed(7);
    expect(queues.floor(7, ENDS_AT - 1)?.position.id).toBe("9");
    expect(queues.floor(7, ENDS_AT)).toBeUndefined();
  });

  it("lets its queue be left alone while the chain is held, as long as it would count", () => {
    const queues = setUp();
    expect(queues.held([], 100)).toEqual([7]);
    expect(queues.held([7], 100)).toEqual([]);
    expect(queues.held([], ENDS_AT)).toEqual([]);
  });

  it.each<[string, (queues: QueueMemory) => void]>([
    ["the chain has ended", (queues) => queues.freed(7)],
    ["a job went back", (queues) => queues.wentBack(7, 100)],
    ["nothing that was seen counts", (queues) => queues.forget(100)],
  ])("lets its queue be looked at when %s", (_, happens) => {
    const queues = setUp();
    happens(queues);
    expect(queues.held([], 100)).toEqual([]);
  });

  it("goes along for the queues that were taken from last although they are not named, and for no older ones", () => {
    const queues = new QueueMemory(LIFE_MS);
    for (const queueId of [1, 2, ...Array.from({ length: 15 }, (_, index) => index + 3), 1]) {
      queues.took(queueId, last(String(queueId)), looked);
      queues.freed(queueId);
    }
    const expected = [...Array.from({ length: 15 }, (_, index) => index + 3), 1];
    expect([...queues.floors([], 100).keys()]).toEqual(expected);
    expect(queues.floors([2], 100).has(2)).toBe(true);
  });
});
