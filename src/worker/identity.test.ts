import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import type { ClaimedJob } from "../job/claimed-job.ts";
import { HeldJobs } from "../job/held-jobs.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { Identity } from "./identity.ts";

function setUp(recover: (workerId: string) => Promise<number> = () => Promise.resolve(0), settledMs?: number) {
  const clock = createManualClock();
  const asked: string[] = [];
  const recovered: [string, number][] = [];
  const failures: unknown[] = [];
  const held = new HeldJobs();
  const identity = new Identity({
    clock,
    held,
    settledMs,
    recover(workerId) {
      asked.push(workerId);
      return recover(workerId);
    },
    recovered: (workerId, count) => recovered.push([workerId, count]),
    failed: (error) => failures.push(error),
  });
  /** Claims jobs under an id. */
  const claim = (workerId: string, ...ids: string[]): ClaimedJob[] => {
    const jobs = ids.map((id) => claimedJob({ id, queueId: id }, { workerId }));
    held.claimed(jobs, clock.monotonic());
    return jobs;
  };
  return { clock, held, claim, identity, asked, recovered, failures, stop: identity.start() };
}

describe("Identity", () => {
  it("stays the same while every claim is answered", async () => {
    const { clock, identity, asked, held, claim } = setUp();
    const id = identity.current;
    const [job] = claim(id, "1", "2");
    held.released(job as ClaimedJob);
    await clock.advance(600_000);
    expect(identity.current).toBe(id);
    expect(asked).toEqual([]);
  });

  it("claims under a new id after a claim whose answer was lost, and recovers the old one a minute later", async () => {
    const { clock, identity, asked, recovered } = setUp(() => Promise.resolve(3));
    const old = identity.current;
    identity.distrust(old);
    expect(identity.current).not.toBe(old);
    await clock.advance(59_000);
    expect(asked).toEqual([]);
    await clock.advance(20_000);
    expect(recovered).toEqual([[old, 3]]);
    await clock.advance(600_000);
    expect(asked).toEqual([old]);
  });

  it("recovers the old one as soon as no statement can be under way any more", async () => {
    const { clock, identity, asked } = setUp(undefined, 6_000);
    const old = identity.current;
    identity.distrust(old);
    await clock.advance(5_900);
    expect(asked).toEqual([]);
    await clock.advance(1_100);
    expect(asked).toEqual([old]);
  });

  it("recovers nothing while jobs are held under the old id", async () => {
    const { clock, identity, asked, held, claim } = setUp();
    const old = identity.current;
    const [first, second] = claim(old, "1", "2") as [ClaimedJob, ClaimedJob];
    identity.distrust(old);
    held.released(first);
    await clock.advance(600_000);
    expect(asked).toEqual([]);
    held.released(second);
    await clock.advance(20_000);
    expect(asked).toEqual([old]);
  });

  it("recovers what a run has left under its id, and goes on under another", async () => {
    const { clock, identity, asked, claim } = setUp();
    const old = identity.current;
    claim(old, "1", "2");
    identity.abandonHeld();
    expect(identity.current).not.toBe(old);
    expect(identity.all).toContain(old);
    await clock.advance(80_000);
    expect(asked).toEqual([old]);
    const next = identity.current;
    identity.abandonHeld();
    expect(identity.current).toBe(next);
  });

  it("changes once when several claims under one id are lost", () => {
    const { identity } = setUp();
    const old = identity.current;
    identity.distrust(old);
    const next = identity.current;
    identity.distrust(old);
    expect(identity.current).toBe(next);
  });

  it("tries again when recovering fails, and says so once", async () => {
    let failing = true;
    const { clock, identity, recovered, failures } = setUp(() =>
      failing ? Promise.reject(new Error("down")) : Promise.resolve(1),
    );
    const old = identity.current;
    identity.distrust(old);
    await clock.advance(200_000);
    expect(failures).toHaveLength(1);
    failing = false;
    await clock.advance(60_000);
    expect(recovered).toEqual([[old, 1]]);
  });

  it("that was declared dead is forgotten: another one takes its place, and others recover what it held", async () => {
    const { clock, identity, asked, claim } = setUp();
    const retired = identity.current;
    identity.distrust(retired);
    const dead = identity.current;
    claim(dead, "1");
    let changes = 0;
    identity.changed = () => (changes += 1);
    identity.forget(new Set([dead]));
    expect(identity.all).toEqual([identity.current, retired]);
    expect(identity.all).not.toContain(dead);
    expect(changes).toBe(1);
    identity.forget(new Set([retired]));
    expect(identity.all).toEqual([identity.current]);
    await clock.advance(600_000);
    expect(asked).toEqual([]);
  });

  it("is clean while nothing is held under it and no claim under it was lost", () => {
    const { identity, held, claim } = setUp();
    const first = identity.current;
    expect(identity.clean).toEqual([first]);
    const [job] = claim(first, "1") as [ClaimedJob];
    held.started(job, 0);
    expect(identity.clean).toEqual([]);
    held.detached(job, 0);
    held.released(job);
    // Its queue is locked as long as its handler goes on.
    expect(identity.clean).toEqual([]);
    held.settled(job, 0);
    expect(identity.clean).toEqual([first]);
    identity.distrust(first);
    expect(identity.clean).toEqual([identity.current]);
  });
});
