import { describe, expect, it } from "vitest";
import { QueueFloors } from "./queue-floors.ts";

const LIFE_MS = 1_000;
const last = (id: string) => ({ priority: 0, position: { at: "5", id } });
const looked = { sent: undefined, startedAt: 99, tookMs: 1 };
const ENDS_AT = 99 + LIFE_MS;
/** When another look from the front is paid for. */
const PAYABLE_AT = 99 + 21;

/** Floors that remember a chain of queue 7, which ended with job "3". */
function setUp(): QueueFloors {
  const floors = new QueueFloors(LIFE_MS);
  floors.took(7, last("3"), looked);
  return floors;
}

describe("the floor of a queue", () => {
  it("does not count while the chain is held, whose jobs may go back to before it", () => {
    const floors = setUp();
    expect(floors.get(7, 100)).toBeUndefined();
    expect(floors.known([7], 100).size).toBe(0);
  });

  it("counts from the end of the chain on, for a limited time", () => {
    const floors = setUp();
    floors.freed(7);
    expect(floors.known([7], 100).get(7)).toMatchObject({ priority: 0, position: { at: "5", id: "3" } });
    expect(floors.get(7, ENDS_AT - 1)).toBeDefined();
    expect(floors.get(7, ENDS_AT)).toBeUndefined();
  });

  it("is as old as the begin of its claim, however late the answer was read", () => {
    const floors = new QueueFloors(LIFE_MS);
    floors.took(7, last("3"), { sent: undefined, startedAt: 99, tookMs: 1 });
    floors.freed(7);
    expect(floors.get(7, 8_000)).toBeUndefined();
  });

  it("counts for a minute and a bit at most, whatever a look waited for", () => {
    const floors = new QueueFloors(LIFE_MS);
    floors.took(7, last("3"), { sent: undefined, startedAt: 99, tookMs: 100_000 });
    floors.freed(7);
    expect(floors.get(7, 99 + 62_999)).toBeDefined();
    expect(floors.get(7, 99 + 63_000)).toBeUndefined();
  });

  it("does not count when a job of the chain went back", () => {
    const floors = setUp();
    floors.forget(7, 100);
    floors.freed(7);
    expect(floors.get(7, 100)).toBeUndefined();
  });

  it("does not count when the next chain was taken before the end of this one was told", () => {
    const floors = setUp();
    floors.took(7, last("6"), looked);
    floors.freed(7);
    expect(floors.get(7, 100)).toBeUndefined();
    floors.freed(7);
    expect(floors.get(7, 100)?.position.id).toBe("6");
  });

  it("counts for a queue whose last chain ends before it is looked at", () => {
    const floors = setUp();
    expect(floors.known([7], 100, [7]).has(7)).toBe(true);
    floors.took(7, last("6"), looked);
    expect(floors.known([7], 100, [7]).has(7)).toBe(false);
  });

  it("counts, once jobs are announced, until another look from the front has a twentieth of the time", () => {
    const floors = setUp();
    floors.freed(7);
    floors.announced(7, 110);
    expect(floors.get(7, PAYABLE_AT - 1)).toBeDefined();
    expect(floors.get(7, PAYABLE_AT)).toBeUndefined();
  });

  it("counts no longer than that when announcements may have been missed, those of a claim under way included", () => {
    const floors = setUp();
    floors.distrust(110);
    floors.took(8, last("4"), { sent: undefined, startedAt: 109, tookMs: 1 });
    floors.took(9, last("5"), { sent: undefined, startedAt: 111, tookMs: 1 });
    for (const queueId of [7, 8, 9]) floors.freed(queueId);
    expect([7, 8, 9].filter((queueId) => floors.get(queueId, PAYABLE_AT - 1))).toEqual([7, 8, 9]);
    expect([7, 8, 9].filter((queueId) => floors.get(queueId, PAYABLE_AT + 12))).toEqual([9]);
  });

  it("ends the same way when the announcement came during the claim, however many claims follow", () => {
    const floors = setUp();
    floors.freed(7);
    for (let now = 101; now < 120; now += 1) {
      const sent = floors.known([7], now).get(7);
      expect(sent).toBeDefined();
      floors.announced(7, now);
      floors.took(7, last(String(now)), { sent, startedAt: now, tookMs: 0.5 });
      floors.freed(7);
    }
    expect(floors.known([7], 120).size).toBe(0);
  });

  it("keeps what is left of its life from claim to claim", () => {
    const floors = setUp();
    floors.freed(7);
    const sent = floors.known([7], 1_000).get(7);
    floors.took(7, last("9"), { sent, startedAt: 1_000, tookMs: 50 });
    floors.freed(7);
    expect(floors.get(7, ENDS_AT - 1)?.position.id).toBe("9");
    expect(floors.get(7, ENDS_AT)).toBeUndefined();
  });

  it("lets its queue be left alone while the chain is held, as long as it would count", () => {
    const floors = setUp();
    expect(floors.held([], 100)).toEqual([7]);
    expect(floors.held([7], 100)).toEqual([]);
    expect(floors.held([], ENDS_AT)).toEqual([]);
  });

  it.each<[string, (floors: QueueFloors) => void]>([
    ["the chain has ended", (floors) => floors.freed(7)],
    ["a job went back", (floors) => floors.forget(7, 100)],
    ["nothing that was seen counts", (floors) => floors.clear(100)],
  ])("lets its queue be looked at when %s", (_, happens) => {
    const floors = setUp();
    happens(floors);
    expect(floors.held([], 100)).toEqual([]);
  });

  it("goes along for the queues that were taken from last although nobody names them, and for no older ones", () => {
    const floors = new QueueFloors(LIFE_MS);
    for (const queueId of [1, 2, ...Array.from({ length: 15 }, (_, index) => index + 3), 1]) {
      floors.took(queueId, last(String(queueId)), looked);
      floors.freed(queueId);
    }
    const expected = [...Array.from({ length: 15 }, (_, index) => index + 3), 1];
    expect([...floors.known([], 100).keys()]).toEqual(expected);
    expect(floors.known([2], 100).has(2)).toBe(true);
  });
});
