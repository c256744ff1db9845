import { describe, expect, it } from "vitest";
import { workerContext } from "../../test/harness/worker-context.ts";
import type { Driver, Query } from "../postgres/driver.ts";
import { LaneNotices } from "./lane-notices.ts";

/** Notices of an engine that has no room, and in which these queues wait for a claim. */
function setUp(waiting: readonly number[] = [7, 8]) {
  const sent: unknown[] = [];
  const state = { isFailing: false };
  const query = async ({ values }: Query) => {
    if (state.isFailing) throw new Error("The database is away.");
    sent.push(values);
    return { rows: [], count: 0 };
  };
  const context = workerContext({ driver: { query } as Partial<Driver> as Driver });
  const engine = { room: 0, isStopping: false, claimer: { isCandidate: (id: number) => waiting.includes(id) } };
  const notices = new LaneNotices(context, engine);
  return { notices, engine, sent, state, clock: context.clock };
}

describe("lanes that are freed by a worker without a slot", () => {
  it("are told others once in 50 ms, with all queues together", async () => {
    const { notices, sent, clock } = setUp();
    notices.freed([7]);
    await clock.advance(20);
    notices.freed([8, 7]);
    await clock.advance(29);
    expect(sent).toEqual([]);
    await clock.advance(1);
    expect(sent).toEqual([["{7,8}", "2"]]);
    notices.freed([7]);
    await clock.advance(50);
    expect(sent.slice(1)).toEqual([["{7}", "1"]]);
  });

  it("are not told when a claim of its own has looked at the queue since, or the next one will", async () => {
    const { notices, engine, sent, clock } = setUp([7]);
    notices.freed([7, 9]);
    await clock.advance(50);
    expect(sent).toEqual([["{7}", "1"]]);
    engine.room = 1;
    notices.freed([7]);
    await clock.advance(50);
    expect(sent).toHaveLength(1);
  });

  it("are told when it stops, whatever it would have claimed; a failure is left to polling", async () => {
    const { notices, engine, sent, state, clock } = setUp([]);
    engine.isStopping = true;
    notices.freed([7]);
    await notices.stop();
    expect(sent).toEqual([["{7}", "1"]]);
    state.isFailing = true;
    notices.freed([7]);
    await notices.stop();
    await clock.advance(1_000);
    expect(sent).toHaveLength(1);
  });

  it("are 50 queues at most", async () => {
    const { notices, sent, clock } = setUp(Array.from({ length: 100 }, (_, index) => index));
    notices.freed(Array.from({ length: 100 }, (_, index) => index));
    await clock.advance(50);
    expect(sent).toMatchObject([[expect.anything(), "50"]]);
  });
});
