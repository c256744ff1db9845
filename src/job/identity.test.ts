import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import type { ClaimedJob } from "./claimed-job.ts";
import { HeldJobs } from "./held-jobs.ts";
import { createWorkerId, Identity } from "./identity.ts";

function setUp() {
  const clock = createManualClock();
  const held = new HeldJobs();
  const identity = new Identity(clock, held);
  return { clock, held, identity };
}

describe("an identity", () => {
  it("changes once when several claims under one id are lost", () => {
    const { identity } = setUp();
    const old = identity.current;
    identity.distrust(old);
    const next = identity.current;
    identity.distrust(old);
    expect(identity.current).toBe(next);
  });

  it("is clean while nothing is held under it and no claim under it was lost", () => {
    const { identity, held } = setUp();
    const first = identity.current;
    expect(identity.clean).toEqual([first]);
    const job: ClaimedJob = claimedJob({ id: "1", queueId: "1" }, { workerId: first });
    held.claimed([job]);
    held.started(job);
    expect(identity.clean).toEqual([]);
    held.detached(job);
    held.released(job);
    // Its queue is locked as long as its handler goes on.
    expect(identity.clean).toEqual([]);
    held.settled(job);
    expect(identity.clean).toEqual([first]);
    identity.distrust(first);
    expect(identity.clean).toEqual([identity.current]);
  });
});

it("makes ids of 25 characters that do not repeat", () => {
  const ids = Array.from({ length: 1_000 }, () => createWorkerId());
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^howdah_[0-9a-f]{18}$/);
});

it("tells ids that are registered from those that are not", () => {
  expect(createWorkerId(false)).toMatch(/^howdah-[0-9a-f]{18}$/);
});
