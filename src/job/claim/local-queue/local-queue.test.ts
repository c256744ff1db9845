import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLocalQueueParts, type LocalQueueSetUp } from "../../../../test/harness/local-queues.ts";
import type { Chain } from "../../chain.ts";
import { LocalQueue } from "./local-queue.ts";

/** A local queue that has not been started. */
function setUp(options: LocalQueueSetUp = {}) {
  const around = createLocalQueueParts(options);
  const siblings = {
    foundMore: () => undefined,
    get slotsForRuled(): number {
      return around.state.room - queue.ruledSlots;
    },
  };
  const queue: LocalQueue = new LocalQueue(around.context, { ...around.parts, index: 0, siblings });
  return { ...around, queue, take: () => around.start(queue.take()) };
}

const REFETCH = { durationMs: 100, threshold: 3, maxAbortThreshold: 8 };

describe("a batch", () => {
  it("is fetched with one claim and served from memory, in order", async () => {
    const { queue, clock, claims, take } = setUp({ size: 3 });
    const ids = claims.add(5);
    queue.start();
    await clock.advance(0);
    expect([take(), take()]).toEqual(ids.slice(0, 2));
    await clock.advance(900);
    expect(claims.requests).toHaveLength(1);
    expect(claims.requests[0]).toMatchObject({ quantity: 3, workerId: "w" });
  });

  it("is followed by the next one as soon as its last job was taken", async () => {
    const { queue, clock, claims, take, modes } = setUp({ size: 2 });
    const ids = claims.add(4);
    queue.start();
    await clock.advance(0);
    const first = [take(), take()];
    await clock.advance(0);
    expect([...first, take(), take(), take()]).toEqual([...ids, undefined]);
    expect(modes()).toEqual([
      "starting>polling",
      "polling>waiting",
      "waiting>polling",
      "polling>waiting",
      "waiting>polling",
    ]);
  });

  it("calls for the slots when it arrives, and not when nothing did", async () => {
    let calls = 0;
    const { queue, clock, claims } = setUp({ available: () => void (calls += 1) });
    queue.start();
    await clock.advance(0);
    expect(calls).toBe(0);
    claims.add(1);
    queue.pulse();
    await clock.advance(0);
    expect(calls).toBe(1);
  });

  it("is told of through hooks: that the queue began, and how much came", async () => {
    const { queue, clock, claims, events } = setUp();
    claims.add(3);
    queue.start();
    await clock.advance(0);
    expect(events.map(({ name }) => name)).toEqual([
      "localQueueInit",
      "localQueueSetMode",
      "localQueueGetJobsComplete",
      "localQueueSetMode",
    ]);
    expect(events[2]?.event).toEqual({ workerId: "w", queue: 0, count: 3 });
  });
});

describe("an empty database", () => {
  it("is asked once a poll interval", async () => {
    const { queue, clock, claims } = setUp({ pollIntervalMs: 1_000 });
    queue.start();
    await clock.advance(10_500);
    expect(claims.requests).toHaveLength(11);
  });

  it("is asked at once when jobs are announced", async () => {
    const { queue, clock, claims, take } = setUp({ pollIntervalMs: 30_000 });
    queue.start();
    await clock.advance(5_000);
    const [id] = claims.add(1);
    queue.pulse();
    await clock.advance(0);
    expect(take()).toBe(id);
  });

  it("is asked again when jobs were announced during the fetch, which may have missed them", async () => {
    const { queue, clock, claims } = setUp({ pollIntervalMs: 30_000 });
    claims.hold();
    queue.start();
    await clock.advance(0);
    queue.pulse();
    queue.pulse();
    claims.answer();
    await clock.advance(0);
    expect(claims.requests).toHaveLength(2);
  });
});

