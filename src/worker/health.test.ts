import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HealthFacts, healthOf } from "./health.ts";

const WELL: HealthFacts = {
  state: "running",
  heartbeat: { intervalMs: 4_000, longestMs: 6_000, answeredMs: 3_000, triedMs: 2_900 },
  failingClaims: undefined,
  isHeldBack: false,
  unwritten: 5,
  stuck: 0,
  deafMs: undefined,
  loopBlock: undefined,
};

const beats = (changes: Partial<NonNullable<HealthFacts["heartbeat"]>>): Partial<HealthFacts> => ({
  heartbeat: { ...(WELL.heartbeat as NonNullable<HealthFacts["heartbeat"]>), ...changes },
});

describe("a worker", () => {
  it("is live and ready when nothing is wrong", () => {
    expect(healthOf(WELL)).toEqual({ live: true, ready: true, reasons: [] });
    expect(healthOf({ ...WELL, heartbeat: undefined })).toMatchObject({ ready: true });
  });

  it.each<[string, Partial<HealthFacts>, string, string]>([
    ["was not started", { state: "idle" }, "worker", "not ready"],
    ["shuts down", { state: "stopping" }, "worker", "not ready"],
    ["has stopped", { state: "stopped" }, "worker", "not ready"],
    ["tries no heartbeat", beats({ triedMs: 18_001 }), "heartbeat", "not live"],
    ["has no answer to its heartbeats", beats({ answeredMs: 9_001 }), "database", "not ready"],
    ["cannot claim", { failingClaims: { failures: 2, sinceMs: 90, error: new Error("no") } }, "claims", "not ready"],
    ["starts no job until outcomes are written", { isHeldBack: true, unwritten: 10_000 }, "outcomes", "not ready"],
    ["has outcomes that cannot be written", { stuck: 1 }, "outcomes", "degraded"],
    ["does not listen", { deafMs: 1 }, "listener", "degraded"],
    ["stood still", { loopBlock: { blockedMs: 4_000, agoMs: 30_000 } }, "eventLoop", "degraded"],
  ])("that %s says so", (_, changes, check, effect) => {
    const { live, ready, reasons } = healthOf({ ...WELL, ...changes });
    expect(reasons.map((reason) => [reason.check, reason.effect])).toEqual([[check, effect]]);
    expect({ live, ready }).toEqual({ live: effect !== "not live", ready: effect === "degraded" });
    expect(reasons[0]?.message).toMatch(/^[ -~]+$/);
  });

  it.each<[string, Partial<HealthFacts>]>([
    ["a heartbeat on its way for as long as it may take", beats({ triedMs: 18_000 })],
    ["two heartbeats unanswered", beats({ answeredMs: 9_000 })],
    ["one claim that failed", { failingClaims: { failures: 1, sinceMs: 60_000, error: new Error("no") } }],
    ["a loop that stood still a while ago", { loopBlock: { blockedMs: 4_000, agoMs: 30_001 } }],
  ])("is well with %s", (_, changes) => {
    expect(healthOf({ ...WELL, ...changes }).reasons).toEqual([]);
  });

  it("is never restarted for a database that is away", () => {
    const away = fc.record({ answeredMs: fc.nat(), failures: fc.nat(), unwritten: fc.nat(), deafMs: fc.nat() });
    fc.assert(
      fc.property(away, ({ answeredMs, failures, unwritten, deafMs }) => {
        const failingClaims = failures === 0 ? undefined : { failures, sinceMs: answeredMs, error: "away" };
        const facts = { ...WELL, ...beats({ answeredMs }), failingClaims, unwritten, deafMs, isHeldBack: true };
        expect(healthOf(facts)).toMatchObject({ live: true, ready: false });
      }),
    );
  });
});
