import { describe, expect, it } from "vitest";
import type { Clock } from "./clock.ts";
import { LoopDelay } from "./loop-delay.ts";

/** A clock whose timer fires when it is told to, so much too late. */
function setUp() {
  const told: unknown[] = [];
  let nowMs = 0;
  let timers = 0;
  let armed: { readonly dueAt: number; readonly fire: () => void } | undefined;
  const clock = {
    monotonic: () => nowMs,
    setTimer(ms: number, fire: () => void) {
      timers += 1;
      armed = { dueAt: nowMs + ms, fire };
      return { cancel: () => void (armed = undefined) };
    },
  } as unknown as Clock;
  /** The event loop turns again after so long. */
  const block = (ms: number): void => {
    nowMs += ms;
    if (armed && armed.dueAt <= nowMs) armed.fire();
  };
  const watch = (name: string, busyTasks: () => readonly string[] = () => []): (() => void) => {
    const listener = { blocked: (ms: number, tasks: readonly string[]) => void told.push([name, ms, ...tasks]) };
    const delay = new LoopDelay(clock, { busyTasks }, listener);
    delay.start();
    return () => void delay.stop();
  };
  return { told, block, watch, timers: () => timers, isArmed: () => armed !== undefined };
}

describe("an event loop that is watched", () => {
  it("is told of when it stood still for more than a second, whenever that began, each time", () => {
    const { told, block, watch } = setUp();
    watch("a");
    for (const untilThen of [0, 100, 249]) {
      block(250);
      block(untilThen);
      block(1_001);
    }
    expect(told).toEqual([
      ["a", 751],
      ["a", 851],
      ["a", 1_000],
    ]);
  });

  it("is not told of otherwise, but asked each time what runs", () => {
    const { told, block, watch } = setUp();
    let asked = 0;
    watch("a", () => {
      asked += 1;
      return ["task"];
    });
    for (const ms of [250, 300, 700, 990]) block(ms);
    expect({ told, asked }).toEqual({ told: [], asked: 4 });
  });

  it("is left alone afterwards", () => {
    const { told, block, watch, isArmed } = setUp();
    watch("a")();
    expect(isArmed()).toBe(false);
    block(5_000);
    expect(told).toEqual([]);
  });

  it("has one timer for all who watch, and one of them tells what all of them ran", () => {
    const { told, block, watch, timers, isArmed } = setUp();
    const [first, ...rest] = Array.from({ length: 10 }, (_, n) => watch(`w${n}`, () => ["all", `t${n % 3}`]));
    expect(timers()).toBe(1);
    block(5_000);
    expect(told).toEqual([["w0", 4_750, "all", "t0", "t1", "t2"]]);
    first?.();
    block(5_000);
    expect(told.slice(1)).toEqual([["w1", 4_750, "all", "t1", "t2", "t0"]]);
    for (const end of rest) end();
    expect(isArmed()).toBe(false);
  });
});
