import { describe, expect, it } from "vitest";
import { createManualClock } from "../../testing/manual-clock.ts";
import { Heartbeat } from "./heartbeat.ts";

/** A heartbeat every 4 seconds, against a register that a test can change. */
function setUp() {
  const manual = createManualClock();
  let stoodStillMs = 0;
  const clock = {
    ...manual,
    now: () => manual.now(),
    monotonic: () => manual.monotonic() + stoodStillMs,
    setTimer: (ms: number, callback: () => void) => manual.setTimer(ms, callback),
    sleep: (ms: number, signal?: AbortSignal) => manual.sleep(ms, signal),
    advance: (ms: number) => manual.advance(ms),
    /** Time passes, and no timer fires for it. */
    standStill: (ms: number) => void (stoodStillMs += ms),
  };
  const register = new Set<string>();
  const log: string[] = [];
  const state = { ids: ["a"], isDeaf: false, isDown: false };
  const reach = (): Promise<void> => (state.isDown ? Promise.reject(new Error("down")) : Promise.resolve());
  const heartbeat = new Heartbeat({
    clock,
    heartbeatIntervalMs: 4_000,
    contactTimeoutMs: 20_000,
    ids: () => state.ids,
    isDeaf: () => state.isDeaf,
    async register(ids) {
      await reach();
      for (const id of ids) register.add(id);
      log.push(`register ${ids.join()}`);
    },
    async beat(ids) {
      await reach();
      log.push(`beat ${ids.join()}`);
      return new Set(ids.filter((id) => register.has(id)));
    },
    swept(ids) {
      log.push(`swept ${[...ids].join()}`);
      state.ids = state.ids.map((id) => (ids.has(id) ? `${id}+` : id));
    },
    outOfContact: (silentMs) => log.push(`out of contact ${silentMs}`),
    failed: () => log.push("failed"),
  });
  const take = (): string[] => log.splice(0);
  return { clock, register, state, heartbeat, take };
}

describe("a heartbeat", () => {
  it("registers first, then beats every interval, and more often while its worker is deaf", async () => {
    const { clock, heartbeat, take, state } = setUp();
    await heartbeat.start();
    expect(take()).toEqual(["register a", "beat a"]);
    await clock.advance(8_000);
    expect(take()).toEqual(["beat a", "beat a"]);
    state.isDeaf = true;
    await clock.advance(7_000);
    expect(take()).toEqual(["beat a", "beat a", "beat a", "beat a"]);
    await heartbeat.stop();
    await clock.advance(60_000);
    expect(take()).toEqual([]);
  });

  it("beats for every id, and registers a new one at once when it is woken", async () => {
    const { clock, heartbeat, take, state } = setUp();
    await heartbeat.start();
    take();
    state.ids = ["b", "a"];
    heartbeat.wake();
    await clock.advance(0);
    expect(take()).toEqual(["register b", "beat b,a"]);
    await heartbeat.stop();
  });

  it("says who was swept, and registers what takes its place", async () => {
    const { clock, heartbeat, take, register, state } = setUp();
    state.ids = ["a", "b"];
    await heartbeat.start();
    take();
    register.delete("a");
    await clock.advance(4_000);
    expect(take()).toEqual(["beat a,b", "swept a", "register a+", "beat a+,b"]);
    await heartbeat.stop();
  });

  it("does not call an id swept that was given up while the database answered", async () => {
    const { clock, heartbeat, take, register, state } = setUp();
    state.ids = ["a", "b"];
    await heartbeat.start();
    take();
    register.delete("b");
    heartbeat.wake();
    state.ids = ["a"];
    await clock.advance(0);
    expect(take()).toEqual(["beat a"]);
    await heartbeat.stop();
  });

  it("is out of contact 20 seconds after the last success was sent, says so every second, and not any more after the next", async () => {
    const { clock, heartbeat, take, state } = setUp();
    await heartbeat.start();
    take();
    state.isDown = true;
    await clock.advance(19_900);
    expect(take()).toEqual(["failed"]);
    await clock.advance(2_100);
    expect(take()).toEqual(["out of contact 20000", "out of contact 21000", "out of contact 22000"]);
    state.isDown = false;
    await clock.advance(25_000);
    expect(take().filter((entry) => !entry.startsWith("beat"))).toEqual([]);
    await heartbeat.stop();
  });

  it("of a process that stood still is late, and no loss of contact", async () => {
    const { clock, heartbeat, take } = setUp();
    await heartbeat.start();
    take();
    clock.standStill(60_000);
    await clock.advance(4_000);
    expect(take()).toEqual(["beat a"]);
    await heartbeat.stop();
  });

  it("of a process that stood still while it had no contact gets a last chance", async () => {
    const { clock, heartbeat, take, state } = setUp();
    await heartbeat.start();
    state.isDown = true;
    await clock.advance(10_000);
    clock.standStill(60_000);
    take();
    await clock.advance(11_900);
    expect(take().filter((entry) => entry.startsWith("out"))).toEqual([]);
    await clock.advance(100);
    expect(take().filter((entry) => entry.startsWith("out"))).toEqual(["out of contact 82000"]);
    await heartbeat.stop();
  });

  it("tells of its own start that fails, and goes on trying", async () => {
    const { clock, heartbeat, take, state } = setUp();
    state.isDown = true;
    await heartbeat.start();
    await clock.advance(0);
    expect(take()).toEqual(["failed"]);
    state.isDown = false;
    await clock.advance(2_000);
    expect(take().slice(0, 2)).toEqual(["register a", "beat a"]);
    await heartbeat.stop();
  });
});
