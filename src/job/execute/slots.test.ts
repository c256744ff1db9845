import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { aborted, createGate, type Gate } from "../../../test/harness/worker.ts";
import { HowdahError } from "../../errors.ts";
import { createHooks } from "../../hooks/hooks.ts";
import { createSchema } from "../../postgres/schema.ts";
import { silentLogger } from "../../runtime/logger.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { Chain } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { HeldJobs } from "../held-jobs.ts";
import { defineTask } from "../task.ts";
import { createTaskRegistry } from "../task-registry.ts";
import type { SlotContext, SlotsEngine } from "./slot.ts";
import { Slots } from "./slots.ts";

/** Slots whose handlers run until their gate is opened, or until their signal is aborted when they obey. */
function setUp(
  settings: { concurrency?: number; timeout?: number; obeys?: boolean; ignores?: boolean; completes?: boolean } = {},
) {
  const { concurrency = 2, timeout, obeys = false, ignores = false, completes = false } = settings;
  const clock = createManualClock();
  const gates = new Map<string, Gate>();
  const gateOf = (id: string): Gate => {
    const gate = gates.get(id) ?? createGate();
    gates.set(id, gate);
    return gate;
  };
  const task = defineTask({
    identifier: "t",
    ...(timeout === undefined ? {} : { timeout }),
    async run(_payload: unknown, { job, signal, complete }) {
      if (completes) await complete({ query: async () => ({ rows: [["1"]], count: 1 }) });
      await Promise.race([gateOf(job.id).opened, ...(obeys ? [aborted(signal)] : [])]);
      if (!ignores) signal.throwIfAborted();
    },
  });
  const waiting: Chain[] = [];
  const told: string[] = [];
  const left: string[] = [];
  const taken = new Set<string>();
  const trust = { until: Number.POSITIVE_INFINITY };
  const held = new HeldJobs();
  const context = {
    held,
    clock,
    hooks: createHooks({ logger: silentLogger, clock }),
    tasks: createTaskRegistry([task]),
    logger: silentLogger,
    schema: createSchema("howdah"),
    statements: { locks: { mark: async ({ id }) => !taken.has(id) } },
    reporter: {
      started: ({ id }) => void told.push(`start ${id}`),
      lost: ({ id }) => void told.push(`lost ${id}`),
      leftBehind: ({ id }, reason, durationMs) => void left.push(`${id} ${reason?.code} ${durationMs}`),
    },
    settings: {
      concurrency,
      state: undefined,
      shutdown: { abortPeriodMs: 100, interruptedJobRetryDelayMs: 500 },
    },
  } as Partial<SlotContext> as SlotContext;
  const engine: SlotsEngine = {
    get startUntil() {
      return trust.until;
    },
    accepts: () => true,
    take: () => waiting.shift(),
    ended: ({ job: { id }, outcome: { kind }, endsChain, durationMs, lost }) =>
      void told.push(`${kind} ${id} ${durationMs}${endsChain ? " ends chain" : ""}${lost ? ", lost" : ""}`),
    settledLate: ({ id }) => void told.push(`late ${id}`),
    idle: () => void told.push("idle"),
  };
  const slots = new Slots(context, engine);
  const add = (queueId: number | null, ...ids: string[]): void => {
    const cells = queueId === null ? {} : { queueId: String(queueId) };
    const jobs = ids.map((id) => claimedJob({ id, ...cells }));
    held.claimed(jobs);
    waiting.push(new Chain(queueId, jobs));
  };
  /** Opens a gate and lets everything settle. */
  const end = (id: string): Promise<void> => {
    gateOf(id).open();
    return clock.advance(0);
  };
  const ids = () => [held.jobs("running"), held.jobs("cached")].map((jobs) => jobs.map(({ id }) => id));
  /** Tells the handlers of these jobs why they must stop. */
  const lose = (matches: (job: ClaimedJob) => boolean): void => {
    for (const job of held.jobs("running").filter(matches)) slots.lose(job, LOST);
  };
  const cancel = (id: string): void => {
    for (const job of held.jobs("running")) if (job.id === id) slots.cancel(job, "enough");
  };
  return { slots, held, lose, cancel, clock, told, left, add, end, trust, taken, waiting, ids };
}

