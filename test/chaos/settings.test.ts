import { describe, expect, it } from "vitest";
import { createPlan, type FaultKind } from "./plan.ts";
import { readSettings } from "./settings.ts";

const RANDOM_SEED = 7;
const read = (...args: string[]) => readSettings(args, RANDOM_SEED, "/results");

describe("the command line of the chaos suite", () => {
  it("takes the seed that is given, and otherwise a random one", () => {
    expect(read().seed).toBe(RANDOM_SEED);
    expect(read("--seed", "20").seed).toBe(20);
  });

  it("writes a result after a long run only, or where it is told to", () => {
    expect(read().out).toBeUndefined();
    expect(read("--long").out).toBe("/results");
    expect(read("--out", "/elsewhere").out).toBe("/elsewhere");
  });

  it("changes what is asked for and leaves the rest of the preset", () => {
    const { faults } = read();
    expect(read("--kills", "3").faults).toEqual({ ...faults, kill: 3 });
    expect(read("--duration", "2m", "--failing")).toMatchObject({ durationMs: 120_000, failing: true });
    const frozen = read("--no-faults", "--freezes", "4").faults;
    expect(Object.entries(frozen).filter(([, count]) => count > 0)).toEqual([["freeze", 4]]);
  });

  it("refuses what it does not know, and what is not a number", () => {
    expect(() => read("--kils", "3")).toThrow("--kils");
    expect(() => read("--kills", "many")).toThrow("--kills has to be a whole number");
  });

  it("plans connections lost without a word and restarts of a proxy in a short run, too", () => {
    const plan = createPlan(20, { ...read(), linked: [2, 4] });
    for (const kind of ["halfOpen", "proxyRestart"]) expect(plan.map((fault) => fault.kind)).toContain(kind);
  });

  it("plans a long run of at least 200,000 jobs, 200 kills, 50 terminated sessions and 10 restarts, of a proxy too", () => {
    const settings = read("--long");
    const plan = createPlan(settings.seed, { ...settings, linked: [2, 4] });
    const planned = (kind: FaultKind): number => plan.filter((fault) => fault.kind === kind).length;
    expect(settings.jobs).toBeGreaterThanOrEqual(200_000);
    expect(planned("kill")).toBeGreaterThanOrEqual(200);
    expect(planned("terminate")).toBeGreaterThanOrEqual(50);
    expect(planned("restart")).toBeGreaterThanOrEqual(10);
    expect(planned("proxyRestart")).toBeGreaterThanOrEqual(10);
    expect(planned("halfOpen")).toBeGreaterThanOrEqual(30);
  });
});
