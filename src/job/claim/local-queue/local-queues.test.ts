import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLocalQueueParts, type LocalQueueSetUp } from "../../../../test/harness/local-queues.ts";
import { LocalQueues } from "./local-queues.ts";

/** The local queues of a worker, not started. */
function setUp(options: LocalQueueSetUp = {}) {
  const around = createLocalQueueParts({ concurrency: 8, ...options });
  const queues = new LocalQueues(around.context, around.parts);
  return { ...around, queues, take: () => around.start(queues.take()) };
}

describe("the number of local queues", () => {
  it.each([
    ["as asked for", 4, 5, 4],
    ["at most the slots that can drain them", 4, 2, 2],
    ["one by default", 1, 10, 1],
  ])("is %s", async (_, queueCount, concurrency, expected) => {
    const { queues, clock, eventsOf } = setUp({ queueCount, concurrency });
    queues.start();
    await clock.advance(0);
    expect(eventsOf("localQueueInit").map(({ queue }) => queue)).toEqual(
      Array.from({ length: expected }, (_, index) => index),
    );
  });
});

describe("several local queues", () => {
  it("fetch a batch each, at the same time", async () => {
    const { queues, clock, claims, held } = setUp({ queueCount: 4, size: 3 });
    claims.add(20);
    claims.hold();
    queues.start();
    await clock.advance(0);
    expect(claims.unanswered.map(({ quantity }) => quantity)).toEqual([3, 3, 3, 3]);
    claims.answer();
    await clock.advance(0);
    expect(held()).toBe(12);
  });

  it("are served in turn", async () => {
    const { queues, clock, claims, take } = setUp({ queueCount: 3, size: 2 });
    claims.add(6);
    queues.start();
    await clock.advance(0);
    expect([take(), take(), take(), take(), take(), take()]).toEqual(["1", "3", "5", "2", "4", "6"]);
  });

  it("leave no slot empty while one of them has jobs", async () => {
    const { queues, clock, claims, take } = setUp({ queueCount: 3, size: 4 });
    claims.add(4);
    queues.start();
    await clock.advance(0);
    expect([take(), take(), take(), take()]).toEqual(["1", "2", "3", "4"]);
    expect(take()).toBeUndefined();
  });

  it("each go through modes of their own", async () => {
    const { queues, clock, claims, eventsOf } = setUp({ queueCount: 2, size: 1, ttlMs: 500 });
    claims.add(1);
    queues.start();
    await clock.advance(600);
    const modesOf = (index: number) =>
      eventsOf("localQueueSetMode").flatMap(({ queue, newMode }) => (queue === index ? [newMode] : []));
    expect(modesOf(0)).toEqual(["polling", "waiting", "ttlExpired"]);
    expect(modesOf(1)).toEqual(["polling"]);
  });

  it("give back what they hold when they stop, and what the fetches under way bring", async () => {
    const { queues, clock, claims, returned } = setUp({ queueCount: 2, size: 2 });
    claims.add(2);
    queues.start();
    await clock.advance(0);
    claims.hold();
    queues.pulse({ count: 1 });
    await clock.advance(0);
    expect([claims.claimed.size, claims.unanswered.length]).toEqual([2, 1]);
    const stopped = queues.stop();
    claims.answer();
    expect(await stopped).toEqual([]);
    expect(returned).toEqual(["1", "2", "1", "2"]);
    expect([claims.claimed.size, claims.waiting]).toEqual([0, 2]);
    expect(queues.take()).toBeUndefined();
    expect(queues.isIdle).toBe(true);
  });
});