const LOST = new HowdahError("HOWDAH_ABORTED_LOST", "lost");
const SHUTDOWN = new HowdahError("HOWDAH_ABORTED_SHUTDOWN", "shutting down");

describe("slots", () => {
  it("take nothing before they are told to, and then as many chains as there are slots", async () => {
    const { slots, told, add, end } = setUp();
    for (const id of ["1", "2", "3"]) add(null, id);
    slots.fill();
    expect(told).toEqual([]);
    slots.resume();
    expect(told).toEqual(["start 1", "start 2"]);
    expect([slots.busy, slots.free]).toEqual([2, 0]);
    await end("2");
    expect(told.slice(2)).toEqual(["completed 2 0 ends chain", "start 3"]);
    await end("3");
    await end("1");
    expect(told.slice(4)).toEqual(["completed 3 0 ends chain", "completed 1 0 ends chain", "idle"]);
  });

  it("hold the queue of a job that its handler has completed, and no longer its row", async () => {
    const { slots, clock, told, add, end, held, ids } = setUp({ completes: true });
    add(7, "1");
    add(null, "2");
    slots.resume();
    const undecided = () =>
      Array.from(held, ({ job }) => job)
        .filter((job) => slots.isUndecided(job))
        .map(({ id }) => id);
    expect([ids(), undecided()]).toEqual([
      [["1", "2"], []],
      ["1", "2"],
    ]);
    await clock.advance(0);
    await end("1");
    await end("2");
    expect([ids(), undecided()]).toEqual([[[], []], []]);
    expect(told).toContain("undecided 1 0 ends chain");
  });

  it("run the jobs of a chain one after another, in one slot, and end it with the last", async () => {
    const { slots, clock, told, add, end } = setUp();
    add(1, "1", "2", "3");
    slots.resume();
    await clock.advance(10);
    expect([slots.busy, told]).toEqual([1, ["start 1"]]);
    await end("1");
    await end("2");
    await end("3");
    expect(told.slice(0, 4)).toEqual(["start 1", "completed 1 10", "start 2", "completed 2 0"]);
    expect(told.slice(4)).toEqual(["start 3", "completed 3 0 ends chain", "idle"]);
  });

  it("once paused start nothing more: what a chain has left is handed back, and its running job ends it", async () => {
    const { slots, told, add, end } = setUp();
    add(1, "1", "2", "3");
    add(null, "4");
    slots.resume();
    const removals = slots.pause();
    expect(removals.map(({ jobs, endsChain }) => [jobs.map(({ id }) => id), endsChain])).toEqual([[["2", "3"], false]]);
    add(null, "5");
    slots.fill();
    await end("1");
    await end("4");
    expect(told).toEqual(["start 1", "start 4", "completed 1 0 ends chain", "completed 4 0 ends chain", "idle"]);
  });

  it("pass on why handlers must stop, and count those that do as interrupted", async () => {
    const { slots, clock, told, add } = setUp({ obeys: true });
    add(1, "1");
    slots.resume();
    slots.abort(SHUTDOWN);
    await clock.advance(0);
    expect(told).toEqual(["start 1", "interrupted 1 0 ends chain", "idle"]);
    expect(slots.detachedCount).toBe(0);
  });

  it("leave handlers behind that do not stop: the attempt ends, the chain does not", async () => {
    const { slots, told, add, end } = setUp();
    add(1, "1", "2");
    slots.resume();
    slots.abort(SHUTDOWN);
    expect(slots.abandon()).toBe(1);
    expect([slots.busy, slots.detachedCount]).toEqual([0, 1]);
    expect(told).toEqual(["start 1", "interrupted 1 0", "returned 2 0"]);
    await end("1");
    expect(told.slice(3)).toEqual(["late 1", "idle"]);
    expect(slots.detachedCount).toBe(0);
  });
});

