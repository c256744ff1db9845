import { describe, expect, it } from "vitest";
import { createFakeClaims } from "../../test/harness/fake-claims.ts";
import { createFakeLocks } from "../../test/harness/fake-locks.ts";
import { createGate } from "../../test/harness/worker.ts";
import { workerContext } from "../../test/harness/worker-context.ts";
import { HowdahError } from "../errors.ts";
import { type AnyTask, defineTask } from "../job/task.ts";
import { createTaskRegistry } from "../job/task-registry.ts";
import type { WorkerSettings } from "../job/worker-context.ts";
import type { RecoverySettings } from "../job/recover/options.ts";
import type { Release, ReleaseStatus } from "../postgres/queries/ending/release.ts";
import { Engine } from "./engine.ts";

interface SetUp extends Partial<WorkerSettings> {
  readonly task?: AnyTask;
  readonly release?: Release;
}

/** An engine over jobs in memory, whose releases are answered by `release`. */
function setUp(run: (signal: AbortSignal) => unknown, { task, release, ...settings }: SetUp = {}) {
  const claims = createFakeClaims();
  const released: string[] = [];
  const answerAll: Release = async ({ completed, changed }) => {
    released.push(...completed, ...changed.map(({ id }) => id));
    return { unreleased: new Map(), runAts: new Map(changed.map(({ id }) => [id, "0"])), releasedAts: new Map() };
  };
  const running = defineTask({ identifier: "t", run: async (_payload, { signal }) => void (await run(signal)) });
  const context = workerContext({
    statements: { claim: claims.claim, release: release ?? answerAll, locks: createFakeLocks() },
    tasks: createTaskRegistry([task ?? running]),
    settings: { localQueue: { size: 100_000, ttlMs: 300_000, refetchDelay: undefined, queueCount: 1 }, ...settings },
  });
  const { clock, hooks, held } = context;
  const engine: Engine = new Engine(context, {
    maxJobs: Number.POSITIVE_INFINITY,
    startUntil: Number.POSITIVE_INFINITY,
    // A database that answers at once that everything is as it was.
    askAgain: () =>
      queueMicrotask(() => {
        const cached = held.jobs("cached");
        const locks = cached.map((job) => [job.id, { workerId: job.lockedBy, lockedAt: job.claimedAt }] as const);
        engine.confirm(cached, new Map(locks), clock.monotonic());
      }),
  });
  return { engine, clock, claims, released, hooks, held };
}

const SHUTDOWN = {
  gracePeriodMs: 5_000,
  abortPeriodMs: 1_000,
  interruptedJobRetryDelayMs: 30_000,
  osSignals: false,
  signal: undefined,
};

describe("the register of an engine", () => {
  it("has each job from its claim to the answer of its release", async () => {
    const slow = createGate();
    const release: Release = async ({ changed }) => {
      await slow.opened;
      return { unreleased: new Map(), runAts: new Map(changed.map(({ id }) => [id, "0"])), releasedAts: new Map() };
    };
    const { engine, clock, claims, held } = setUp(
      (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        }),
      { release },
    );
    const counts = () => (["cached", "running", "detached", "ending"] as const).map((phase) => held.count(phase));
    claims.add(6);
    engine.start();
    await clock.advance(10);
    expect(counts()).toEqual([2, 4, 0, 0]);
    const stopped = engine.stop();
    await clock.advance(0);
    expect(counts()).toEqual([0, 4, 0, 2]);
    await clock.advance(5_000);
    expect(counts()).toEqual([0, 0, 0, 6]);
    slow.open();
    await stopped;
    expect(counts()).toEqual([0, 0, 0, 0]);
  });
});

describe("an engine whose outcomes are not written", () => {
  it.each<[string, ReleaseStatus | undefined]>([
    ["written", undefined],
    ["refused", "lost"],
  ])("starts nothing more after N, and goes on when they were %s", async (_, status) => {
    let startedCount = 0;
    const slow = createGate();
    const release: Release = async ({ completed }) => {
      await slow.opened;
      return {
        unreleased: new Map(status ? completed.map((id) => [id, status]) : []),
        runAts: new Map(),
        releasedAts: new Map(),
      };
    };
    const { engine, clock, claims } = setUp(() => void (startedCount += 1), { release });
    claims.add(12_000);
    engine.start();
    await clock.advance(0);
    await clock.advance(0);
    // Those that were at work when the number was reached had started before.
    expect(startedCount).toBeGreaterThanOrEqual(10_000);
    expect(startedCount).toBeLessThan(10_000 + 4);
    slow.open();
    await clock.advance(0);
    await clock.advance(0);
    expect(startedCount).toBe(12_000);
    await engine.stop();
  });
});

describe("an engine whose outcomes are stuck", () => {
  it("goes on with other jobs, however many there are", async () => {
    let startedCount = 0;
    const release: Release = async ({ completed }) => ({
      unreleased: new Map(completed.map((id) => [id, "kept"])),
      runAts: new Map(),
      releasedAts: new Map(),
    });
    const { engine, clock, claims } = setUp(() => void (startedCount += 1), { release });
    claims.add(12_000);
    engine.start();
    await clock.advance(0);
    await clock.advance(0);
    expect(startedCount).toBe(12_000);
    expect(engine.releaser).toMatchObject({ size: 12_000, stuck: 12_000 });
    await engine.stop();
  });
});