describe("a chain at work", () => {
  it("leaves room for one job less with each of its jobs that has not been started", async () => {
    const { queue, clock, claims, start } = setUp({ size: 5 });
    claims.add(5, 7);
    claims.add(5);
    queue.start();
    await clock.advance(0);
    const chain = queue.take() as Chain;
    expect(chain.waiting).toBe(5);
    start(chain);
    await clock.advance(0);
    expect(claims.requests.map(({ quantity }) => quantity)).toEqual([5, 1]);
    start(chain);
    start(chain);
    start(queue.take());
    await clock.advance(0);
    expect(claims.requests.map(({ quantity }) => quantity)).toEqual([5, 1, 3]);
  });

  it("gives its rest back when that has waited for the ttl since it was fetched, and goes on with the job that runs", async () => {
    const { queue, clock, claims, start, returned } = setUp({ ttlMs: 1_000 });
    const ids = claims.add(4, 7);
    queue.start();
    await clock.advance(0);
    await clock.advance(600);
    const chain = queue.take() as Chain;
    start(chain);
    start(chain);
    await clock.advance(399);
    expect(returned).toEqual([]);
    await clock.advance(1);
    expect(returned).toEqual(ids.slice(2));
    expect(chain.waiting).toBe(0);
  });

  it("keeps its queue when its rest goes back: the job that runs frees it", async () => {
    const { queue, clock, claims, start } = setUp({ ttlMs: 1_000, pollIntervalMs: 100 });
    claims.add(3, 7);
    queue.start();
    await clock.advance(0);
    start(queue.take());
    await clock.advance(5_000);
    expect(claims.waiting).toBe(2);
    expect(claims.requests.length).toBeGreaterThan(10);
  });

  it("is left to the slot that runs it when the queue stops", async () => {
    const { queue, clock, claims, start, returned } = setUp({ ttlMs: 1_000 });
    claims.add(3, 7);
    queue.start();
    await clock.advance(0);
    start(queue.take());
    await clock.advance(0);
    await queue.stop();
    await clock.advance(10_000);
    expect(returned).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe("the ttl", () => {
  it("gives back what was not taken, in order, frees its queues, and says so once", async () => {
    const { queue, clock, claims, take, returned, eventsOf, modes } = setUp({ ttlMs: 1_000 });
    const ids = [...claims.add(2), ...claims.add(3, 7), ...claims.add(1)];
    queue.start();
    await clock.advance(0);
    take();
    await clock.advance(1_000);
    expect(returned).toEqual(ids.slice(1));
    expect(eventsOf("localQueueReturnJobs")).toEqual([{ workerId: "w", queue: 0, count: 5 }]);
    expect(modes().at(-1)).toBe("waiting>ttlExpired");
    queue.take();
    await clock.advance(0);
    expect([...claims.claimed].sort()).toEqual(ids);
  });

  it("is followed by a fetch only when a slot asks", async () => {
    const { queue, clock, claims, take, modes } = setUp({ ttlMs: 1_000 });
    claims.add(1);
    queue.start();
    await clock.advance(1_000);
    queue.pulse();
    await clock.advance(60_000);
    expect(claims.requests).toHaveLength(1);
    expect(take()).toBeUndefined();
    await clock.advance(0);
    expect(claims.requests).toHaveLength(2);
    expect(modes().slice(-2)).toEqual(["ttlExpired>polling", "polling>waiting"]);
  });

  it("begins anew with each batch", async () => {
    const { queue, clock, claims, take, returned } = setUp({ ttlMs: 1_000, size: 2 });
    claims.add(4);
    queue.start();
    await clock.advance(800);
    take();
    take();
    await clock.advance(800);
    expect(returned).toEqual([]);
    await clock.advance(200);
    expect(returned).toHaveLength(2);
  });
});

describe("stop", () => {
  it("gives back what is cached and never gives out anything again", async () => {
    const { queue, clock, claims, returned, take, modes } = setUp();
    const ids = claims.add(3);
    queue.start();
    await clock.advance(0);
    await queue.stop();
    expect(returned).toEqual(ids);
    queue.pulse();
    expect(take()).toBeUndefined();
    await clock.advance(60_000);
    expect(claims.requests).toHaveLength(1);
    expect(modes().at(-1)).toBe("waiting>released");
    expect(clock.pending).toBe(0);
  });

  it("waits for a fetch under way and gives back what that brings", async () => {
    const { queue, clock, claims, returned } = setUp();
    claims.hold();
    queue.start();
    await clock.advance(0);
    let hasStopped = false;
    const stopped = queue.stop().then(() => (hasStopped = true));
    await clock.advance(0);
    expect(hasStopped).toBe(false);
    const ids = claims.add(2);
    claims.answer();
    await stopped;
    expect(returned).toEqual(ids);
  });

  it("claims nothing any more when the fetch was decided on in the same turn", async () => {
    const { queue, clock, claims } = setUp({ size: 1 });
    claims.add(2);
    queue.start();
    await clock.advance(0);
    await Promise.resolve().then(async () => {
      queue.take();
      await queue.stop();
    });
    expect(claims.requests).toHaveLength(1);
    await clock.advance(60_000);
    expect(claims.requests).toHaveLength(1);
  });

  it("waits for a fetch under way that fails", async () => {
    const { queue, clock, claims } = setUp();
    claims.hold();
    claims.fail();
    queue.start();
    await clock.advance(0);
    const stopped = queue.stop();
    claims.answer();
    await stopped;
    await clock.advance(60_000);
    expect(claims.requests).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it("may come before the start", async () => {
    const { queue, clock, claims, modes } = setUp();
    await queue.stop();
    queue.start();
    await clock.advance(10_000);
    expect(claims.requests).toEqual([]);
    expect(modes()).toEqual(["starting>released"]);
  });
});

describe("failing fetches", () => {
  it("come at growing distances, whatever is announced, and are reported once", async () => {
    const { queue, clock, claims, errors } = setUp({ pollIntervalMs: 10, random: () => 1 });
    claims.fail();
    queue.start();
    for (let passedMs = 0; passedMs < 20_000; passedMs += 50) {
      queue.pulse();
      await clock.advance(50);
    }
    // After 0.1 s, 0.3 s, 0.7 s and so on, twice as long each time.
    expect([claims.requests.length, errors.length]).toEqual([8, 1]);
  });

  it("are over with the first that succeeds", async () => {
    const { queue, clock, claims, errors, take } = setUp();
    const [id] = claims.add(1);
    claims.fail(3);
    queue.start();
    await clock.advance(5_000);
    expect(take()).toBe(id);
    claims.fail(1);
    await clock.advance(5_000);
    // One for each row of failures.
    expect(errors).toHaveLength(2);
  });
});

describe("a refetch delay", () => {
  it("follows a fetch that brought less than asked for and not more than the threshold", async () => {
    const { queue, clock, claims, eventsOf } = setUp({ refetchDelay: REFETCH, pollIntervalMs: 1_000 });
    queue.start();
    await clock.advance(0);
    expect(eventsOf("localQueueRefetchDelayStart")).toEqual([
      { workerId: "w", queue: 0, durationMs: 75, threshold: 3, abortThreshold: 4 },
    ]);
    queue.pulse();
    await clock.advance(74);
    expect(claims.requests).toHaveLength(1);
    await clock.advance(1);
    expect(claims.requests).toHaveLength(2);
    expect(eventsOf("localQueueRefetchDelayExpired")).toHaveLength(1);
  });

  it("does not follow a fetch that brought more than the threshold", async () => {
    const { queue, clock, claims, eventsOf } = setUp({ refetchDelay: REFETCH });
    claims.add(4);
    queue.start();
    await clock.advance(0);
    expect(eventsOf("localQueueRefetchDelayStart")).toEqual([]);
  });

  it("is over when enough jobs were announced, one by one or several at once", async () => {
    const { queue, clock, claims, eventsOf } = setUp({ refetchDelay: REFETCH });
    queue.start();
    await clock.advance(0);
    queue.announce(1);
    queue.announce(2);
    await clock.advance(0);
    expect(claims.requests).toHaveLength(1);
    queue.announce(1);
    await clock.advance(0);
    expect(claims.requests).toHaveLength(2);
    expect(eventsOf("localQueueRefetchDelayAbort")).toEqual([{ workerId: "w", queue: 0, count: 4, abortThreshold: 4 }]);
  });

  it("counts what was announced during the fetch, and then does not begin", async () => {
    const { queue, clock, claims, eventsOf } = setUp({ refetchDelay: REFETCH });
    claims.hold();
    queue.start();
    await clock.advance(0);
    queue.announce(5);
    queue.pulse();
    claims.answer();
    await clock.advance(0);
    expect(eventsOf("localQueueRefetchDelayAbort")).toEqual([{ workerId: "w", queue: 0, count: 5, abortThreshold: 4 }]);
    expect(claims.requests).toHaveLength(2);
  });

  it("does not keep jobs from being served", async () => {
    const { queue, clock, claims, take } = setUp({ refetchDelay: REFETCH });
    const ids = claims.add(2);
    queue.start();
    await clock.advance(0);
    expect([take(), take()]).toEqual(ids);
    claims.add(1);
    await clock.advance(74);
    expect(claims.requests).toHaveLength(1);
    await clock.advance(1);
    expect(claims.requests).toHaveLength(2);
  });

  it("ends with the queue", async () => {
    const { queue, clock, eventsOf } = setUp({ refetchDelay: REFETCH });
    queue.start();
    await clock.advance(0);
    await queue.stop();
    queue.announce(100);
    await clock.advance(1_000);
    expect(eventsOf("localQueueRefetchDelayAbort")).toEqual([]);
    expect(eventsOf("localQueueRefetchDelayExpired")).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

type Command =
  | { readonly type: "add"; readonly count: number; readonly queueId: number | undefined }
  | { readonly type: "take" | "pulse" | "fail" | "hold" | "answer" | "stop" }
  | { readonly type: "startNext"; readonly which: number }
  | { readonly type: "advance"; readonly ms: number };

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("add" as const),
      count: fc.integer({ min: 1, max: 6 }),
      queueId: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    }),
  },
  { weight: 6, arbitrary: fc.constant<Command>({ type: "take" }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("startNext" as const), which: fc.nat(5) }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("advance" as const), ms: fc.constantFrom(0, 1, 60, 400, 2_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Command>({ type: "pulse" }, { type: "fail" }, { type: "hold" }, { type: "answer" }),
  },
  { weight: 1, arbitrary: fc.constant<Command>({ type: "stop" }) },
);

describe("whatever happens", () => {
  it("holds and fetches at most its size, gives every job out once or back, and loses none", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyCommand, { maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        async (commands, size, withDelay) => {
          const around = setUp({
            size,
            ttlMs: 500,
            pollIntervalMs: 150,
            refetchDelay: withDelay ? REFETCH : undefined,
          });
          const { queue, clock, claims, held, start, started } = around;
          const chains: Chain[] = [];
          let added = 0;
          let stopped: Promise<void> | undefined;
          const check = (): void => {
            const fetching = claims.unanswered.reduce((sum, { quantity }) => sum + quantity, 0);
            expect(held() + fetching).toBeLessThanOrEqual(size);
            for (const { quantity } of claims.unanswered) expect(quantity).toBeGreaterThan(0);
            expect(new Set(started).size, "a job was started twice").toBe(started.length);
          };
          queue.start();
          await clock.advance(0);
          for (const command of commands) {
            switch (command.type) {
              case "add":
                claims.add(command.count, command.queueId);
                added += command.count;
                break;
              case "take": {
                const chain = queue.take();
                start(chain);
                if (chain) chains.push(chain);
                break;
              }
              case "startNext":
                start(chains[command.which % Math.max(chains.length, 1)]);
                break;
              case "fail":
                claims.fail(1);
                break;
              case "pulse":
                queue.announce(1);
                queue.pulse();
                break;
              case "hold":
              case "answer":
                if (command.type === "hold") claims.answer();
                claims[command.type]();
                break;
              case "stop":
                stopped ??= queue.stop();
                break;
              case "advance":
                await clock.advance(command.ms);
            }
            check();
          }
          claims.answer();
          await clock.advance(0);
          check();
          stopped ??= queue.stop();
          await stopped;
          const running = chains.reduce((sum, chain) => sum + chain.waiting, 0);
          expect(claims.claimed.size, "not held").toBe(started.length + running);
          expect(claims.waiting + claims.claimed.size).toBe(added);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("jobs of queues with rules", () => {
  it("are claimed for free slots only, and start before what else the claim has brought", async () => {
    const { queue, clock, claims, state, take } = setUp({ size: 5 });
    state.room = 2;
    claims.add(2);
    const [ruled] = claims.add(1, 7, 1);
    claims.add(2);
    queue.start();
    await clock.advance(0);
    expect(claims.requests[0]).toMatchObject({ quantity: 5, mostRuled: 2 });
    expect(queue.ruledSlots).toBe(1);
    expect([take(), take(), take(), take(), take()]).toEqual([ruled, "1", "2", "4", "5"]);
    expect(queue.ruledSlots).toBe(0);
  });

  it("count as soon as they are asked for, so that no two local queues take a slot for them", async () => {
    const { queue, clock, claims, state } = setUp({ size: 5 });
    state.room = 2;
    claims.hold();
    queue.start();
    await clock.advance(0);
    expect(queue.ruledSlots).toBe(2);
    claims.answer();
    await clock.advance(0);
    expect(queue.ruledSlots).toBe(0);
  });

  it("get a slot although others always wait: once there are rules, a fetch waits for one that is free", async () => {
    const { queue, clock, claims, state, take } = setUp({ size: 2 });
    state.room = 1;
    claims.add(1, 7, 1);
    claims.add(3);
    queue.start();
    await clock.advance(0);
    state.room = 0;
    expect([take(), take()]).toEqual(["1", "2"]);
    await clock.advance(0);
    // Without rules it would have fetched while all slots are at work.
    expect(claims.requests).toHaveLength(1);
    state.room = 1;
    expect(take()).toBeUndefined();
    await clock.advance(0);
    expect(claims.requests.map(({ mostRuled }) => mostRuled)).toEqual([1, 1]);
    expect([take(), take()]).toEqual(["3", "4"]);
  });

  it("are not waited for when it stops", async () => {
    const { queue, clock, claims, state, take } = setUp({ size: 1 });
    state.room = 1;
    claims.add(1, 7, 1);
    queue.start();
    await clock.advance(0);
    state.room = 0;
    take();
    await clock.advance(0);
    await queue.stop();
    expect(claims.requests).toHaveLength(1);
  });
});
