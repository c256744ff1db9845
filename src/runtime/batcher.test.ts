import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createManualClock } from "../testing/manual-clock.ts";
import { Batcher, type BatchWriter } from "./batcher.ts";

/** A batcher whose writes take `writeMs`. */
function setUp(options: Partial<BatchWriter<number>> & { writeMs?: number; delayMs?: number; maxItems?: number } = {}) {
  const clock = createManualClock(0);
  const written: { at: number; items: readonly number[] }[] = [];
  const failed: (readonly number[])[] = [];
  const writer: BatchWriter<number> = {
    write: async (items) => {
      written.push({ at: clock.now(), items });
      await clock.sleep(options.writeMs ?? 10);
    },
    failed: (_error, items) => failed.push(items),
    ...options,
  };
  const { delayMs, maxItems } = options;
  const delays = delayMs === undefined ? undefined : { delayMsOf: () => delayMs };
  const batcher = new Batcher<number>(clock, writer, { maxItems, delays });
  const addAll = (...items: number[]): void => items.forEach((item) => batcher.add(item));
  return { clock, batcher, addAll, written, failed };
}

describe("a batcher without a delay", () => {
  it("writes at once what one turn has added", async () => {
    const { clock, addAll, written } = setUp();
    addAll(1, 2, 3);
    await clock.advance(0);
    expect(written).toEqual([{ at: 0, items: [1, 2, 3] }]);
  });

  it("takes along what promises of the same turn add", async () => {
    const { clock, batcher, written } = setUp();
    const handler = async (item: number): Promise<void> => {
      for (let step = 0; step < item; step++) await Promise.resolve();
      batcher.add(item);
    };
    await Promise.all([handler(1), handler(2), handler(7)]);
    await clock.advance(0);
    expect(written).toEqual([{ at: 0, items: [1, 2, 7] }]);
  });

  it("writes together what arrives during a write", async () => {
    const { clock, addAll, written } = setUp({ writeMs: 10 });
    addAll(1);
    await clock.advance(1);
    addAll(2);
    await clock.advance(1);
    addAll(3);
    await clock.advance(100);
    expect(written).toEqual([
      { at: 0, items: [1] },
      { at: 10, items: [2, 3] },
    ]);
  });

  it("writes at most N at a time, in order", async () => {
    const { clock, addAll, written } = setUp({ maxItems: 2 });
    addAll(1, 2, 3, 4, 5);
    await clock.advance(100);
    expect(written.map(({ items }) => items)).toEqual([[1, 2], [3, 4], [5]]);
  });

  it("sets no timer", async () => {
    const { clock, addAll } = setUp({ write: () => Promise.resolve() });
    addAll(1, 2, 3);
    expect(clock.pending).toBe(0);
    await clock.advance(0);
    expect(clock.pending).toBe(0);
  });
});

describe("a batcher with a delay", () => {
  it("waits that long for more, from the first item on", async () => {
    const { clock, addAll, written } = setUp({ delayMs: 50 });
    addAll(1);
    await clock.advance(40);
    addAll(2);
    await clock.advance(9);
    expect(written).toEqual([]);
    await clock.advance(1);
    expect(written).toEqual([{ at: 50, items: [1, 2] }]);
  });

  it("does not wait when it is full", async () => {
    const { clock, addAll, written } = setUp({ delayMs: 50, maxItems: 3 });
    addAll(1, 2, 3);
    await clock.advance(0);
    expect(written).toEqual([{ at: 0, items: [1, 2, 3] }]);
  });

  it("also delays what arrives during a write", async () => {
    const { clock, addAll, written } = setUp({ delayMs: 50, writeMs: 10 });
    addAll(1);
    await clock.advance(55);
    addAll(2);
    await clock.advance(100);
    expect(written.map(({ at }) => at)).toEqual([50, 105]);
  });

  it("does not wait when it is flushed, and leaves no timer", async () => {
    const { clock, batcher, addAll, written } = setUp({ delayMs: 50, write: () => Promise.resolve() });
    addAll(1, 2);
    await batcher.flush();
    expect([batcher.size, clock.pending, written]).toEqual([0, 0, []]);
  });
});