describe("a timeout", () => {
  it("fails an attempt whose handler stops when told to", async () => {
    const { slots, clock, told, add } = setUp({ timeout: 50, obeys: true });
    add(null, "1");
    slots.resume();
    await clock.advance(49);
    expect(told).toEqual(["start 1"]);
    await clock.advance(1);
    expect(told.slice(1)).toEqual(["failed 1 50 ends chain", "idle"]);
    expect(clock.pending).toBe(0);
  });

  it("frees the slot of a handler that ignores it after the abort period, but not its chain", async () => {
    const { slots, clock, told, left, add, end } = setUp({ timeout: 50, concurrency: 1 });
    add(1, "1", "2");
    add(null, "3");
    slots.resume();
    await clock.advance(149);
    expect([told, left]).toEqual([["start 1"], []]);
    await clock.advance(1);
    // Said once, and counted until it ends.
    expect([left, slots.detachedCount]).toEqual([["1 HOWDAH_ABORTED_TIMEOUT 150"], 1]);
    expect(told.slice(1)).toEqual(["failed 1 150", "returned 2 0", "start 3"]);
    await end("1");
    await end("3");
    expect(told.slice(4)).toEqual(["late 1", "completed 3 0 ends chain", "idle"]);
  });

  it.each([undefined, 20, 1_000])(
    "is that of the job when it has one, whatever its task says (%s)",
    async (timeout) => {
      const { slots, clock, told, waiting } = setUp({ ...(timeout === undefined ? {} : { timeout }), obeys: true });
      waiting.push(new Chain(null, [claimedJob({ extras: '{"timeoutMs":50}' })]));
      slots.resume();
      await clock.advance(49);
      expect(told).toEqual(["start 1"]);
      await clock.advance(1);
      expect(told.slice(1)).toEqual(["failed 1 50 ends chain", "idle"]);
    },
  );

  it("is forgotten when the handler is done", async () => {
    const { slots, clock, told, add, end } = setUp({ timeout: 50 });
    add(null, "1");
    slots.resume();
    await end("1");
    expect(clock.pending).toBe(0);
    await clock.advance(1_000);
    expect(told).toEqual(["start 1", "completed 1 0 ends chain", "idle"]);
  });
});

describe("slots whose jobs were cancelled", () => {
  it("tell the handler why, and run the next job of its chain when it has stopped", async () => {
    const { slots, clock, told, add, cancel } = setUp({ obeys: true });
    add(3, "1", "2");
    add(null, "4");
    slots.resume();
    await clock.advance(10);
    cancel("1");
    await clock.advance(0);
    expect(told).toEqual(["start 1", "start 4", "cancelled 1 10", "start 2"]);
  });

  it("give the slot of a handler that ignores it to others, and tell one only once that was told to stop before", async () => {
    const { slots, clock, told, add, end, cancel } = setUp({ concurrency: 1 });
    add(3, "1", "2");
    slots.resume();
    cancel("1");
    await clock.advance(60);
    cancel("1");
    await clock.advance(40);
    expect(told).toEqual(["start 1", "cancelled 1 100", "returned 2 0", "idle"]);
    await end("1");
    expect(told.slice(4)).toEqual(["late 1", "idle"]);
  });
});

const isQueued = ({ queueId }: { readonly queueId: number | null }): boolean => queueId !== null;

