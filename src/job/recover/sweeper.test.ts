import { describe, expect, it } from "vitest";
import { createHooks } from "../../hooks/hooks.ts";
import type { Executor, QueryResult, Row } from "../../postgres/driver.ts";
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

/** A sweeper beside dead workers that have been declared so, of which each statement may answer or throw. */
async function setUpDead(ids: readonly string[], answer: (statement: string, workerId: string) => readonly Row[]) {
  const clock = createManualClock();
  const settings = toRecoverySettings(readOptions("worker", {}, { recovery: RECOVERY }).recovery);
  if (!settings) throw new Error("recovery is off by default");
  const left = new Map(ids.map((id) => [id, "1"]));
  /** Those whose registration stays, because they hold something. */
  const holding = new Set<string>();
  const statements: string[] = [];
  const told: string[] = [];
  const session: Executor = {
    async query({ text, values = [] }): Promise<QueryResult> {
      const name = /_howdah_(workers|recover|free_queues|orphans)_v1|delete_stale_workers|_howdah_swept =/.exec(text);
      const statement = name?.[1] ?? name?.[0] ?? text;
      if (statement === "workers") {
        return { rows: [...left].map(([id, swept]) => [id, "1", "lost", swept, "1"]), count: left.size };
      }
      if (statement === "orphans") return { rows: [], count: 0 };
      const workerId = String(values[0]).replace(/[{}"]/g, "");
      statements.push(`${statement} ${workerId}`);
      const rows = answer(statement, workerId);
      if (statement === "_howdah_swept =") left.set(workerId, String(values[1]));
      if (statement === "delete_stale_workers" && !holding.has(workerId)) left.delete(workerId);
      return { rows, count: rows.length };
    },
  };
  const refusals = new Refusals();
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
    failed: () => undefined,
    refusals,
    refused: ({ id }) => told.push(id),
    heldUp: (workerIds, error) => told.push(`${workerIds.join()}: ${String(error)}`),
    sweepFailed: () => told.push("failed"),
  });
  const stop = sweeper.start();
  const pass = async (ms: number): Promise<readonly string[]> => {
    for (let passed = 0; passed < ms; passed += 1_000) await clock.advance(1_000);
    return statements.splice(0);
  };
  return { left, holding, told, refusals, pass, stop };
}

const [FIRST, SECOND, THIRD] = ["01", "02", "03"].map((end) => `howdah_0123456789abcdef${end}`) as [
  string,
  string,
  string,
];
const refuse = (message: string, code = "P0001"): never => {
  throw Object.assign(new Error(message), { code });
};

describe("a sweeper that is refused something", () => {
  const poisoned = Array.from({ length: 1_000 }, (_, index) => String(index + 1));
  const rows: Row[] = poisoned.map((id) => ["refused", id, FIRST, "t", null, null, "P0001", "no"]);

  it("sends no more than 60 statements a minute after the first ten seconds, and tells of each of 1,000 jobs once", async () => {
    const { left, holding, told, refusals, pass, stop } = await setUpDead([FIRST, SECOND], (statement, workerId) =>
      statement === "recover" && holding.has(workerId) ? rows : [],
    );
    holding.add(FIRST);
    await pass(10_000);
    for (let minute = 0; minute < 6; minute += 1) {
      expect((await pass(60_000)).length).toBeLessThanOrEqual(60);
      if (minute > 2) expect(left.has(SECOND)).toBe(false);
    }
    expect(told).toEqual(poisoned);
    expect(refusals.jobs).toBe(1_000);
    holding.clear();
    await pass(120_000);
    expect(left.size).toBe(0);
    expect(refusals.jobs).toBe(0);
    await stop();
  });

  it.each([
    ["recover", "P0001"],
    ["free_queues", "23514"],
    ["_howdah_swept =", "40001"],
    ["delete_stale_workers", "53100"],
  ])("%s, of one worker: goes on with the others, and tells of it once", async (refused, code) => {
    const { left, told, pass, stop } = await setUpDead([FIRST, SECOND, THIRD], (statement, workerId) =>
      statement === refused && workerId === SECOND ? refuse("no", code) : [],
    );
    const seen = [...(await pass(180_000))];
    expect([...left.keys()]).toEqual([SECOND]);
    expect(told).toEqual([`${SECOND}: Error: no`]);
    expect(seen.filter((statement) => statement === `${refused} ${SECOND}`).length).toBeLessThan(12);
    await stop();
  });

  it("by a server that refuses all changes: tells in one line, and searches for nothing", async () => {
    const { told, pass, stop } = await setUpDead([FIRST, SECOND, THIRD], () => refuse("no space left", "53100"));
    const statements = await pass(60_000);
    expect(told).toEqual([`${[FIRST, SECOND, THIRD].join()}: Error: no space left`]);
    expect(new Set(statements)).toEqual(new Set([FIRST, SECOND, THIRD].map((id) => `recover ${id}`)));
    expect(statements.length).toBeLessThanOrEqual(18);
    await stop();
  });

  it("by a server that cannot be written to: fails as a whole, and tells once", async () => {
    const { told, pass, stop } = await setUpDead([FIRST, SECOND], () => refuse("read only", "25006"));
    const statements = await pass(60_000);
    expect(told).toEqual(["failed"]);
    expect(new Set(statements)).toEqual(new Set([`recover ${FIRST}`]));
    await stop();
  });
});
