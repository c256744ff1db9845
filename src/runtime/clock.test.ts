import { describe, expect, it } from "vitest";
import { systemClock } from "./clock.ts";

const { monotonic } = systemClock;

describe("the machine's clock", () => {
  it("never calls back before the time is over", async () => {
    const early = Array.from({ length: 60 }, async (_, index) => {
      const ms = 3 + index / 7;
      const dueAt = monotonic() + ms;
      await new Promise<void>((resolve) => systemClock.setTimer(ms, resolve));
      return monotonic() - dueAt;
    });
    expect(Math.min(...(await Promise.all(early)))).toBeGreaterThanOrEqual(0);
  });

  it("calls nothing back that was cancelled, and at once what is due already", async () => {
    const called: string[] = [];
    systemClock.setTimer(1, () => called.push("cancelled")).cancel();
    await new Promise<void>((resolve) => systemClock.setTimer(-5, resolve));
    await systemClock.sleep(3);
    expect(called).toEqual([]);
  });
});
