import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createManualClock } from "../testing/manual-clock.ts";
import { startLoop, type LoopFailure, type LoopOptions } from "./loop.ts";

function setUp(options: Partial<LoopOptions> = {}) {
  const clock = createManualClock(0);
  const startedAt: number[] = [];
  const reported: [unknown, LoopFailure][] = [];
  const loop = startLoop({
    name: "test",
    clock,
    round: async () => 100,
    onError: (error, failure) => reported.push([error, failure]),
    random: () => 1,
    ...options,
    ...(options.round && {
      round: (signal) => {
        startedAt.push(clock.now());
        return (options.round as LoopOptions["round"])(signal);
      },
    }),
  });
  return { clock, loop, startedAt, reported };
}

/** A promise that is settled from outside, for rounds that have to be held up. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe("a loop", () => {
  it("does not begin before its starter has the loop", async () => {
    const { clock, loop, startedAt } = setUp({ round: async () => 100 });
    expect(startedAt).toEqual([]);
    await clock.advance(0);
    expect(startedAt).toEqual([0]);
    await loop.stop();
  });

  it("rests for as long as each round says", async () => {
    const rests = [100, 50, Number.POSITIVE_INFINITY];
    const { clock, loop, startedAt } = setUp({ round: async () => rests.shift() ?? 0 });
    await clock.advance(10_000);
    expect(startedAt).toEqual([0, 100, 150]);
    await loop.stop();
  });

  it("goes on at once after a round that asks for no rest", async () => {
    const rests = [0, 0, 0, 100];
    const { clock, loop, startedAt } = setUp({ round: async () => rests.shift() ?? 100 });
    await clock.advance(0);
    expect(startedAt).toEqual([0, 0, 0, 0]);
    await loop.stop();
  });

  it("starts the next round at once when it is woken while it rests", async () => {
    const { clock, loop, startedAt } = setUp({ round: async () => 1000 });
    await clock.advance(300);
    loop.wake();
    await clock.advance(999);
    expect(startedAt).toEqual([0, 300]);
    await clock.advance(1);
    expect(startedAt).toEqual([0, 300, 1300]);
    await loop.stop();
  });

  it("starts one more round at once, however often it is woken during a round", async () => {
    const first = gate();
    const { clock, loop, startedAt } = setUp({
      round: async () => {
        if (startedAt.length === 1) await first.opened;
        return 1000;
      },
    });
    await clock.advance(0);
    loop.wake();
    loop.wake();
    loop.wake();
    await clock.advance(5);
    expect(startedAt).toEqual([0]);
    first.open();
    await clock.advance(500);
    expect(startedAt).toEqual([0, 5]);
    await loop.stop();
  });

  it("never has two rounds under way, and always one after the last wake", async () => {
    const step = fc.oneof(
      fc.constant({ type: "wake" as const }),
      fc.record({ type: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 300 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1 }),
        async (steps, durations) => {
          const clock = createManualClock(0);
          let running = 0;
          let started = 0;
          let startsAtWake = -1;
          const loop = startLoop({
            name: "test",
            clock,
            onError: (error) => expect.unreachable(String(error)),
            round: async () => {
              running += 1;
              expect(running).toBe(1);
              await clock.sleep(durations[started++ % durations.length] ?? 0);
              running -= 1;
              return Number.POSITIVE_INFINITY;
            },
          });
          await clock.advance(0);
          for (const next of steps) {
            if (next.type === "advance") await clock.advance(next.ms);
            else {
              loop.wake();
              startsAtWake = started;
            }
          }
          await clock.advance(1000);
          expect(started).toBeGreaterThan(startsAtWake);
          await loop.stop();
          expect([running, clock.pending]).toEqual([0, 0]);
        },
      ),
    );
  });

  it("waits for the round under way when it is stopped, and tells it", async () => {
    const last = gate();
    let aborted = false;
    let stopped = false;
    const { clock, loop, startedAt } = setUp({
      round: async (signal) => {
        await last.opened;
        aborted = signal.aborted;
        return 0;
      },
    });
    await clock.advance(0);
    const stopping = loop.stop().then(() => (stopped = true));
    await clock.advance(1000);
    expect(stopped).toBe(false);
    last.open();
    await stopping;
    expect([aborted, startedAt.length, clock.pending]).toEqual([true, 1, 0]);
  });

  it("does nothing at all when it is stopped before it began, and may be stopped and woken again", async () => {
    const { clock, loop, startedAt } = setUp({ round: async () => 100 });
    await loop.stop();
    await loop.stop();
    loop.wake();
    await clock.advance(1000);
    expect(startedAt).toEqual([]);
  });

  it("ends its rest when it is stopped", async () => {
    const { clock, loop } = setUp({ round: async () => Number.POSITIVE_INFINITY });
    await clock.advance(10);
    expect(clock.pending).toBe(1);
    await loop.stop();
    expect(clock.pending).toBe(0);
  });
});

describe("a loop whose rounds fail", () => {
  const broken = async (): Promise<number> => {
    throw new Error("broken");
  };

  it("goes on with longer and longer rests, and counts", async () => {
    const { clock, loop, startedAt, reported } = setUp({ round: broken, backoff: { firstMs: 100, maxMs: 400 } });
    await clock.advance(1500);
    expect(startedAt).toEqual([0, 100, 300, 700, 1100, 1500]);
    expect(reported.map(([, failure]) => failure)).toEqual([
      { failures: 1, restMs: 100 },
      { failures: 2, restMs: 200 },
      { failures: 3, restMs: 400 },
      { failures: 4, restMs: 400 },
      { failures: 5, restMs: 400 },
      { failures: 6, restMs: 400 },
    ]);
    await loop.stop();
  });

  it("begins to count anew after a good round", async () => {
    const results = [broken, broken, async () => 0, broken];
    const { clock, loop, reported } = setUp({ round: () => (results.shift() ?? (async () => 1e6))() });
    await clock.advance(10_000);
    expect(reported.map(([, { failures }]) => failures)).toEqual([1, 2, 1]);
    await loop.stop();
  });

  it("survives a round that throws at once, and a reporter that throws", async () => {
    const { clock, loop, startedAt } = setUp({
      round: () => {
        throw new Error("not even a promise");
      },
      onError: () => {
        throw new Error("no logger");
      },
    });
    await clock.advance(1000);
    expect(startedAt.length).toBeGreaterThan(2);
    await loop.stop();
  });

  it("does not fail faster when it is woken", async () => {
    const { clock, loop, startedAt } = setUp({ round: broken, backoff: { firstMs: 100, maxMs: 100 } });
    for (let passed = 0; passed < 200; passed += 10) {
      loop.wake();
      await clock.advance(10);
    }
    expect(startedAt).toEqual([0, 100, 200]);
    await loop.stop();
  });

  it("is stopped in the middle of a rest, and does not report what is thrown because it stops", async () => {
    const resting = setUp({ round: broken });
    await resting.clock.advance(10);
    await resting.loop.stop();
    expect(resting.clock.pending).toBe(0);

    const running = setUp({
      round: (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    });
    await running.clock.advance(10);
    await running.loop.stop();
    expect(running.reported).toEqual([]);
  });
});