describe("slots whose jobs are lost", () => {
  it("tell these handlers to stop, give back the rest of their chains, and let the others be", async () => {
    const { slots, clock, told, add, ids, lose } = setUp({ obeys: true });
    add(7, "1", "2");
    add(null, "3");
    slots.resume();
    expect(ids()).toEqual([["1", "3"], ["2"]]);
    lose(isQueued);
    lose(isQueued);
    await clock.advance(0);
    expect(told.slice(2)).toEqual(["lost 1", "returned 2 0, lost", "interrupted 1 0 ends chain, lost"]);
    expect(ids()).toEqual([["3"], []]);
    expect(clock.pending).toBe(0);
  });

  it("offer what a handler has done that ends all the same", async () => {
    const { slots, told, add, end, lose } = setUp({ ignores: true });
    add(7, "1");
    slots.resume();
    lose(isQueued);
    await end("1");
    expect(told.slice(1)).toEqual(["lost 1", "completed 1 0 ends chain, lost", "idle"]);
  });

  it("give the slot of a handler that does not stop to others, but start nothing of its queue before it has ended", async () => {
    const { slots, clock, told, add, end, lose } = setUp();
    add(7, "1");
    slots.resume();
    lose(isQueued);
    await clock.advance(100);
    expect(told.slice(1)).toEqual(["lost 1", "interrupted 1 100, lost", "idle"]);
    add(7, "2", "3");
    add(8, "4");
    slots.fill();
    expect(told.slice(4)).toEqual(["start 4"]);
    expect([slots.busy, slots.free]).toEqual([1, 1]);
    await end("1");
    expect(told.slice(5)).toEqual(["late 1", "start 2"]);
    for (const id of ["2", "3", "4"]) await end(id);
    expect(told.slice(7)).toEqual([
      "completed 2 0",
      "start 3",
      "completed 3 0 ends chain",
      "completed 4 0 ends chain",
      "idle",
    ]);
  });

  it("wait with what was claimed again, and with no more handlers than slots", async () => {
    const { slots, clock, told, add, end, lose } = setUp({ concurrency: 1 });
    add(7, "1");
    slots.resume();
    lose(isQueued);
    await clock.advance(100);
    add(7, "2");
    add(null, "3");
    slots.fill();
    await end("1");
    expect(told.slice(4)).toEqual(["start 3", "late 1"]);
    await end("3");
    expect(told.slice(6)).toEqual(["completed 3 0 ends chain", "start 2"]);
  });

  it("take a queue that is claimed again for lost, and start the new chain when the old handler has ended", async () => {
    const { slots, clock, told, add, ids } = setUp({ obeys: true });
    add(7, "1", "2");
    slots.resume();
    add(7, "1", "2");
    slots.fill();
    expect(told.slice(1)).toEqual(["lost 1", "returned 2 0, lost"]);
    expect(ids()).toEqual([["1"], ["1", "2"]]);
    await clock.advance(0);
    expect(told.slice(3)).toEqual(["interrupted 1 0 ends chain, lost", "start 1"]);
  });

  it("take a job that is claimed again for lost, but wait for its handler no longer than it may take to stop", async () => {
    const { slots, clock, told, add } = setUp();
    add(null, "1");
    slots.resume();
    add(null, "1");
    slots.fill();
    await clock.advance(99);
    expect(told).toEqual(["start 1", "lost 1"]);
    await clock.advance(1);
    expect(told.slice(2)).toEqual(["interrupted 1 100, lost", "start 1"]);
  });

  it("give back what waits for an old handler, and free its queue only when that one has ended", async () => {
    const { slots, clock, told, add, end, lose } = setUp();
    add(7, "1");
    slots.resume();
    lose(isQueued);
    await clock.advance(100);
    add(7, "2", "3");
    slots.fill();
    const removals = slots.pause();
    expect(removals.map(({ jobs, endsChain }) => [jobs.map(({ id }) => id), endsChain])).toEqual([[["2", "3"], false]]);
    await end("1");
    expect(told.slice(4)).toEqual(["late 1", "late 3", "idle"]);
  });

  it("give back what has waited long enough, with its queue", async () => {
    const { slots, clock, add, end, lose } = setUp({ concurrency: 1 });
    add(7, "1");
    slots.resume();
    lose(isQueued);
    await clock.advance(100);
    add(7, "2");
    add(null, "3");
    slots.fill();
    await end("1");
    expect(slots.remove(isQueued).map(({ endsChain }) => endsChain)).toEqual([true]);
    expect(slots.remove(isQueued)).toEqual([]);
  });
});

