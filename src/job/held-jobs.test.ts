import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import type { ClaimedJob, HeldPhase } from "./claimed-job.ts";
import { HeldJobs } from "./held-jobs.ts";

const shown = (held: HeldJobs): string[] =>
  Array.from(held, ({ job, phase, isLocked }) => `${job.id} ${phase}${isLocked ? "" : ", row free"}`);

describe("a held job", () => {
  it("is cached, runs, ends and is gone", () => {
    const held = new HeldJobs();
    const job = claimedJob({ id: "1" });
    held.claimed([job]);
    expect(shown(held)).toEqual(["1 cached"]);
    held.started(job);
    expect(shown(held)).toEqual(["1 running"]);
    held.ended(job);
    expect(shown(held)).toEqual(["1 ending"]);
    held.released(job);
    expect(shown(held)).toEqual([]);
  });

  it("that loses its slot is held until its outcome is written and its handler has ended, in either order", () => {
    const held = new HeldJobs();
    const jobs = [claimedJob({ id: "1" }), claimedJob({ id: "2" })] as const;
    held.claimed(jobs);
    for (const job of jobs) {
      held.started(job);
      held.detached(job);
    }
    held.released(jobs[0]);
    held.settled(jobs[1]);
    expect(shown(held)).toEqual(["1 detached, row free", "2 ending"]);
    held.settled(jobs[0]);
    held.released(jobs[1]);
    expect(shown(held)).toEqual([]);
  });

  it("is held a second time by a later claim, while its old handler goes on", () => {
    const held = new HeldJobs();
    const job = claimedJob({ id: "1" });
    held.claimed([job]);
    held.started(job);
    held.detached(job);
    held.released(job);
    const again = claimedJob({ id: "1" }, { claimedAt: "1767225600000009" });
    held.claimed([again]);
    expect(shown(held)).toEqual(["1 detached, row free", "1 cached"]);
    held.settled(job);
    expect(shown(held)).toEqual(["1 cached"]);
  });

  it("whose outcome is given up is gone, but for a handler that goes on", () => {
    const held = new HeldJobs();
    const jobs = ["1", "2", "3"].map((id) => claimedJob({ id }));
    const [, ending, detached] = jobs as [ClaimedJob, ClaimedJob, ClaimedJob];
    held.claimed(jobs);
    held.ended(ending);
    held.started(detached);
    held.detached(detached);
    held.abandon();
    expect(shown(held)).toEqual(["3 detached, row free"]);
    held.released(ending);
    held.ended(ending);
    expect(shown(held)).toHaveLength(1);
  });
});

/** What a job can go through: its row in a table, and its handler in a process. */
class Claim {
  readonly job: ClaimedJob;
  isLocked = true;
  handler: "uncalled" | "attached" | "detached" | "over" = "uncalled";

  constructor(job: ClaimedJob) {
    this.job = job;
  }

  get phase(): HeldPhase | undefined {
    if (this.handler === "detached") return "detached";
    if (!this.isLocked) return undefined;
    return ({ uncalled: "cached", attached: "running", over: "ending" } as const)[this.handler];
  }
}

const MOVES = ["start", "end", "detach", "settle", "write"] as const;

/** Moves a claim on where that is possible, and tells the register. */
function move(claim: Claim, what: (typeof MOVES)[number], held: HeldJobs): void {
  const { job, handler, isLocked } = claim;
  if (what === "start" && handler === "uncalled") {
    claim.handler = "attached";
    held.started(job);
  } else if (what === "end" && (handler === "uncalled" || handler === "attached")) {
    claim.handler = "over";
    held.ended(job);
  } else if (what === "detach" && handler === "attached") {
    claim.handler = "detached";
    held.detached(job);
  } else if (what === "settle" && handler === "detached") {
    claim.handler = "over";
    held.settled(job);
  } else if (what === "write" && isLocked && (handler === "detached" || handler === "over")) {
    claim.isLocked = false;
    held.released(job);
  }
}

describe("the register", () => {
  it("says of every claim where its row and its handler are, whatever happens to it and to others", () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant("claim" as const), which: fc.nat(4) }),
      fc.record({ what: fc.constantFrom(...MOVES), which: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const held = new HeldJobs();
        const claims: Claim[] = [];
        for (const [now, { what, which }] of steps.entries()) {
          if (what === "claim") {
            // A row is claimed once at a time.
            const id = String(which);
            if (claims.some((claim) => claim.isLocked && claim.job.id === id)) continue;
            const claim = new Claim(claimedJob({ id }, { claimedAt: String(now) }));
            claims.push(claim);
            held.claimed([claim.job]);
          } else {
            const claim = claims[which % Math.max(1, claims.length)];
            if (claim) move(claim, what, held);
          }
          const expected = claims.filter(({ phase }) => phase !== undefined);
          expect(Array.from(held, ({ job, phase, isLocked }) => ({ job, phase, isLocked }))).toEqual(
            expected.map(({ job, phase, isLocked }) => ({ job, phase, isLocked })),
          );
        }
      }),
    );
  });
});
