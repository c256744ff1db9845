import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { workerContext } from "../../test/harness/worker-context.ts";
import type { Source } from "../job/claim/source.ts";
import type { StoredTasks } from "../job/stored-tasks.ts";
import type { Driver } from "../postgres/driver.ts";
import { IdleMode } from "./idle-mode.ts";

const SETTINGS = { idleTimeoutMs: 10_000, idlePollIntervalMs: 60_000 };

/** A worker with nothing to do, and what its parts were told, in order. */
function setUp() {
  const told: string[] = [];
  const tell = (what: string) => (): void => void told.push(what);
  const state = { isOff: true, isAtEase: true, fails: false, dueInMs: null as string | null };
  let resumed: () => void = () => undefined;
  const query = async () => {
    told.push("read the next due time");
    if (state.fails) throw new Error("the database is away");
    return { rows: [[state.dueInMs]], count: 1 };
  };
  const context = workerContext({
    driver: { query } as Partial<Driver> as Driver,
    storedTasks: { start: tell("start chores"), stop: async () => tell("stop chores")() } as unknown as StoredTasks,
  });
  const source = { isAtRest: true, suspend: tell("suspend"), resume: tell("resume"), distrust: tell("scan") };
  const engine = { source: source as unknown as Source, taken: 0 };
  const liveness = {
    get isAtEase() {
      return state.isAtEase;
    },
    suspend: async () => (told.push("leave"), state.isOff),
    resume: () => (told.push("register"), new Promise<void>((resolve) => (resumed = resolve))),
  };
  const listener = { quiet: (isQuiet: boolean) => void told.push(isQuiet ? "quiet" : "ping") };
  const cron = { resting: (isResting: boolean) => void told.push(isResting ? "rest cron" : "wake cron") };
  const mode = new IdleMode(context, SETTINGS, { engine, liveness, listener, cron });
  return { mode, told, state, engine, source, held: context.held, clock: context.clock, resume: () => resumed() };
}

const LEAVING = ["read the next due time", "scan", "suspend", "rest cron", "stop chores", "leave"];

describe("a worker that goes idle", () => {
  it("does everything in order, there and back", async () => {
    const { mode, told, clock, resume } = setUp();
    mode.start();
    await clock.advance(9_000);
    expect(told).toEqual([]);
    await clock.advance(3_000);
    expect([mode.isIdle, told.splice(0)]).toEqual([true, [...LEAVING, "quiet"]]);
    mode.notified();
    await clock.advance(0);
    expect([mode.isIdle, told.splice(0)]).toEqual([false, ["ping", "register"]]);
    // It claims nothing before it is registered.
    await clock.advance(5_000);
    expect(told).toEqual([]);
    resume();
    await clock.advance(0);
    expect(told).toEqual(["start chores", "wake cron", "resume"]);
    await mode.stop();
  });

  it("stays while it holds a job, has just run one, or others need it, and when the database does not answer", async () => {
    const { mode, told, state, engine, held, clock } = setUp();
    const job = claimedJob({ id: "1" });
    held.claimed([job]);
    mode.start();
    await clock.advance(30_000);
    held.ended(job);
    held.released(job);
    await clock.advance(9_000);
    engine.taken += 1;
    await clock.advance(9_000);
    expect(told).toEqual([]);
    state.isAtEase = false;
    await clock.advance(30_000);
    expect(told).toEqual([]);
    state.isAtEase = true;
    state.fails = true;
    await clock.advance(30_000);
    expect(new Set(told)).toEqual(new Set(["read the next due time"]));
    state.fails = false;
    await clock.advance(15_000);
    expect(mode.isIdle).toBe(true);
    await mode.stop();
  });

  it("is there when the next job becomes due", async () => {
    const { mode, told, state, clock } = setUp();
    state.dueInMs = "20000";
    mode.start();
    await clock.advance(12_000);
    expect(mode.isIdle).toBe(true);
    await clock.advance(17_000);
    expect(mode.isIdle).toBe(true);
    await clock.advance(2_000);
    expect(told.at(-1)).toBe("register");
    await mode.stop();
  });

  it("registers again when it may still be on the register, and then claims", async () => {
    const { mode, told, state, clock, resume } = setUp();
    state.isOff = false;
    mode.start();
    await clock.advance(12_000);
    expect(told).toEqual([...LEAVING, "ping", "register"]);
    resume();
    await clock.advance(0);
    expect([mode.isIdle, told.at(-1)]).toEqual([false, "resume"]);
    await mode.stop();
  });

  it("ends at once while it waits to be registered, and claims nothing more", async () => {
    const { mode, told, clock, resume } = setUp();
    mode.start();
    await clock.advance(12_000);
    mode.disturbed();
    await clock.advance(0);
    expect(told.at(-1)).toBe("register");
    await mode.stop();
    resume();
    await clock.advance(60_000);
    expect(told.at(-1)).toBe("register");
  });
});
