import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { longestSilenceMs, type LockSighting } from "../longest-silence.ts";
import {
  lifeLeftMs,
  type Look,
  type Sighting,
  observe,
  type Watch,
  type Watched,
  type WatchLimits,
  withAbsences,
  withCompany,
} from "./watch.ts";

const LIMITS: WatchLimits = {
  watchTimeMs: 30_000,
  lockLossTimeoutMs: 8_000,
  sweepThresholdMs: 300_000,
  resilientFactor: 3,
  sweepIntervalMs: 5_000,
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

  it("is dead at once when another worker has declared it dead", () => {
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

describe("the longest silence", () => {
  it.each<[LockSighting, boolean, number]>([
    ["none", false, 300_000],
    ["none", true, 900_000],
    ["held", false, 1_800_000],
    ["held", true, 1_800_000],
    ["lost", false, 300_000],
    ["lost", true, 300_000],
  ])("with the lock %s, resilient %s, is %i ms, for sweepers and for operators", (lock, isResilient, ms) => {
    expect(longestSilenceMs({ lock, isResilient }, LIMITS)).toBe(ms);
    if (lock === "lost") return;
    const silent = (durationMs: number) =>
      left(
        every5s(durationMs, () => ({ lock })),
        isResilient,
      );
    expect(silent(ms - 5_000)).toBeGreaterThan(0);
    expect(silent(ms + 10_000)).toBe(0);
  });
});

describe("a worker whose process is certainly gone", () => {
  const gone = (lock: LockSighting, more: Partial<Sighting> = {}) => {
    const workers = [{ workerId: "w", beat: "0", declared: false, lock, isProcessGone: true, ...more }];
    const watch = observe(undefined, { sentAt: 0, answeredAt: 0, workers }, GAP);
    return lifeLeftMs(watch, watch.workers.get("w") as Watched, { ...LIMITS, isResilient: true });
  };

  it("is dead at the first look, as soon as the server has noticed", () => {
    expect(gone("lost")).toBe(0);
    expect(gone("none")).toBe(0);
    expect(gone("held")).toBeGreaterThan(0);
    expect(gone("lost", { isProcessGone: false })).toBeGreaterThan(0);
  });
});

/** One of several workers in a look. */
interface Other extends Partial<Sighting> {
  readonly absentMs?: number;
}

/** What is left to `a` in the first session of a process that has looked for so long. */
function leftInFirst(watchedMs: number, workers: Readonly<Record<string, Other>>, isFirstSession = true): number {
  const at = (sentAt: number): Look => ({
    sentAt,
    answeredAt: sentAt,
    workers: Object.entries(workers).map(([workerId, more]) => ({
      workerId,
      beat: more.lock === "held" ? String(sentAt) : "0",
      lock: "lost" as const,
      declared: false,
      isSameServer: true,
      ...more,
    })),
  });
  const seen = observe(observe(undefined, at(0), GAP), at(watchedMs), GAP);
  const absences = Object.entries(workers).map(([id, { absentMs = 0 }]) => [id, absentMs] as const);
  const watch = withAbsences(seen, new Map(absences));
  return lifeLeftMs(watch, watch.workers.get("a") as Watched, { ...LIMITS, isResilient: false, isFirstSession });
}

describe("the first session of a process", () => {
  const me = { lock: "held", isOwn: true } as const;
  const lives = { lock: "held" } as const;

  it.each<[string, Readonly<Record<string, Other>>, number]>([
    ["counts a worker dead that was absent for one and a half times the limit", { me, a: { absentMs: 12_000 } }, 0],
    ["counts what earlier processes have seen", { me, a: { absentMs: 11_000 } }, 1_000],
    [
      "does not count one on a server that was started since",
      { me, a: { absentMs: 60_000, isSameServer: false } },
      26_000,
    ],
    ["does not count one that has a session", { me, a: { absentMs: 60_000, lock: "held" } }, 1_800_000],
    ["does not count one that no session ever stood for", { me, a: { absentMs: 60_000, lock: "none" } }, 296_000],
    ["waits when all others went together", { me, a: { absentMs: 12_000 }, b: { absentMs: 12_000 } }, 26_000],
    [
      "waits when more went together than are heard of",
      { me, a: { absentMs: 12_000 }, b: { absentMs: 12_000 }, c: { absentMs: 12_000 }, d: lives },
      26_000,
    ],
    ["does not wait for one of few", { me, a: { absentMs: 12_000 }, b: { absentMs: 12_000 }, c: lives, d: lives }, 0],
    [
      "does not wait for those that went one after the other",
      { me, a: { absentMs: 12_000 }, b: { absentMs: 8_000 }, c: { absentMs: 4_000 } },
      0,
    ],
    [
      "takes the workers of one process for one",
      { me, a: { absentMs: 12_000, process: "p" }, b: { absentMs: 12_000, process: "p" } },
      0,
    ],
    ["looks past the dead", { me, a: { absentMs: 12_000 }, b: { absentMs: 12_000, declared: true } }, 0],
  ])("%s", (_, workers, leftMs) => {
    expect(leftInFirst(4_000, workers)).toBe(leftMs);
  });

  it("is not any other session", () => {
    expect(leftInFirst(4_000, { me, a: { absentMs: 60_000 } }, false)).toBe(26_000);
  });
});

describe("several workers that went at the same time", () => {
  /** Watches workers for so long, of which some are gone from a moment on, and perhaps back from another one on. */
  const leftTo = (
    goneAt: Readonly<Record<string, number>>,
    until: number,
    backAt: Readonly<Record<string, number>> = {},
  ): number => {
    let watch: Watch | undefined;
    for (let at = 0; at <= until; at += 4_000) {
      const workers = Object.entries(goneAt).map(([workerId, from]) => {
        const isGone = at >= from && at < (backAt[workerId] ?? never);
        return {
          workerId,
          beat: String(isGone ? from : at),
          lock: isGone ? ("lost" as const) : ("held" as const),
          declared: false,
          isOwn: workerId === "me",
        };
      });
      watch = withCompany(observe(watch, { sentAt: at, answeredAt: at, workers }, GAP), LIMITS);
    }
    return lifeLeftMs(watch as Watch, watch?.workers.get("a") as Watched, { ...LIMITS, isResilient: false });
  };
  const never = Number.POSITIVE_INFINITY;

  it("are dead after watchTime, not after the limit, when fewer others are heard of", () => {
    const together = { me: never, a: 40_000, b: 40_000, c: 40_000, d: never };
    expect(leftTo(together, 60_000)).toBe(10_000);
    expect(leftTo(together, 72_000)).toBe(0);
  });

  it("are not dead after the limit because others of them are back before", () => {
    const together = { me: never, a: 40_000, b: 40_000, c: 40_000, d: never };
    expect(leftTo(together, 60_000, { b: 56_000, c: 56_000 })).toBe(10_000);
    expect(leftTo(together, 72_000, { b: 56_000, c: 56_000 })).toBe(0);
    // Gone once more, and alone.
    expect(leftTo({ ...together, a: 72_000 }, 80_000, { b: 56_000, c: 56_000 })).toBe(0);
  });

  it("are dead after the limit when others are heard of, or when they went one after the other", () => {
    expect(leftTo({ me: never, a: 40_000, b: 40_000, c: never, d: never }, 48_000)).toBe(0);
    expect(leftTo({ me: never, a: 40_000, b: 52_000 }, 56_000)).toBe(0);
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

  it("no worker is dead whose heart was seen to beat within the shortest limit", () => {
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
          expect(
            lifeLeftMs(watch, worker, { ...LIMITS, isResilient: true, isFirstSession: true }),
          ).toBeGreaterThanOrEqual(0);
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