describe("flush", () => {
  it("resolves when all that was added before is written", async () => {
    const { clock, batcher, addAll, written } = setUp({ maxItems: 2, writeMs: 10 });
    addAll(1, 2, 3);
    await clock.advance(1);
    const flushed = batcher.flush().then(() => written.length);
    await clock.advance(100);
    expect(await flushed).toBe(2);
  });

  it("does not wait for what is added later", async () => {
    const { clock, batcher, addAll } = setUp({ maxItems: 1, writeMs: 10 });
    addAll(1);
    let flushedAt = -1;
    const flushed = batcher.flush().then(() => (flushedAt = clock.now()));
    addAll(2, 3, 4);
    await clock.advance(1000);
    await flushed;
    expect(flushedAt).toBeLessThan(40);
    expect(batcher.size).toBe(0);
  });

  it("has nothing to do for an empty batcher", async () => {
    const { batcher, written } = setUp();
    await batcher.flush();
    expect(written).toEqual([]);
  });
});

describe("a write that fails", () => {
  it("is reported with its items, and the next one is written all the same", async () => {
    const reported: (readonly number[])[] = [];
    const { clock, addAll, batcher } = setUp({
      maxItems: 2,
      write: async (items) => {
        if (items.includes(1)) throw new Error("broken");
      },
      failed: (_error, items) => reported.push(items),
    });
    addAll(1, 2, 3);
    await batcher.flush();
    await clock.advance(0);
    expect(reported).toEqual([[1, 2]]);
    expect(batcher.size).toBe(0);
  });

  it("harms no item when it throws at once and the reporter throws too", async () => {
    let calls = 0;
    const { addAll, batcher } = setUp({
      maxItems: 1,
      write: () => {
        calls += 1;
        throw new Error("not even a promise");
      },
      failed: () => {
        throw new Error("no logger");
      },
    });
    addAll(1, 2);
    await batcher.flush();
    expect(calls).toBe(2);
  });
});

it("writes every item once, in order, never two writes at a time, whatever happens", async () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant("add" as const), count: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ type: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 40 }) }),
    fc.constant({ type: "flush" as const }),
  );
  const settings = fc.record({
    delayMs: fc.constantFrom(0, 5, 30),
    maxItems: fc.constantFrom(1, 3, 1000),
    writeMs: fc.constantFrom(0, 10, 25),
    failEvery: fc.constantFrom(2, 3, 1000),
  });
  await fc.assert(
    fc.asyncProperty(settings, fc.array(step, { maxLength: 30 }), async (given, steps) => {
      const clock = createManualClock(0);
      const handled: number[] = [];
      let writes = 0;
      let running = 0;
      const writer: BatchWriter<number> = {
        failed: () => undefined,
        write: async (items) => {
          running += 1;
          expect(running).toBe(1);
          expect(items.length).toBeGreaterThan(0);
          expect(items.length).toBeLessThanOrEqual(given.maxItems);
          handled.push(...items);
          await clock.sleep(given.writeMs);
          running -= 1;
          if (++writes % given.failEvery === 0) throw new Error("broken");
        },
      };
      const { maxItems, delayMs } = given;
      const batcher = new Batcher<number>(clock, writer, { maxItems, delays: { delayMsOf: () => delayMs } });
      let added = 0;
      const flushes: Promise<void>[] = [];
      for (const next of steps) {
        if (next.type === "advance") await clock.advance(next.ms);
        else if (next.type === "flush") flushes.push(batcher.flush());
        else for (let count = 0; count < next.count; count++) batcher.add(added++);
      }
      await clock.advance(100_000);
      await Promise.all(flushes);
      expect(handled).toEqual(Array.from({ length: added }, (_, item) => item));
      expect([batcher.size, running, clock.pending]).toEqual([0, 0, 0]);
    }),
  );
});
