import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { toChains } from "../chain.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import { HeldJobs } from "../held-jobs.ts";
import { TaskLimits } from "./task-limits.ts";

const IDENTIFIERS = new Map([
  [1, "render"],
  [2, "mail"],
  [3, "free"],
]);

/** Limits of two jobs of `render` and one of `mail`. */
function setUp() {
  const held = new HeldJobs();
  const limits = new TaskLimits(
    new Map([
      ["render", 2],
      ["mail", 1],
    ]),
    held,
  );
  let count = 0;
  const jobOf = (taskId: number, queueId: number | null = null): ClaimedJob => {
    count += 1;
    const cells = { id: String(count), taskId: String(taskId), queueId: queueId === null ? null : String(queueId) };
    return claimedJobOf(cells);
  };
  /** A claim that is sent for this number of jobs and brings these. Returns the ids of what is to go back, and starts the rest. */
  const claim = (quantity: number, jobs: readonly ClaimedJob[]) => {
    const plan = limits.plan(quantity, IDENTIFIERS);
    const chains = toChains(jobs);
    held.claimed(jobs);
    const removals = limits.bound(plan, chains);
    for (const job of removals.flatMap((removal) => removal.jobs)) end(job);
    for (const chain of chains) for (const job of chain.rest) held.started(job);
    return { plan, removals, back: removals.flatMap((removal) => removal.jobs.map(({ id }) => id)) };
  };
  const end = (job: ClaimedJob): void => {
    held.ended(job);
    held.released(job);
  };
  return { held, limits, jobOf, claim, end };
}

function claimedJobOf(cells: { id: string; taskId: string; queueId: string | null }): ClaimedJob {
  return claimedJob(cells, { taskIdentifiers: IDENTIFIERS });
}

describe("limits of tasks", () => {
  it("let claims bring as many jobs as may run, and then leave the task alone until one has ended", () => {
    const { limits, jobOf, claim, end } = setUp();
    const [first, second] = [jobOf(1), jobOf(1)];
    expect(claim(10, [first, second, jobOf(3)])).toMatchObject({
      plan: { quantity: 10, restingTaskIds: [] },
      back: [],
    });
    expect(limits.isAwaited("render")).toBe(false);
    expect(limits.plan(10, IDENTIFIERS).restingTaskIds).toEqual([1]);
    end(first);
    expect([limits.isAwaited("render"), limits.isAwaited("render")]).toEqual([true, false]);
    expect(limits.plan(10, IDENTIFIERS).restingTaskIds).toEqual([]);
  });

  it("have what is too much returned, and from then on ask for it apart from the others, in turns", () => {
    const { jobOf, claim } = setUp();
    const jobs = [jobOf(2), jobOf(2), jobOf(3), jobOf(2)];
    expect(claim(10, jobs).back).toEqual(["2", "4"]);
    // The task rests, then one of its jobs ends elsewhere: nothing is held of it any more.
    const other = setUp();
    const first = other.jobOf(1);
    other.claim(10, [first, other.jobOf(1), other.jobOf(1)]);
    other.end(first);
    const apart = other.claim(10, [other.jobOf(3)]);
    expect(apart.plan).toMatchObject({ quantity: 1, restingTaskIds: [], leavesMore: false });
    const rest = other.claim(10, [other.jobOf(3)]);
    expect(rest.plan).toMatchObject({ quantity: 10, restingTaskIds: [1], leavesMore: true });
    expect(other.limits.isAwaited("render")).toBe(true);
    const again = other.claim(10, []);
    expect(again.plan).toMatchObject({ quantity: 1, restingTaskIds: [] });
    // It came back short: there are not many of them any more.
    expect(other.limits.plan(10, IDENTIFIERS)).toMatchObject({ quantity: 10, restingTaskIds: [], leavesMore: false });
  });

  it("count the jobs of a chain once, and cut it at the first that is too much", () => {
    const { jobOf, claim } = setUp();
    expect(claim(10, [jobOf(2, 7), jobOf(3, 7), jobOf(2, 7)]).back).toEqual([]);
    const { back, removals } = claim(10, [jobOf(3, 8), jobOf(2, 8), jobOf(3, 8)]);
    expect([back, removals.map(({ endsChain }) => endsChain)]).toEqual([["5", "6"], [false]]);
    expect(claim(10, [jobOf(2, 9)]).removals.map(({ endsChain }) => endsChain)).toEqual([true]);
  });

  it("count handlers that go on without their slots", () => {
    const { held, limits, jobOf, claim, end } = setUp();
    const job = jobOf(2);
    claim(10, [job]);
    held.detached(job);
    held.released(job);
    expect(limits.plan(10, IDENTIFIERS).restingTaskIds).toEqual([2]);
    held.settled(job);
    end(job);
    expect(limits.plan(10, IDENTIFIERS).restingTaskIds).toEqual([]);
  });

  it("are never exceeded, whatever claims bring", () => {
    const batch = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(fc.tuple(batch, fc.nat(5)), { maxLength: 30 }), (claims) => {
        const { held, jobOf, claim, end } = setUp();
        for (const [taskIds, ends] of claims) {
          claim(
            8,
            taskIds.map((taskId) => jobOf(taskId)),
          );
          const running = held.jobs("running");
          expect(running.filter(({ task }) => task === "render").length).toBeLessThanOrEqual(2);
          expect(running.filter(({ task }) => task === "mail").length).toBeLessThanOrEqual(1);
          for (const job of running.slice(0, ends)) end(job);
        }
      }),
    );
  });
});