describe("an engine that stops", () => {
  it("tells handlers to stop in time although a fetch is not answered, and gives back what that brings", async () => {
    const signals: AbortSignal[] = [];
    const { engine, clock, claims, released } = setUp(
      (signal) => {
        signals.push(signal);
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        });
      },
      { localQueue: { size: 1, ttlMs: 300_000, refetchDelay: undefined, queueCount: 1 } },
    );
    claims.add(1);
    engine.start();
    await clock.advance(0);
    claims.hold();
    await clock.advance(1_000);
    expect(signals).toHaveLength(1);
    const late = claims.add(1);
    expect(claims.unanswered).toHaveLength(1);
    let hasStopped = false;
    const stopped = engine.stop().then(() => (hasStopped = true));
    await clock.advance(5_000);
    expect(signals[0]?.aborted).toBe(true);
    await clock.advance(10_000);
    expect([hasStopped, released]).toEqual([false, ["1"]]);
    claims.answer();
    await stopped;
    expect(released).toEqual(["1", ...late]);
  });

  it("waits for a handler that has lost its slot, because that one still holds its queue", async () => {
    const slow = createGate();
    const freed: number[] = [];
    const release: Release = async ({ changed, chainEnds }) => {
      freed.push(...chainEnds.map(({ queueId }) => queueId));
      return { unreleased: new Map(), runAts: new Map(changed.map(({ id }) => [id, "0"])), releasedAts: new Map() };
    };
    const task = defineTask({ identifier: "t", timeout: 20, run: () => slow.opened });
    const { engine, clock, claims } = setUp(() => undefined, {
      task,
      release,
      shutdown: { ...SHUTDOWN, abortPeriodMs: 5 },
    });
    claims.add(1, 7);
    engine.start();
    await clock.advance(50);
    expect([engine.slots.busy, freed]).toEqual([0, []]);
    let hasStopped = false;
    const stopped = engine.stop().then(() => (hasStopped = true));
    await clock.advance(1_000);
    expect(hasStopped).toBe(false);
    slow.open();
    await stopped;
    expect(freed).toEqual([7]);
  });

  it("does not wait longer than it may for a handler that has lost its slot", async () => {
    const task = defineTask({ identifier: "t", timeout: 20, run: () => new Promise(() => undefined) });
    const { engine, clock, claims } = setUp(() => undefined, { task });
    claims.add(1, 7);
    engine.start();
    await clock.advance(1_100);
    let hasStopped = false;
    void engine.stop().then(() => (hasStopped = true));
    await clock.advance(5_000 + 1_000);
    expect(hasStopped).toBe(true);
  });

  it("gives back what is cached also when handlers get no time at all", async () => {
    const answers: (() => void)[] = [];
    const released: string[] = [];
    const release: Release = async ({ changed }) => {
      await new Promise<void>((resolve) => answers.push(resolve));
      released.push(...changed.map(({ id }) => id));
      return { unreleased: new Map(), runAts: new Map(changed.map(({ id }) => [id, "0"])), releasedAts: new Map() };
    };
    const { engine, clock, claims } = setUp(() => new Promise(() => undefined), {
      release,
      shutdown: { ...SHUTDOWN, gracePeriodMs: 0, abortPeriodMs: 0 },
    });
    const ids = [...claims.add(10), ...claims.add(3, 7)];
    engine.start();
    await clock.advance(0);
    const stopped = engine.stop();
    for (let turn = 0; turn < 10; turn++) {
      await clock.advance(10);
      answers.shift()?.();
    }
    expect(await stopped).toMatchObject({ unwritten: 0 });
    expect(released.toSorted((a, b) => Number(a) - Number(b))).toEqual(ids);
  });
});

describe("a claim that is answered", () => {
  const ended: string[] = [];
  const start = (options: SetUp = {}) => {
    ended.length = 0;
    const held = setUp(() => void ended.push("ran"), options);
    const [queued] = held.claims.add(1, 7);
    const [other] = held.claims.add(1);
    held.claims.hold();
    held.engine.start();
    return { ...held, queued, other };
  };

  it("later than others may have taken the queues gives back what is queued, and runs the rest", async () => {
    const { engine, clock, claims, released, queued, other } = start({
      recovery: { contactTimeoutMs: 5_000 } as RecoverySettings,
    });
    await clock.advance(5_000);
    claims.answer();
    await clock.advance(0);
    expect(ended).toEqual(["ran"]);
    expect(new Set(released)).toEqual(new Set([queued, other]));
    await engine.stop();
  });

  it("under an id that was lost meanwhile gives everything back", async () => {
    const { engine, clock, claims, released, queued, other } = start();
    await clock.advance(0);
    engine.lose("all", { queuedOnly: false }, new HowdahError("HOWDAH_ABORTED_LOST", "lost"));
    claims.answer();
    await clock.advance(0);
    expect(ended).toEqual([]);
    expect(new Set(released)).toEqual(new Set([queued, other]));
    await engine.stop();
  });
});
