import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { QueueWindow, type WindowResult } from "./scan-times.ts";

const CIRCLE_REST_MS = 1_000;

function went(windowStart: number, windowAfter: number, rest: Partial<WindowResult> = {}): WindowResult {
  return { windowStart, windowAfter, windowWrapped: false, windowMs: 5, ...rest };
}

/** A claim looks where it must, and this is how it went. */
function ended(window: QueueWindow, result: WindowResult, found: boolean, nowMs: number): void {
  expect(window.next(nowMs)).not.toBeNull();
  window.settle(result, found, nowMs);
}

describe("QueueWindow", () => {
  it("begins anywhere, at once", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    expect(window.next(0)).toBe(-1);
    expect(window.restMs(0)).toBe(0);
  });

  it("goes on where it stopped, after a rest of nine times its cost", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    ended(window, went(40, 240), false, 100);
    expect(window.next(144)).toBeNull();
    expect(window.restMs(144)).toBe(1);
    expect(window.next(145)).toBe(240);
  });

  it("rests for half a minute at most after a look that waited for a lock, and for a minute after a circle", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    ended(window, went(40, 240, { windowMs: 100_000 }), false, 0);
    expect(window.restMs(0)).toBe(27_000);
    window.reset();
    ended(window, went(40, 50, { windowMs: 100_000, windowWrapped: true }), false, 0);
    expect(window.restMs(0)).toBe(60_000);
  });

  it("rests for the length of a poll once the circle is closed, or twenty times its cost when that is more", () => {
    const cheap = new QueueWindow(CIRCLE_REST_MS);
    ended(cheap, went(40, 50, { windowWrapped: true }), false, 0);
    expect(cheap.restMs(0)).toBe(CIRCLE_REST_MS);

    const dear = new QueueWindow(CIRCLE_REST_MS);
    ended(dear, went(40, 500, { windowMs: 100 }), false, 0);
    ended(dear, went(500, 60, { windowMs: 100, windowWrapped: true }), false, 900);
    expect(dear.restMs(900)).toBe(20 * 200);
  });

  it("closes the circle although every queue where it began is gone", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    ended(window, went(90, 100), false, 0);
    ended(window, went(100, 0, { windowWrapped: true }), false, 45);
    ended(window, went(0, 0, { windowWrapped: true }), false, 90);
    expect(window.restMs(90)).toBe(CIRCLE_REST_MS);
  });

  it("goes on at once after a claim that got all it wanted", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    ended(window, went(40, 60), true, 0);
    expect(window.next(0)).toBe(60);
  });

  it("is not moved by a claim that found enough without it", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    ended(window, went(40, 60), false, 0);
    ended(window, { windowStart: null, windowAfter: null, windowWrapped: false, windowMs: 0 }, true, 45);
    expect(window.restMs(45)).toBe(0);
    expect(window.next(45)).toBe(60);
  });

  it("is for one claim at a time, and for another one when that has failed", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    expect([window.next(0), window.next(0)]).toEqual([-1, null]);
    window.failed();
    expect([window.next(0), window.next(0)]).toEqual([-1, null]);
  });

  it("is allowed at once after a reset that came while a claim looked", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    expect(window.next(0)).toBe(-1);
    window.reset();
    window.settle(went(40, 60), false, 1);
    expect(window.next(1)).toBe(-1);
  });

  it("is allowed at once after a reset, and begins a new circle there", () => {
    const window = new QueueWindow(CIRCLE_REST_MS);
    ended(window, went(40, 60), false, 0);
    window.reset();
    expect(window.next(1)).toBe(60);
    window.settle(went(60, 80, { windowWrapped: true }), false, 1);
    expect(window.restMs(1)).toBe(CIRCLE_REST_MS);
  });

  it("sees every queue, whatever comes and goes, and rests for a poll each time round", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 20 }),
        fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 20 }), { maxLength: 4 }),
        fc.record({ start: fc.integer({ min: 0, max: 60 }), size: fc.integer({ min: 1, max: 6 }) }),
        (last, earlierSets, { start, size }) => {
          const window = new QueueWindow(CIRCLE_REST_MS);
          ended(window, went(0, start), false, 0);
          const sets = [...earlierSets, last];
          const seen = new Set<number>();
          let circles = 0;
          for (let looks = 0; looks < 150; looks++) {
            const now = 10_000 * looks;
            const result = look(sets[looks] ?? last, window.next(now) ?? 0, size);
            if (looks >= earlierSets.length) for (const queue of result.found) seen.add(queue);
            window.settle(result, false, now);
            if (window.restMs(now) >= CIRCLE_REST_MS) circles += 1;
          }
          expect(circles).toBeGreaterThan(1);
          expect([...seen].sort((a, b) => a - b)).toEqual(last.toSorted((a, b) => a - b));
        },
      ),
    );
  });
});

/** What the claim does: from `after` on until N queues were met, over the end at most once. */
function look(queues: readonly number[], after: number, size: number): WindowResult & { found: readonly number[] } {
  const start = Math.max(after, 0);
  const sorted = queues.toSorted((a, b) => a - b);
  const found = sorted.filter((queue) => queue > start).slice(0, size);
  if (found.length === size) return { ...went(start, found.at(-1) ?? 0), found };
  const round = sorted.filter((queue) => queue <= start).slice(0, size - found.length);
  const windowAfter = round.length < size - found.length ? start : (round.at(-1) ?? 0);
  return { ...went(start, windowAfter, { windowWrapped: true }), found: [...found, ...round] };
}
