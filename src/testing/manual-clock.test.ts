import { describe, expect, it } from "vitest";
import { createManualClock } from "./manual-clock.ts";

describe("a manual clock", () => {
  it("stands still until it is advanced", async () => {
    const clock = createManualClock(1000);
    expect([clock.now(), clock.monotonic()]).toEqual([1000, 0]);
    await clock.advance(250);
    expect([clock.now(), clock.monotonic()]).toEqual([1250, 250]);
  });

  it("fires timers in order, each at its own time", async () => {
    const clock = createManualClock(0);
    const fired: string[] = [];
    clock.setTimer(20, () => fired.push(`b at ${clock.now()}`));
    clock.setTimer(10, () => fired.push(`a at ${clock.now()}`));
    clock.setTimer(20, () => fired.push(`c at ${clock.now()}`));
    clock.setTimer(21, () => fired.push(`d at ${clock.now()}`));
    await clock.advance(20);
    expect(fired).toEqual(["a at 10", "b at 20", "c at 20"]);
    expect(clock.pending).toBe(1);
  });

  it("fires timers that are set on the way", async () => {
    const clock = createManualClock(0);
    let ticks = 0;
    const tick = (): void => {
      ticks += 1;
      clock.setTimer(10, tick);
    };
    tick();
    await clock.advance(100);
    expect(ticks).toBe(11);
  });

  it("lets promises settle between timers", async () => {
    const clock = createManualClock();
    const order: string[] = [];
    const sleeper = async (): Promise<void> => {
      await clock.sleep(10);
      order.push("woke");
      await clock.sleep(10);
      order.push("woke again");
    };
    const done = sleeper();
    clock.setTimer(15, () => order.push("timer"));
    await clock.advance(20);
    await done;
    expect(order).toEqual(["woke", "timer", "woke again"]);
  });

  it("ends a sleep that is aborted, and leaves no timer", async () => {
    const clock = createManualClock();
    const controller = new AbortController();
    const sleep = clock.sleep(1000, controller.signal);
    expect(clock.pending).toBe(1);
    controller.abort();
    await sleep;
    expect(clock.pending).toBe(0);
  });

  it("does not fire a cancelled timer", async () => {
    const clock = createManualClock();
    let fired = false;
    clock.setTimer(5, () => (fired = true)).cancel();
    await clock.advance(10);
    expect(fired).toBe(false);
  });

  it("jumps in wall time only", async () => {
    const clock = createManualClock(1_000_000);
    let fired = false;
    clock.setTimer(10, () => (fired = true));
    clock.jump(3_600_000);
    expect([clock.now(), clock.monotonic()]).toEqual([4_600_000, 0]);
    clock.jump(-4_600_000);
    expect(clock.now()).toBe(0);
    await clock.advance(9);
    expect(fired).toBe(false);
    await clock.advance(1);
    expect(fired).toBe(true);
  });

  it("never fires a timer of infinity", async () => {
    const clock = createManualClock();
    clock.setTimer(Number.POSITIVE_INFINITY, () => expect.unreachable());
    await clock.advance(1e12);
    expect(clock.pending).toBe(1);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("cannot advance by %d", async (ms) => {
    await expect(createManualClock().advance(ms)).rejects.toMatchObject({ code: "HOWDAH_OPTION_INVALID" });
  });
});
