import { describe, expect, it } from "vitest";
import { createHooks } from "../../hooks/hooks.ts";
import type { Executor, QueryResult } from "../../postgres/driver.ts";
import { createSchema } from "../../postgres/schema.ts";
import { silentLogger } from "../../runtime/logger.ts";
import { readOptions } from "../../runtime/options.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { RECOVERY, toRecoverySettings } from "./options.ts";
import { Refusals } from "./refusals.ts";
import { Sweeper } from "./sweeper.ts";

const OTHER = "howdah_0123456789abcdef01";
const INTERVAL_MS = 4_000;

/** A sweeper at the default intervals, beside one other worker whose session a test may end. */
async function setUp() {
  const clock = createManualClock();
  const settings = toRecoverySettings(readOptions("worker", {}, { recovery: RECOVERY }).recovery);
  if (!settings) throw new Error("recovery is off by default");
  const state = { beat: 1, isAlive: true, isDown: false };
  const log: string[] = [];
  const session: Executor = {
    async query({ text }): Promise<QueryResult> {
      const name = /_howdah_(workers|declare_dead|recover)_v1/.exec(text)?.[1];
      if (name) log.push(name);
      if (state.isDown) throw new Error("down");
      if (name === "workers") return { rows: [sighting()], count: 1 };
      return { rows: name === "declare_dead" ? [[OTHER]] : [], count: 1 };
    },
  };
  const sighting = () => [OTHER, String(state.beat), state.isAlive ? "held" : "lost", "0", "1"];
  const sweeper = new Sweeper({
    clock,
    settings,
    logger: silentLogger,
    hooks: createHooks({ logger: silentLogger, clock }),
    target: { executor: session, schema: createSchema("howdah") },
    recoveryDelayMs: 0,
    workerId: () => "me",
    own: () => ["me"],
    session: () => session,
    isFirstSession: () => false,
    isProcessGone: () => false,
    failed: () => log.push("failed"),
    refusals: new Refusals(),
    refused: ({ kind, id }) => log.push(`refused ${kind} ${id}`),
    heldUp: (ids) => log.push(`held up ${ids.join()}`),
    sweepFailed: () => log.push("failed"),
  });
  /** What a heartbeat does that takes a look along. */
  const bring = (now = clock.monotonic()): void => {
    const workers = [
      {
        workerId: OTHER,
        beat: String(state.beat),
        lock: state.isAlive ? ("held" as const) : ("lost" as const),
        swept: 0,
        process: null,
        isSameServer: true,
      },
    ];
    sweeper.bring({
      executor: session,
      sentAt: now,
      answeredAt: now,
      sightings: { server: "1", workers },
    });
  };
  const stop = sweeper.start();
  await clock.advance(0);
  return { clock, state, sweeper, bring, stop, take: () => log.splice(0) };
}

/** Lives on for a while, heartbeat by heartbeat, each of which brings a look when one is wanted. */
async function pass(
  { clock, state, sweeper, bring }: Awaited<ReturnType<typeof setUp>>,
  heartbeats: number,
): Promise<number> {
  let brought = 0;
  for (let done = 0; done < heartbeats; done += 1) {
    await clock.advance(INTERVAL_MS);
    if (state.isAlive) state.beat += 1;
    if (!sweeper.wantsLook(INTERVAL_MS)) continue;
    bring();
    brought += 1;
    await clock.advance(0);
  }
  return brought;
}

describe("a sweeper", () => {
  it("asks nothing itself while heartbeats bring the looks that would be due before the next one", async () => {
    const test = await setUp();
    expect(test.take()).toEqual(["workers"]);
    expect(await pass(test, 5)).toBe(5);
    expect(test.take()).toEqual([]);
    await test.stop();
  });

  it("looks itself when nobody brings it a look in time", async () => {
    const { clock, take, stop } = await setUp();
    take();
    await clock.advance(4_999);
    expect(take()).toEqual([]);
    await clock.advance(1);
    expect(take()).toEqual(["workers"]);
    await stop();
  });

  it("finds the dead by looks that were brought, as soon as they are dead", async () => {
    const test = await setUp();
    await pass(test, 8);
    test.take();
    test.state.isAlive = false;
    // Lost in the first look, silent and gone for eight seconds by the third.
    await pass(test, 2);
    expect(test.take()).toEqual([]);
    await pass(test, 1);
    expect(test.take()).toContain("declare_dead");
    await test.stop();
  });

  it("takes no look that was asked for before its own was answered", async () => {
    const test = await setUp();
    await pass(test, 8);
    test.state.isAlive = false;
    const sentAt = test.clock.monotonic();
    await test.clock.advance(5_000);
    test.take();
    // What it had looked like before its own look.
    test.state.isAlive = true;
    test.bring(sentAt);
    test.state.isAlive = false;
    await test.clock.advance(0);
    await pass(test, 2);
    expect(test.take()).toContain("declare_dead");
    await test.stop();
  });

  it("does not count a time that nobody has seen when a look that was to be brought has failed", async () => {
    const test = await setUp();
    await pass(test, 8);
    test.state.isAlive = false;
    await pass(test, 1);
    test.take();
    test.sweeper.missed();
    await test.clock.advance(0);
    // It looks at once, and has watched for no time at all.
    expect(test.take()).toEqual(["workers"]);
    await pass(test, 6);
    expect(test.take()).not.toContain("declare_dead");
    await pass(test, 2);
    expect(test.take()).toContain("declare_dead");
    await test.stop();
  });

  it("wants no look and takes none while it recovers from a failure, so that a heartbeat does not fail with it", async () => {
    const { clock, state, sweeper, bring, take, stop } = await setUp();
    take();
    state.isDown = true;
    await clock.advance(5_000);
    expect(take()).toEqual(["workers", "failed"]);
    expect(sweeper.wantsLook(60_000)).toBe(false);
    bring();
    await clock.advance(0);
    expect(take()).toEqual([]);
    state.isDown = false;
    await clock.advance(5_000);
    expect(take()).toEqual(["workers"]);
    expect(sweeper.wantsLook(5_000)).toBe(true);
    await stop();
  });
});