describe("an announcement", () => {
  it.each([
    ["of one job lets one of them look", 1, 1],
    ["of as many jobs as two hold lets two of them look", 6, 2],
    ["of very many lets all of them look", 1_000, 3],
  ])("%s", async (_, count, expected) => {
    const { queues, clock, claims } = setUp({ queueCount: 3, size: 3, pollIntervalMs: 30_000 });
    queues.start();
    await clock.advance(0);
    const before = claims.requests.length;
    claims.hold();
    queues.pulse({ count });
    await clock.advance(0);
    expect(claims.requests.length - before).toBe(expected);
  });

  it("that comes during a fetch lets that one look again, also when an earlier one has jobs at hand", async () => {
    const { queues, clock, claims } = setUp({ queueCount: 2, size: 1 });
    claims.add(1);
    queues.start();
    await clock.advance(500);
    claims.hold();
    queues.pulse({ count: 1 });
    await clock.advance(0);
    expect(claims.unanswered).toHaveLength(1);
    queues.pulse({ count: 1 });
    claims.answer();
    await clock.advance(0);
    expect(claims.requests).toHaveLength(4);
  });

  it("is not needed for jobs without a notification: one local queue polls for all, and wakes others when it finds more", async () => {
    const { queues, clock, claims } = setUp({ queueCount: 3, size: 1 });
    queues.start();
    await clock.advance(0);
    expect(claims.requests).toHaveLength(3);
    await clock.advance(1_000);
    expect(claims.requests).toHaveLength(4);
    claims.add(1);
    claims.add(2);
    await clock.advance(1_000);
    expect([queues.take(), queues.take()].map((chain) => chain?.waiting)).toEqual([1, 1]);
  });

  it("counts in full for the refetch delay of each", async () => {
    const refetchDelay = { durationMs: 1_000, threshold: 0, maxAbortThreshold: 10 };
    const { queues, clock, eventsOf } = setUp({ queueCount: 2, refetchDelay, pollIntervalMs: 30_000 });
    queues.start();
    await clock.advance(0);
    queues.pulse({ count: 4 });
    expect(eventsOf("localQueueRefetchDelayAbort")).toEqual([]);
    queues.pulse({ count: 1 });
    expect(eventsOf("localQueueRefetchDelayAbort").map(({ queue, count }) => [queue, count])).toEqual([
      [0, 5],
      [1, 5],
    ]);
  });

  it("of a queue that has become free counts for no refetch delay, but is looked at", async () => {
    const refetchDelay = { durationMs: 1_000, threshold: 0, maxAbortThreshold: 1 };
    const { queues, clock, claims, eventsOf } = setUp({ refetchDelay, pollIntervalMs: 30_000 });
    queues.start();
    await clock.advance(0);
    queues.pulse({ queueIds: [7] });
    expect(queues.isIdle).toBe(false);
    await clock.advance(1_000);
    expect(eventsOf("localQueueRefetchDelayAbort")).toEqual([]);
    expect(claims.requests[1]?.queueIds).toEqual([7]);
  });
});

describe("local queues of a worker that goes idle", () => {
  it("are at rest when nothing was announced since the last fetch, and fetch nothing until they go on", async () => {
    const refetchDelay = { durationMs: 1_000, threshold: 0, maxAbortThreshold: 10 };
    const { queues, clock, claims } = setUp({ queueCount: 2, refetchDelay, pollIntervalMs: 30_000 });
    queues.start();
    expect(queues.isAtRest).toBe(false);
    await clock.advance(0);
    // The refetch delay lasts, and nothing waits for its end.
    expect(queues.isAtRest).toBe(true);
    queues.distrust();
    expect(queues.isAtRest).toBe(false);
    await clock.advance(1_000);
    expect(queues.isAtRest).toBe(true);
    queues.suspend();
    const asked = claims.requests.length;
    queues.pulse({ count: 1 });
    queues.take();
    await clock.advance(60_000);
    expect(claims.requests).toHaveLength(asked);
    queues.resume();
    await clock.advance(0);
    expect(claims.requests.length).toBeGreaterThan(asked);
  });
});

describe("whatever happens", () => {
  it("they hold and fetch at most size × queueCount, and no slot goes empty while one has jobs", async () => {
    const commands = fc.array(fc.constantFrom("add", "addQueued", "take", "take", "take", "pulse", "pass", "wait"), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(
        commands,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, size, n) => {
          const { queues, clock, claims, held, start } = setUp({
            size,
            queueCount: n,
            ttlMs: 700,
            pollIntervalMs: 300,
          });
          const running = new Set<NonNullable<ReturnType<typeof queues.take>>>();
          const ended = (): number => [...running].reduce((sum, { waiting }) => sum + waiting, 0);
          queues.start();
          await clock.advance(0);
          for (const what of steps) {
            if (what === "add") claims.add(2);
            if (what === "addQueued") claims.add(3, 1 + (claims.waiting % 2));
            if (what === "pulse") queues.pulse({ count: 2 });
            if (what === "pass") await clock.advance(0);
            if (what === "wait") await clock.advance(250);
            if (what === "take") {
              const chain = queues.take();
              start(chain);
              if (chain) running.add(chain);
              else expect(held() - ended(), "jobs at hand that no slot was given").toBe(0);
            }
            const fetching = claims.unanswered.reduce((sum, { quantity }) => sum + quantity, 0);
            expect(held() + fetching).toBeLessThanOrEqual(size * n);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("what local queues hold", () => {
  it("can be taken out, and the one that is emptied by that fetches again", async () => {
    const { queues, clock, claims, eventsOf, take } = setUp({ queueCount: 2, size: 3 });
    claims.add(5);
    queues.start();
    await clock.advance(0);
    expect(claims.claimed.size).toBe(5);
    const before = claims.requests.length;
    const removals = queues.remove(({ id }) => Number(id) > 2);
    expect(removals.flatMap(({ jobs }) => jobs.map(({ id }) => id)).toSorted()).toEqual(["3", "4", "5"]);
    expect(eventsOf("localQueueReturnJobs").map(({ count }) => count)).toEqual([1, 2]);
    await clock.advance(0);
    expect(claims.requests.length).toBe(before + 1);
    expect([take(), take()]).toEqual(["1", "2"]);
    expect(queues.take()).toBe(undefined);
  });
});