describe("slots of a worker that may have been declared dead", () => {
  it("start nothing until it is known that it was not, and then go on", async () => {
    const { slots, clock, told, add, end, trust } = setUp({ concurrency: 1 });
    add(null, "1");
    add(null, "2");
    slots.resume();
    trust.until = 5;
    await clock.advance(10);
    await end("1");
    expect(told.slice(1)).toEqual(["completed 1 10 ends chain", "idle"]);
    trust.until = 20;
    slots.fill();
    expect(told.slice(3)).toEqual(["start 2"]);
  });

  it("give back the rest of a chain", async () => {
    const { slots, clock, told, add, end, trust } = setUp();
    add(7, "1", "2", "3");
    slots.resume();
    trust.until = 5;
    await clock.advance(10);
    await end("1");
    expect(told.slice(1)).toEqual(["returned 2 0", "returned 3 0", "completed 1 10 ends chain", "idle"]);
  });
});

describe("slots with a chain whose claim is an old one by now", () => {
  it.each([
    [0, ["completed 1", "start 2"]],
    [1, ["returned 2 0", "completed 1 ends chain", "idle"]],
  ])("give back what is left of it instead of starting it: %d ms too late", async (lateMs, expected) => {
    const { slots, clock, told, waiting, end } = setUp();
    const jobs = ["1", "2"].map((id) => claimedJob({ id, queueId: "7" }, { sentAt: clock.monotonic() }));
    const chain = new Chain(7, jobs);
    const durationMs = chain.freshUntil + lateMs;
    waiting.push(chain);
    slots.resume();
    await clock.advance(durationMs);
    await end("1");
    expect(told.slice(1)).toEqual(expected.map((line) => line.replace("completed 1", `completed 1 ${durationMs}`)));
  });
});

describe("slots with a job that keeps killing its workers", () => {
  const suspect = (id: string, queueId: number | null): Chain => {
    const cells = { id, queueId: queueId === null ? null : String(queueId), extras: '{"recoveries":2}' };
    return new Chain(queueId, [claimedJob(cells), claimedJob({ ...cells, id: `${id}b`, extras: null })]);
  };

  it("call its handler once its row is marked", async () => {
    const { slots, clock, told, waiting } = setUp();
    waiting.push(suspect("1", 7));
    slots.resume();
    expect(told).toEqual([]);
    await clock.advance(0);
    expect(told).toEqual(["start 1"]);
  });

  it("do not call it when it is another worker's by then, nor any other of its chain", async () => {
    const { slots, clock, told, waiting, taken } = setUp();
    waiting.push(suspect("1", 7));
    taken.add("1");
    slots.resume();
    await clock.advance(0);
    expect(told).toEqual(["lost 1", "returned 1b 0, lost", "returned 1 0 ends chain, lost", "idle"]);
  });
});

describe("slots with jobs of a queue with rules", () => {
  const onLane = (id: string, lane: number): Chain =>
    new Chain(7, [claimedJob({ id, queueId: "7", extras: JSON.stringify({ lane }) })]);

  it("run those on different lanes, and those without a lane, at once", async () => {
    const { slots, waiting, told, end } = setUp({ concurrency: 4 });
    waiting.push(onLane("1", 1), onLane("2", 2), onLane("3", 0), onLane("4", 0));
    slots.resume();
    expect(told).toEqual(["start 1", "start 2", "start 3", "start 4"]);
    await end("2");
    expect(told.slice(4)).toEqual(["completed 2 0 ends chain"]);
  });

  it("let a job on a lane wait for the handler that has it still, and run one without a lane again", async () => {
    const { slots, held, waiting, told, lose, clock, end } = setUp({ concurrency: 4 });
    const lost = [onLane("1", 1), onLane("2", 0)];
    held.claimed(lost.flatMap(({ rest }) => rest));
    waiting.push(...lost);
    slots.resume();
    lose(() => true);
    await clock.advance(100);
    expect([slots.busy, slots.detachedCount]).toEqual([0, 2]);
    waiting.push(onLane("3", 1), onLane("2", 0));
    slots.fill();
    expect(told.filter((line) => line.startsWith("start"))).toEqual(["start 1", "start 2", "start 2"]);
    await end("1");
    expect(told.at(-1)).toBe("start 3");
  });
});
