import { describe, expect, it } from "vitest";
import { idsOf, setUpLoop } from "../../../test/harness/liveness.ts";
import type { HowdahError } from "../../errors.ts";
import type { Query, Row } from "../../postgres/driver.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { Identity } from "../identity.ts";
import type { Reporter } from "../reporter.ts";
import type { Contact } from "./contact.ts";
import { LivenessLoop } from "./liveness-loop.ts";

/** A heartbeat every 4 seconds, against a register that a test can change, and no sweeps. */
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
  const { driver, context, parts } = setUpLoop((query) => {
    if (state.isDown) throw new Error("down");
    const ids = idsOf(query);
    if (query.name === "howdah_beat") {
      log.push(`beat ${ids.join()}`);
      return ids.filter((id) => register.has(id)).map((id) => [id]);
    }
    for (const id of ids) register.add(id);
    log.push(`register ${ids.join()}`);
    return [];
  });
  const identity = {
    get all() {
      return state.ids;
    },
    forget: (ids) => void (state.ids = state.ids.map((id) => (ids.has(id) ? `${id}+` : id))),
  } as Partial<Identity> as Identity;
  const reporter = {
    failure: (activity) => void (activity === "say that it lives" && log.push("failed")),
  } as Partial<Reporter> as Reporter;
  const target = { executor: driver, schema: context.schema, timeoutMs: 1_000 };
  const heartbeat = new LivenessLoop(
    { clock, identity, reporter },
    {
      ...parts,
      contact: { reach: (work) => work({ target, isRepeated: false }) } satisfies Pick<Contact, "reach">,
      sessionLock: {
        shownLock: undefined,
        get isMissing() {
          return state.isDeaf;
        },
      },
      sweeper: {
        sweep: (stopping) => clock.sleep(Number.POSITIVE_INFINITY, stopping).then(() => 0),
        forget() {},
        isAtEase: true,
      },
      watcher: {
        lose(ids, { queuedOnly }, { message }: HowdahError) {
          const [, silentMs] = /for (\d+) ms/.exec(message) ?? [];
          log.push(ids === "all" ? `out of contact ${silentMs}` : `swept ${[...ids].join()}`);
          expect(queuedOnly).toBe(ids === "all");
        },
        heartbeatAnswered() {},
      },
    },
  );
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
    heartbeat.beat();
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
    heartbeat.beat();
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

const OTHER = "howdah_0123456789abcdef01";
const INTERVAL_MS = 4_000;

/** A loop at the default intervals, beside one other worker whose session a test may end. */
async function setUpFleet({ heartbeatInterval = INTERVAL_MS } = {}) {
  const state = { beat: 1, isAlive: true, isDown: false };
  const log: string[] = [];
  const answers: (() => void)[] = [];
  /** Heartbeats are answered when a test says so. */
  const held = { isHeld: false };
  const sighting = () => [OTHER, String(state.beat), state.isAlive ? "held" : "lost", "0", "1", null, "t"];
  const statement = ({ name = "", text }: Query): string =>
    name.startsWith("howdah_beat")
      ? name.slice(7)
      : (/_howdah_(workers|declare_dead|recover)_v1/.exec(text)?.[1] ?? "");
  const test = setUpLoop(
    async (query): Promise<readonly Row[]> => {
      const name = statement(query);
      if (name !== "") log.push(name);
      const own = idsOf(query)[0] ?? "";
      if (name === "workers") {
        if (state.isDown) throw new Error("down");
        return [sighting()];
      }
      if (name === "beat") return [[own]];
      if (name === "beat_and_look") {
        const rows = [
          [...sighting(), "f"],
          [own, "1", "held", "0", "1", null, "t", "t"],
        ];
        if (held.isHeld) await new Promise<void>((resolve) => answers.push(resolve));
        return rows;
      }
      return name === "declare_dead" ? [[OTHER]] : [];
    },
    { heartbeatInterval },
  );
  await test.loop.start();
  await test.clock.advance(0);
  return { ...test, state, held, answer: () => answers.splice(0).forEach((each) => each()), take: () => log.splice(0) };
}

/** Lives on for a while, heartbeat by heartbeat. */
async function pass({ clock, state }: Awaited<ReturnType<typeof setUpFleet>>, heartbeats: number): Promise<void> {
  for (let done = 0; done < heartbeats; done += 1) {
    if (state.isAlive) state.beat += 1;
    await clock.advance(INTERVAL_MS);
  }
}

