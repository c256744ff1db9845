import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { workerContext } from "../../../test/harness/worker-context.ts";
import { toChains } from "../chain.ts";
import { HOLD_MS, REST_MS } from "./ahead-quantity.ts";
import { ReadAhead } from "./read-ahead.ts";

const SLOTS = 24;
const chainsOf = (...ids: number[]) => toChains(ids.map((id) => claimedJob({ id: String(id) })));

function setUp() {
  const { clock, settings } = workerContext({ settings: { concurrency: SLOTS } });
  const returned: { readonly id: string; readonly at: number }[] = [];
  const ahead = new ReadAhead(
    { clock, settings },
    {
      giveBack({ jobs }) {
        for (const { id } of jobs) returned.push({ id, at: clock.monotonic() });
      },
    },
  );
  return { ahead, clock, returned, ids: () => returned.map(({ id }) => id) };
}

/** As `setUp`, of a worker whose claims come back full and whose jobs are quick. */
function setUpBusy() {
  const parts = setUp();
  for (let jobs = 0; jobs < 1_000; jobs++) parts.ahead.note(1);
  parts.ahead.answered(true, 2);
  return parts;
}

describe("what a worker reads ahead", () => {
  it("is nothing before a claim has come back full and in time", () => {
    const { ahead, clock } = setUpBusy();
    const now = clock.monotonic();
    expect(ahead.quantity(now)).toBe(SLOTS);
    ahead.answered(false, 2);
    expect(ahead.quantity(now)).toBe(0);
    ahead.answered(true, HOLD_MS);
    expect(ahead.quantity(now)).toBe(0);
  });

  it("is nothing while what was read ahead waits, because slots refuse to start", () => {
    const { ahead, clock } = setUpBusy();
    ahead.hold(chainsOf(1), clock.monotonic());
    expect(ahead.quantity(clock.monotonic())).toBe(0);
    ahead.take();
    expect(ahead.quantity(clock.monotonic())).toBe(SLOTS);
  });

  it("is nothing for a worker whose handlers take long", () => {
    const { ahead, clock } = setUp();
    for (let jobs = 0; jobs < 10_000; jobs++) ahead.note(HOLD_MS / 2 + 0.1);
    ahead.answered(true, 2);
    expect(ahead.quantity(clock.monotonic())).toBe(0);
  });

  it("never counts a job that ended more than a second ago, nor one that was not quick", async () => {
    const history = fc.array(
      fc.record({ passesMs: fc.nat(700), quick: fc.nat(300), slow: fc.nat(300), asks: fc.boolean() }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const { ahead, clock } = setUp();
        ahead.answered(true, 2);
        const ended: { readonly at: number; readonly quick: number }[] = [];
        for (const { passesMs, quick, slow, asks } of steps) {
          await clock.advance(passesMs);
          const now = clock.monotonic();
          for (let jobs = 0; jobs < quick; jobs++) ahead.note(3);
          for (let jobs = 0; jobs < slow; jobs++) ahead.note(300);
          ended.push({ at: now, quick });
          if (!asks) continue;
          const ofLastSecond = ended.filter(({ at }) => at > now - 1_000).reduce((sum, end) => sum + end.quick, 0);
          expect(ahead.quantity(now)).toBeLessThanOrEqual((ofLastSecond * HOLD_MS) / 1_000);
        }
      }),
    );
  });
});

describe("jobs that were read ahead", () => {
  it("go back when their time since the claim is over, and nothing is read ahead for a while", async () => {
    const { ahead, clock, returned, ids } = setUpBusy();
    await clock.advance(30);
    ahead.hold(chainsOf(1, 2, 3), 20);
    expect(ahead.next(30)).toMatchObject({ waiting: 1 });
    ahead.take();
    await clock.advance(39);
    expect(ids()).toEqual([]);
    await clock.advance(1);
    expect(returned).toEqual([
      { id: "2", at: 20 + HOLD_MS },
      { id: "3", at: 20 + HOLD_MS },
    ]);
    expect([ahead.size, ahead.next(clock.monotonic())]).toEqual([0, undefined]);
    expect(ahead.quantity(clock.monotonic())).toBe(0);
    await clock.advance(REST_MS);
    expect(ahead.quantity(clock.monotonic())).toBe(0);
    for (let jobs = 0; jobs < 1_000; jobs++) ahead.note(1);
    expect(ahead.quantity(clock.monotonic())).toBe(SLOTS);
  });

  it("are not started later than that by a worker that stood still, whose timers are late", () => {
    const { ahead, ids } = setUpBusy();
    ahead.hold(chainsOf(1, 2), 0);
    expect(ahead.next(HOLD_MS)?.first?.id).toBe("1");
    expect(ahead.next(HOLD_MS + 0.1)).toBe(undefined);
    expect(ids()).toEqual(["1", "2"]);
  });

  it("have one timer for all of them, also those of the next claim", async () => {
    const { ahead, clock, returned } = setUpBusy();
    for (let claims = 0; claims < 5; claims++) {
      ahead.hold(chainsOf(claims), clock.monotonic());
      expect(clock.pending).toBe(1);
      if (claims < 4) ahead.take();
      await clock.advance(10);
    }
    await clock.advance(100);
    expect(returned).toEqual([{ id: "4", at: 40 + HOLD_MS }]);
    expect(clock.pending).toBe(0);
  });

  it("go back at once when the claim was answered too late for them", async () => {
    const { ahead, clock, ids } = setUpBusy();
    await clock.advance(300);
    ahead.hold(chainsOf(1), 100);
    await clock.advance(0);
    expect(ids()).toEqual(["1"]);
  });

  it("can be taken out one by one, and all when it ends, which leaves no timer", async () => {
    const { ahead, clock, ids } = setUpBusy();
    ahead.hold(chainsOf(1, 2, 3), 0);
    expect(ahead.remove(({ id }) => id === "2").map(({ jobs }) => jobs[0]?.id)).toEqual(["2"]);
    expect(ahead.stop().map(({ first }) => first?.id)).toEqual(["1", "3"]);
    expect(clock.pending).toBe(0);
    await clock.advance(1_000);
    expect([ids(), ahead.size]).toEqual([[], 0]);
  });
});
