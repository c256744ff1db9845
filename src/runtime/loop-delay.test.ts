import { describe, expect, it } from "vitest";
import type { Clock } from "./clock.ts";
import { watchLoopDelay } from "./loop-delay.ts";

/** A clock whose only timer fires when it is told to, so much too late. */
function setUp() {
  const looks: (number | undefined)[] = [];
  let nowMs = 0;
  let armed: { readonly dueAt: number; readonly fire: () => void } | undefined;
  const clock = {
    monotonic: () => nowMs,
    setTimer(ms: number, fire: () => void) {
      armed = { dueAt: nowMs + ms, fire };
      return { cancel: () => void (armed = undefined) };
    },
  } as unknown as Clock;
  const end = watchLoopDelay({ clock, looked: (blockedMs) => void looks.push(blockedMs) });
  /** The event loop turns again after so long. */
  const block = (ms: number): void => {
    nowMs += ms;
    if (armed && armed.dueAt <= nowMs) armed.fire();
  };
  return { looks, block, end };
}

describe("an event loop that is watched", () => {
  it("is told of when it stood still for more than a second, whenever that began, each time", () => {
    const { looks, block } = setUp();
    for (const untilThen of [0, 100, 249]) {
      block(250);
      block(untilThen);
      block(1_001);
    }
    expect(looks.filter((ms) => ms !== undefined)).toEqual([751, 851, 1_000]);
  });

  it("is not told of otherwise", () => {
    const { looks, block } = setUp();
    for (const ms of [250, 300, 700, 990]) block(ms);
    expect(looks).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("is left alone afterwards", () => {
    const { looks, block, end } = setUp();
    end();
    block(5_000);
    expect(looks).toEqual([]);
  });
});
