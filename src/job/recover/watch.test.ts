import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  lifeLeftMs,
  type LockSighting,
  type Look,
  observe,
  type Watch,
  type Watched,
  type WatchLimits,
} from "./watch.ts";

const LIMITS: WatchLimits = {
  watchTimeMs: 30_000,
  lockLossTimeoutMs: 8_000,
  sweepThresholdMs: 300_000,
  resilientFactor: 3,
};
const GAP = 10_000;

interface State {
  readonly at: number;
  readonly beat?: string;
  readonly lock?: LockSighting;
  readonly declared?: boolean;
}

function lookOf({ at, beat = "0", lock = "held", declared = false }: State): Look {
  return { sentAt: at, answeredAt: at + 10, workers: [{ workerId: "w", beat, lock, declared }] };
}

function watching(states: readonly State[]): Watch | undefined {
  return states.reduce<Watch | undefined>((watch, state) => observe(watch, lookOf(state), GAP), undefined);
}

function left(states: readonly State[], isResilient = false): number {
  const watch = watching(states) as Watch;
  return lifeLeftMs(watch, watch.workers.get("w") as Watched, { ...LIMITS, isResilient });
}

/** Looks every five seconds for so long. */
function every5s(durationMs: number, state: (at: number) => Omit<State, "at">): State[] {
  return Array.from({ length: Math.floor(durationMs / 5_000) + 1 }, (_, index) => {
    const at = index * 5_000;
    return { at, ...state(at) };
  });
}

describe("a worker", () => {
  it("is dead when its lock is gone and it was silent for 8 seconds, in looks after 30 seconds of watching", () => {
    const life = (killedAt: number, until: number) =>
      left(every5s(until, (at) => (at < killedAt ? { beat: String(at) } : { beat: "last", lock: "lost" })));
    expect(life(40_000, 45_000)).toBeGreaterThan(0);
    expect(life(40_000, 50_000)).toBe(0);
    // Too early: the sweeper has not watched for long enough.
    expect(life(0, 25_000)).toBeGreaterThan(0);
    expect(life(0, 35_000)).toBe(0);
  });

  it.each<{ lock: LockSighting; resilient?: boolean; lives: number; dies: number }>([
    { lock: "none", lives: 295_000, dies: 305_000 },
    { lock: "none", resilient: true, lives: 895_000, dies: 905_000 },
    { lock: "held", lives: 1_795_000, dies: 1_810_000 },
    { lock: "held", resilient: true, lives: 1_795_000, dies: 1_810_000 },
  ])(
    "with its lock $lock, resilient $resilient, is dead after a silence of $dies ms",
    ({ lock, resilient, lives, dies }) => {
      const silent = (durationMs: number) =>
        left(
          every5s(durationMs, () => ({ lock })),
          resilient,
        );
      expect(silent(lives)).toBeGreaterThan(0);
      expect(silent(dies)).toBe(0);
    },
  );

  it("is dead at once when somebody has declared it dead", () => {
    expect(left([{ at: 0, declared: true }])).toBe(0);
  });

  it("lives while its lock is gone and its heart beats", () => {
    expect(left(every5s(600_000, (at) => ({ lock: "lost", beat: String(at) })))).toBeGreaterThan(0);
  });

  it("lives when its lock was gone in between only", () => {
    const flicker = every5s(60_000, (at) => ({ lock: at % 10_000 === 0 ? "lost" : "held" }));
    expect(left(flicker)).toBeGreaterThan(0);
  });
});

describe("a sweeper that was stopped itself", () => {
  it("counts no more of its pause than the longest gap", () => {
    const before = every5s(40_000, (at) => ({ beat: String(at) }));
    const silent: State = { at: 5_000_000, beat: "40000", lock: "none" };
    const watch = watching([...before, silent]) as Watch;
    expect(watch.workers.get("w")).toMatchObject({ silentMs: GAP });
    expect(left([...before, silent])).toBeGreaterThan(0);
  });
});

describe("whatever is seen", () => {
  const state = fc.record({
    gap: fc.integer({ min: 0, max: 60_000 }),
    beats: fc.boolean(),
    lock: fc.constantFrom<LockSighting>("held", "lost", "none"),
  });

  it("nobody is dead whose heart was seen to beat within the shortest limit", () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 60 }), (states) => {
        let watch: Watch | undefined;
        let at = 0;
        let beat = 0;
        let lastMoved = 0;
        for (const { gap, beats, lock } of states) {
          at += gap;
          if (beats) beat += 1;
          const look = lookOf({ at, beat: String(beat), lock });
          if (beats || !watch) lastMoved = look.answeredAt;
          watch = observe(watch, look, GAP);
          const worker = watch.workers.get("w") as Watched;
          // What is counted has really passed.
          expect(worker.silentMs).toBeLessThanOrEqual(at + 10 - lastMoved);
          expect(worker.goneMs).toBeLessThanOrEqual(watch.watchedMs);
          if (lifeLeftMs(watch, worker, { ...LIMITS, isResilient: false }) > 0) continue;
          expect(at + 10 - lastMoved).toBeGreaterThanOrEqual(LIMITS.lockLossTimeoutMs);
          expect(watch.watchedMs).toBeGreaterThanOrEqual(LIMITS.watchTimeMs);
        }
      }),
    );
  });

  it("a worker that stays silent is dead in the end, in looks that come on time", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<LockSighting>("held", "lost", "none"),
        fc.integer({ min: 100, max: GAP }),
        (lock, gap) => {
          let watch: Watch | undefined;
          const limits = { ...LIMITS, sweepThresholdMs: 20_000, isResilient: false };
          for (let at = 0; at < 300_000; at += gap) watch = observe(watch, lookOf({ at, lock }), GAP);
          expect(lifeLeftMs(watch as Watch, watch?.workers.get("w") as Watched, limits)).toBe(0);
        },
      ),
    );
  });
});
