import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { aborted, createGate, type Gate } from "../../../test/harness/worker.ts";
import { HowdahError } from "../../errors.ts";
import { silentLogger } from "../../runtime/logger.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { Chain } from "../chain.ts";
import { defineTask } from "../task.ts";
import { createTaskRegistry } from "../task-registry.ts";
import type { Surroundings } from "./execution.ts";
import { Slots } from "./slots.ts";

/** Slots whose handlers run until their gate is opened, or until their signal is aborted when they obey. */
function setUp(settings: { concurrency?: number; timeout?: number; obeys?: boolean } = {}) {
  const { concurrency = 2, timeout, obeys = false } = settings;
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
    async run(_payload: unknown, { job, signal }) {
      await Promise.race([gateOf(job.id).opened, ...(obeys ? [aborted(signal)] : [])]);
      signal.throwIfAborted();
    },
  });
  const waiting: Chain[] = [];
  const told: string[] = [];
  const slots = new Slots({
    concurrency,
    clock,
    abortPeriodMs: 100,
    interruptedRetryMs: 500,
    tasks: createTaskRegistry([task]),
    surroundings: { logger: silentLogger } as Surroundings,
    take: () => waiting.shift(),
    started: ({ id }) => void told.push(`start ${id}`),
    ended: ({ id }, { kind }, { endsChain, durationMs }) =>
      void told.push(`${kind} ${id} ${durationMs}${endsChain ? " ends chain" : ""}`),
    settledLate: ({ id }) => void told.push(`late ${id}`),
    idle: () => void told.push("idle"),
  });
  const add = (queueId: number | null, ...ids: string[]): void => {
    const cells = queueId === null ? {} : { queueId: String(queueId) };
    waiting.push(
      new Chain(
        queueId,
        ids.map((id) => claimedJob({ id, ...cells })),
      ),
    );
  };
  /** Opens a gate and lets everything settle. */
  const end = (id: string): Promise<void> => {
    gateOf(id).open();
    return clock.advance(0);
  };
  return { slots, clock, told, add, end };
}

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
    expect(slots.pause().map(({ id }) => id)).toEqual(["2", "3"]);
    add(null, "5");
    slots.fill();
    await end("1");
    await end("4");
    expect(told).toEqual(["start 1", "start 4", "completed 1 0 ends chain", "completed 4 0 ends chain", "idle"]);
  });

  it("pass on why handlers shall stop, and count those that do as interrupted", async () => {
    const { slots, clock, told, add } = setUp({ obeys: true });
    add(1, "1");
    slots.resume();
    slots.abort(SHUTDOWN);
    await clock.advance(0);
    expect(told).toEqual(["start 1", "interrupted 1 0 ends chain", "idle"]);
    expect(slots.leftBehind).toBe(0);
  });

  it("leave handlers behind that do not stop: the attempt ends, the chain does not", async () => {
    const { slots, told, add, end } = setUp();
    add(1, "1", "2");
    slots.resume();
    slots.abort(SHUTDOWN);
    expect(slots.abandon()).toBe(1);
    expect([slots.busy, slots.leftBehind]).toEqual([0, 1]);
    expect(told).toEqual(["start 1", "interrupted 1 0", "returned 2 0"]);
    await end("1");
    expect(told.slice(3)).toEqual(["late 1", "idle"]);
    expect(slots.leftBehind).toBe(0);
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
    const { slots, clock, told, add, end } = setUp({ timeout: 50, concurrency: 1 });
    add(1, "1", "2");
    add(null, "3");
    slots.resume();
    await clock.advance(149);
    expect(told).toEqual(["start 1"]);
    await clock.advance(1);
    expect(told.slice(1)).toEqual(["failed 1 150", "returned 2 0", "start 3"]);
    await end("1");
    await end("3");
    expect(told.slice(4)).toEqual(["late 1", "completed 3 0 ends chain", "idle"]);
  });

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