describe("a sweeper", () => {
  it("asks nothing itself while heartbeats bring the looks that would be due before the next one", async () => {
    const test = await setUpFleet();
    expect(test.take()).toEqual(["beat", "workers"]);
    await pass(test, 5);
    expect(test.take()).toEqual(Array.from({ length: 5 }, () => "beat_and_look"));
    await test.loop.stop();
  });

  it("looks itself when no look is brought in time", async () => {
    const { clock, take, loop } = await setUpFleet({ heartbeatInterval: 20_000 });
    take();
    await clock.advance(4_999);
    expect(take()).toEqual([]);
    await clock.advance(1);
    expect(take()).toEqual(["workers"]);
    await loop.stop();
  });

  it("finds the dead by looks that were brought, as soon as they are dead", async () => {
    const test = await setUpFleet();
    await pass(test, 8);
    test.take();
    test.state.isAlive = false;
    // Lost in the first look, silent and gone for eight seconds by the third.
    await pass(test, 2);
    expect(test.take()).toEqual(["beat_and_look", "beat_and_look"]);
    await pass(test, 1);
    expect(test.take()).toContain("declare_dead");
    await test.loop.stop();
  });

  it("takes no look that was asked for before its own was answered", async () => {
    const test = await setUpFleet();
    await pass(test, 8);
    test.held.isHeld = true;
    // What it looks like before the session ends.
    await pass(test, 1);
    test.held.isHeld = false;
    test.state.isAlive = false;
    test.take();
    test.loop.sessionOpened();
    await test.clock.advance(0);
    expect(test.take()).toEqual(["workers"]);
    test.answer();
    await test.clock.advance(0);
    // The heartbeat that the session wanted has joined the next look.
    await pass(test, 2);
    expect(test.take()).toContain("declare_dead");
    await test.loop.stop();
  });

  it.each(["is repeated over another way", "fails"])(
    "does not count a time that was not seen when a heartbeat that was to bring a look %s",
    async (how) => {
      const test = await setUpFleet();
      await pass(test, 8);
      test.state.isAlive = false;
      await pass(test, 1);
      test.take();
      const { reach } = test.parts.contact;
      if (how === "fails") test.parts.contact.reach = () => Promise.reject(new Error("no answer"));
      else test.way.isRepeated = true;
      await pass(test, 1);
      test.parts.contact.reach = reach;
      test.way.isRepeated = false;
      // It looks at once, and has watched for no time at all.
      expect(test.take()).toContain("workers");
      await pass(test, 6);
      expect(test.take()).not.toContain("declare_dead");
      await pass(test, 2);
      expect(test.take()).toContain("declare_dead");
      await test.loop.stop();
    },
  );

  it("wants no look and takes none while it recovers from a failure, so that a heartbeat does not fail with it", async () => {
    const { clock, state, take, told, loop } = await setUpFleet({ heartbeatInterval: 2_000 });
    await clock.advance(2_000);
    take();
    state.isDown = true;
    loop.sessionOpened();
    await clock.advance(2_000);
    expect(take()).toEqual(["workers", "beat", "beat"]);
    expect(told).toEqual(["look whether others live: Error: down"]);
    state.isDown = false;
    loop.sessionOpened();
    await clock.advance(0);
    expect(take()).toEqual(["beat"]);
    await clock.advance(5_000);
    expect(take().filter((name) => name !== "beat")[0]).toBe("workers");
    await clock.advance(10_000);
    expect(new Set(take())).toEqual(new Set(["beat", "beat_and_look"]));
    await loop.stop();
  });

  it("that takes long delays no heartbeat", async () => {
    const { clock, parts, context } = await setUpFleet();
    let beats = 0;
    const watcher = { lose() {}, heartbeatAnswered: () => void (beats += 1) };
    const sweeper = {
      sweep: (stopping: AbortSignal) => clock.sleep(600_000, stopping).then(() => 0),
      forget() {},
      isAtEase: true,
    };
    const loop = new LivenessLoop(context, { ...parts, watcher, sweeper });
    await loop.start();
    await clock.advance(60_000);
    expect(beats).toBe(16);
    await loop.stop();
  });
});
