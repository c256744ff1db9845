import { describe, expect, it } from "vitest";
import { QueueFloors } from "./queue-floors.ts";

const LIFE_MS = 1_000;
const last = (id: string) => ({ priority: 0, position: { at: "5", id } });
const looked = { floor: undefined, endedAt: 100, durationMs: 1 };

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
    expect(floors.known([7], 100)).toEqual([]);
  });

  it("counts from the end of the chain on, for a limited time", () => {
    const floors = setUp();
    floors.freed(7);
    expect(floors.known([7], 100)).toEqual([{ queueId: 7, priority: 0, floor: { at: "5", id: "3" } }]);
    expect(floors.get(7, 100 + LIFE_MS)).toBeUndefined();
  });

  it("does not count when a job of the chain went back", () => {
    const floors = setUp();
    floors.forget(7);
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

  it("lets its queue be left alone while the chain is held, as long as it would count", () => {
    const floors = setUp();
    expect(floors.held([], 100)).toEqual([7]);
    expect(floors.held([7], 100)).toEqual([]);
    expect(floors.held([], 100 + LIFE_MS)).toEqual([]);
  });

  it.each<[string, (floors: QueueFloors) => void]>([
    ["the chain has ended", (floors) => floors.freed(7)],
    ["a job went back", (floors) => floors.forget(7)],
    ["nothing that was seen counts", (floors) => floors.clear()],
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
    expect(floors.known([], 100).map(({ queueId }) => queueId)).toEqual(expected);
    expect(floors.known([2], 100)[0]?.queueId).toBe(2);
  });
});
