import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { workerContext } from "../../../../test/harness/worker-context.ts";
import { RefetchDelay } from "./refetch-delay.ts";
import type { RefetchDelaySettings } from "./options.ts";

interface SetUp extends Partial<RefetchDelaySettings> {
  readonly size?: number;
  readonly random?: () => number;
}

function setUp({ size = 10, random = () => 0.5, ...settings }: SetUp = {}) {
  const context = workerContext({ random });
  const { clock, hooks } = context;
  const told: unknown[] = [];
  const counts = { over: 0 };
  hooks.on("localQueueRefetchDelayStart", ({ durationMs, threshold, abortThreshold }) => {
    told.push({ started: { durationMs, threshold, abortThreshold } });
  });
  hooks.on("localQueueRefetchDelayAbort", ({ count, abortThreshold }) => {
    told.push({ aborted: { count, abortThreshold } });
  });
  hooks.on("localQueueRefetchDelayExpired", () => void told.push("expired"));
  const delay = new RefetchDelay(context, {
    settings: {
      durationMs: 100,
      threshold: 3,
      maxAbortThreshold: undefined,
      ...settings,
    },
    size,
    index: 0,
    owner: { delayOver: () => void (counts.over += 1) },
  });
  /** A fetch that brought N of M, beginning now. */
  const fetch = (count: number, asked = size): boolean => {
    delay.fetching();
    return delay.fetched(count, asked);
  };
  return { clock, told, counts, delay, fetch };
}

describe("a refetch delay", () => {
  it.each([
    ["nothing", 0, true],
    ["as many as the threshold", 3, true],
    ["more than the threshold", 4, false],
    ["all that was asked for", 10, false],
  ])("after a fetch that brought %s: %d jobs, %s", (_, count, begins) => {
    expect(setUp().fetch(count)).toBe(begins);
  });

  it("does not begin when all that was asked for came, however little that was", () => {
    expect(setUp().fetch(2, 2)).toBe(false);
    expect(setUp().fetch(1, 2)).toBe(true);
  });

  it.each([
    ["half of the duration at least", 0, 50],
    ["in between", 0.5, 75],
    ["all of it at most", 0.999, 99],
  ])("lasts %s", async (_, random, expectedMs) => {
    const { clock, told, fetch } = setUp({ random: () => random });
    fetch(0);
    await clock.advance(expectedMs - 1);
    expect(told).not.toContain("expired");
    await clock.advance(1);
    expect(told).toContain("expired");
    expect(clock.pending).toBe(0);
  });

  it.each([
    ["5 × size when nothing was said", 0.999, { size: 10 }, 49],
    ["the maximum that was given", 0.999, { size: 10, maxAbortThreshold: 3 }, 2],
    ["at least one", 0, { size: 10 }, 1],
    ["a share of it", 0.5, { size: 10, maxAbortThreshold: 500 }, 250],
  ])("is over after N announced jobs: %s", (_, random, options, abortThreshold) => {
    const { told, delay, fetch } = setUp({ ...options, random: () => random });
    fetch(0);
    expect(told).toEqual([{ started: { durationMs: expect.any(Number), threshold: 3, abortThreshold } }]);
    for (let announced = 1; announced < abortThreshold; announced++) delay.pulse(1);
    expect(told).toHaveLength(1);
    delay.pulse(1);
    expect(told.slice(1)).toEqual([{ aborted: { count: abortThreshold, abortThreshold } }]);
  });

  it("is over once: neither its time nor further jobs end it again", async () => {
    const { clock, told, counts, delay, fetch } = setUp({ maxAbortThreshold: 4 });
    fetch(0);
    delay.pulse(2);
    delay.pulse(100);
    await clock.advance(1_000);
    expect(counts.over).toBe(1);
    expect(told.slice(1)).toEqual([{ aborted: { count: 2, abortThreshold: 2 } }]);
  });

  it("counts from the beginning of the fetch, and each fetch anew", () => {
    const { delay, told } = setUp({ maxAbortThreshold: 6 });
    delay.pulse(50);
    delay.fetching();
    delay.pulse(2);
    expect(delay.fetched(0, 10)).toBe(true);
    delay.pulse(1);
    expect(told.at(-1)).toEqual({ aborted: { count: 3, abortThreshold: 3 } });
  });

  it("does not begin when enough was announced during the fetch", () => {
    const { clock, delay, told } = setUp({ maxAbortThreshold: 6 });
    delay.fetching();
    delay.pulse(3);
    expect(delay.fetched(0, 10)).toBe(false);
    expect(told.at(-1)).toEqual({ aborted: { count: 3, abortThreshold: 3 } });
    expect(clock.pending).toBe(0);
  });

  it("can be stopped without a word, and stopped twice", async () => {
    const { clock, delay, fetch, told } = setUp();
    fetch(0);
    delay.stop();
    delay.stop();
    delay.pulse(1_000);
    await clock.advance(1_000);
    expect(told).toHaveLength(1);
  });

  it("is always within half and all of the duration, and between 1 and the maximum", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 0.999_999, noNaN: true }),
        fc.integer({ min: 2, max: 60_000 }),
        fc.integer({ min: 1, max: 1_000 }),
        (random, durationMs, maxAbortThreshold) => {
          const { told, fetch } = setUp({ durationMs, maxAbortThreshold, random: () => random });
          fetch(0);
          const { started } = told[0] as { started: { durationMs: number; abortThreshold: number } };
          expect(started.durationMs).toBeGreaterThanOrEqual(Math.floor(durationMs / 2));
          expect(started.durationMs).toBeLessThanOrEqual(durationMs);
          expect(started.abortThreshold).toBeGreaterThanOrEqual(1);
          expect(started.abortThreshold).toBeLessThanOrEqual(maxAbortThreshold);
        },
      ),
    );
  });
});
