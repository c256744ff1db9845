import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createPlan, type FaultCounts, type FaultKind, type PlanShape } from "./plan.ts";

const COUNT = fc.integer({ min: 0, max: 30 });
const SHAPE: fc.Arbitrary<PlanShape> = fc.record({
  durationMs: fc.integer({ min: 2_000, max: 600_000 }),
  workers: fc.integer({ min: 1, max: 12 }),
  linked: fc.constantFrom([], [0]),
  producers: fc.integer({ min: 1, max: 4 }),
  faults: fc.record({
    kill: COUNT,
    shutdown: COUNT,
    freeze: COUNT,
    killProducer: COUNT,
    restart: COUNT,
    terminate: COUNT,
    link: COUNT,
    halfOpen: COUNT,
    proxyRestart: COUNT,
    pin: COUNT,
    sweep: COUNT,
  }),
});
const SEED = fc.integer({ min: 0, max: 0xffffffff });

describe("a plan", () => {
  it("is the same for the same seed, and another one for another", () => {
    fc.assert(
      fc.property(SEED, SHAPE, (seed, shape) => {
        const plan = createPlan(seed, shape);
        expect(createPlan(seed, shape)).toEqual(plan);
        // Two seeds may agree on a handful of faults, hardly on ten times.
        if (plan.length >= 10) expect(createPlan(seed ^ 1, shape)).not.toEqual(plan);
      }),
    );
  });

  it("has as many faults of each kind as were asked for, those of connections only where there is a proxy", () => {
    fc.assert(
      fc.property(SEED, SHAPE, (seed, shape) => {
        const plan = createPlan(seed, shape);
        const counts = Object.fromEntries(
          (Object.keys(shape.faults) as FaultKind[]).map((kind) => [kind, plan.filter((f) => f.kind === kind).length]),
        );
        const expected: FaultCounts = {
          ...shape.faults,
          ...(shape.linked.length > 0 ? {} : { link: 0, halfOpen: 0, proxyRestart: 0 }),
        };
        expect(counts).toEqual(expected);
      }),
    );
  });

  it("lies in its time, in order, and names no process that does not exist", () => {
    fc.assert(
      fc.property(SEED, SHAPE, (seed, shape) => {
        let before = 0;
        for (const fault of createPlan(seed, shape)) {
          expect(fault.atMs).toBeGreaterThanOrEqual(before);
          expect(fault.atMs).toBeLessThanOrEqual(shape.durationMs);
          before = fault.atMs;
          if (fault.kind === "link") expect(shape.linked).toContain(fault.place);
          else if (fault.kind === "halfOpen") {
            expect(fault.places.length).toBeGreaterThan(0);
            expect(shape.linked).toEqual(expect.arrayContaining([...fault.places]));
          } else if ("place" in fault) {
            expect(fault.place).toBeGreaterThanOrEqual(0);
            expect(fault.place).toBeLessThan(fault.kind === "killProducer" ? shape.producers : shape.workers);
          }
        }
      }),
    );
  });

  it("goes round the ways of restarting and of cutting, so that few faults see each of them", () => {
    const faults = {
      kill: 0,
      shutdown: 0,
      freeze: 0,
      killProducer: 0,
      restart: 3,
      terminate: 0,
      link: 5,
      halfOpen: 0,
      proxyRestart: 0,
      pin: 0,
      sweep: 0,
    };
    const plan = createPlan(1, { durationMs: 60_000, workers: 3, linked: [1], producers: 1, faults });
    const modes = plan.flatMap((fault) => (fault.kind === "restart" ? [fault.mode] : []));
    expect(modes.toSorted((a, b) => a.localeCompare(b))).toEqual(["crash", "fast", "immediate"]);
    expect(new Set(plan.flatMap((fault) => (fault.kind === "link" ? [fault.effect] : []))).size).toBe(5);
  });
});
