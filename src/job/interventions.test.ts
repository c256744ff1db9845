import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { Interventions, type Decided } from "./interventions.ts";

const CLAIMED_AT = "1767225600000000";
const BEFORE = "1767225599999999";
const AFTER = "1767225600000001";

function after(answer: Partial<Decided>, nowMs = 0): Interventions {
  const interventions = new Interventions();
  interventions.update({ queues: [], tasks: [], cancelled: [], readAt: AFTER, ...answer }, nowMs);
  return interventions;
}

const queued = () => claimedJob({ id: "7", queueId: "3", queueName: "q" });

describe("a pause", () => {
  const queues = [{ id: 3, name: "q", until: "9" }];

  it("stops the jobs of its queue and of its task, and no others", () => {
    const pausedQueue = after({ queues });
    expect([queued(), claimedJob({ queueId: "4" }), claimedJob()].map((job) => pausedQueue.stops(job))).toEqual([
      true,
      false,
      false,
    ]);
    expect(after({ tasks: [{ name: "t", until: "9" }] }).stops(claimedJob())).toBe(true);
    expect(after({ tasks: [{ name: "u", until: "9" }] }).stops(claimedJob())).toBe(false);
  });

  it("counts for jobs that were claimed before it was read, as claims obey it themselves", () => {
    expect(after({ queues, readAt: CLAIMED_AT }).stops(queued())).toBe(true);
    expect(after({ queues, readAt: BEFORE }).stops(queued())).toBe(false);
  });

  it("is forgotten when every claim that had not seen it must have been answered", () => {
    const interventions = after({ queues });
    interventions.forget(119_000);
    expect(interventions.stops(queued())).toBe(true);
    interventions.forget(121_000);
    expect(interventions.isEmpty).toBe(true);
  });

  it("ends with an answer that does not hold it", () => {
    const interventions = after({ queues });
    interventions.update({ queues: [], tasks: [], cancelled: [], readAt: AFTER }, 1);
    expect(interventions.isEmpty).toBe(true);
    expect(interventions.stops(queued())).toBe(false);
  });
});

describe("a cancellation", () => {
  const cancelled = (given: object = {}) => [
    { id: "7", reason: "enough", workerId: "w", lockedAt: CLAIMED_AT, ...given },
  ];

  it("is about the claim that it was read of, or a later lock of the same claim", () => {
    expect(after({ cancelled: cancelled() }).cancelReason(queued())).toBe("enough");
    expect(after({ cancelled: cancelled({ lockedAt: AFTER }) }).cancelReason(queued())).toBe("enough");
    expect(after({ cancelled: cancelled() }).stops(queued())).toBe(true);
    for (const elsewhere of [{ id: "8" }, { workerId: "x" }, { lockedAt: BEFORE }]) {
      expect(after({ cancelled: cancelled(elsewhere) }).stops(queued())).toBe(false);
    }
  });

  it("is kept through later answers for as long as a claim may be on its way, and then forgotten", () => {
    const interventions = after({ cancelled: cancelled() });
    const nothing = { queues: [], tasks: [], cancelled: [], readAt: AFTER };
    interventions.update(nothing, 119_000);
    expect(interventions.stops(queued())).toBe(true);
    interventions.update(nothing, 121_000);
    expect(interventions.isEmpty).toBe(true);
  });
});
