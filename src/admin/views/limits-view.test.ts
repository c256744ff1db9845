import { describe, expect, it } from "vitest";
import type { PoolLoad } from "../../client/pool-load.ts";
import type { QueueLimits } from "../../client/queue-limits.ts";
import { type LimitsGround, stateOfLimits } from "./limits-view.ts";

const NOW = new Date("2026-11-30T12:00:00Z");
const IN_12_S = new Date(NOW.getTime() + 12_000);
const LIMITS: QueueLimits = {
  rule: "crm:*",
  concurrency: 5,
  running: 3,
  rate: null,
  share: 1,
  pool: null,
  nextStartAt: null,
  parkedUntil: null,
  isWaiting: false,
};
const POOL: PoolLoad = { name: "api", concurrency: 50, running: 50, nextStartAt: null };

function stateOf(limits: Partial<QueueLimits>, ground: Partial<LimitsGround> & { readonly isPaused?: boolean } = {}) {
  const { isPaused = false, ...rest } = ground;
  const queue = { isPaused, jobCount: { value: 9, exact: true, asOf: NOW } };
  return stateOfLimits(
    { ...LIMITS, ...limits },
    { queue, pool: undefined, deadCount: 0, nowMs: NOW.getTime(), ...rest },
  );
}

describe("the state of a queue with rules", () => {
  it("is open while its next job can start", () => {
    expect(stateOf({})).toEqual({
      state: "open",
      sentence: "Open: its next job can start. 3 of at most 5 jobs run.",
    });
    const unlimited = { concurrency: "unlimited", running: 1 } as const;
    expect(stateOf(unlimited).sentence).toBe("Open: its next job can start. 1 job runs, without a limit.");
    const queue = { isPaused: false, jobCount: { value: 1_000, exact: false, asOf: NOW } };
    expect(stateOf({ ...unlimited, running: 40 }, { queue }).sentence).toMatch(/At least 40 jobs run, without a limit/);
    const late = { nextStartAt: NOW, parkedUntil: NOW };
    expect(stateOf(late, { pool: { ...POOL, concurrency: "unlimited", running: null } }).state).toBe("open");
  });

  it.each<readonly [string, Partial<QueueLimits>, Parameters<typeof stateOf>[1], string]>([
    ["full", { running: 5 }, {}, "Full: 5 of at most 5 jobs run."],
    ["full", { concurrency: 1, running: 1 }, {}, "Full: 1 of at most 1 job runs."],
    ["rated", { nextStartAt: IN_12_S }, {}, "Its rate lets the next job start in 12 s. 3 of at most 5 jobs run."],
    [
      "parked",
      { parkedUntil: IN_12_S, running: 0 },
      {},
      "A handler has told it to wait, for 12 s more. 0 of at most 5 jobs run.",
    ],
    ["pool_full", {}, { pool: POOL }, "Its pool api is full: 50 jobs of its queues run. 3 of at most 5 jobs run."],
    [
      "pool_full",
      {},
      { pool: { ...POOL, running: 1, nextStartAt: IN_12_S } },
      "The rate of its pool api lets the next job start in 12 s. 3 of at most 5 jobs run.",
    ],
    ["paused", { running: 5 }, { isPaused: true }, "Paused: none of its jobs starts. 5 of at most 5 jobs run."],
    [
      "waiting",
      { isWaiting: true },
      { isPaused: true },
      "Waits for the end of what runs: then it gets the rules of crm:*. Until then no job starts.",
    ],
    [
      "waiting",
      { isWaiting: true, rule: null },
      {},
      "Waits for the end of what runs: then it loses its rules. Until then no job starts.",
    ],
  ])("is %s for what is first in its way: %o", (state, limits, ground, sentence) => {
    expect(stateOf(limits, ground)).toEqual({ state, sentence });
  });

  it("says how many of its lanes workers hold that died", () => {
    expect(stateOf({ running: 5 }, { deadCount: 2 }).sentence).toBe(
      "Full: 5 of at most 5 jobs run. 2 of them with workers that died: others return these.",
    );
  });
});
