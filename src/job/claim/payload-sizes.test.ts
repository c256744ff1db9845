import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { toChains, type Chain } from "../chain.ts";
import { PayloadSizes } from "./payload-sizes.ts";

interface Brought {
  readonly bytes: number;
  readonly taskId?: number;
  readonly queueId?: number;
}

/** The chains of jobs with these payloads; their ids count from 1. */
function chainsOf(...brought: readonly Brought[]): Chain[] {
  return toChains(
    brought.map(({ bytes, taskId = 1, queueId }, index) =>
      claimedJob({
        id: String(index + 1),
        taskId: String(taskId),
        payload: "x".repeat(bytes),
        ...(queueId === undefined ? {} : { queueId: String(queueId) }),
      }),
    ),
  );
}

const times = (count: number, brought: Brought): Brought[] => Array.from({ length: count }, () => brought);
const idsOf = (jobs: readonly { readonly id: string }[]): string => jobs.map(({ id }) => id).join(" ");

describe("what an answer brings beyond the bound", () => {
  it("goes back, from the first job on that is too much", () => {
    const chains = chainsOf({ bytes: 60 }, { bytes: 30 }, { bytes: 20 }, { bytes: 1 });
    const removals = new PayloadSizes(100).bound(chains, { quantity: 10, heldBytes: 0 });
    expect(removals.map(({ jobs, endsChain }) => [idsOf(jobs), endsChain])).toEqual([
      ["3", true],
      ["4", true],
    ]);
  });

  it("goes back out of a chain, which keeps its queue as long as something is left of it", () => {
    const chains = chainsOf({ bytes: 60, queueId: 7 }, { bytes: 60, queueId: 7 }, { bytes: 9, queueId: 8 });
    const removals = new PayloadSizes(100).bound(chains, { quantity: 10, heldBytes: 0 });
    expect(removals.map(({ jobs, endsChain }) => [idsOf(jobs), endsChain])).toEqual([
      ["2", false],
      ["3", true],
    ]);
    expect(chains.map(({ rest }) => idsOf(rest))).toEqual(["1", ""]);
  });

  it("is never all of it, however large the first job is and however much waits already", () => {
    const chains = chainsOf({ bytes: 900 }, { bytes: 1 });
    expect(
      new PayloadSizes(100).bound(chains, { quantity: 10, heldBytes: 500 }).map(({ jobs }) => idsOf(jobs)),
    ).toEqual(["2"]);
  });

  it("is more when something waits already", () => {
    const chains = chainsOf({ bytes: 30 }, { bytes: 30 });
    expect(new PayloadSizes(100).bound(chains, { quantity: 10, heldBytes: 50 }).map(({ jobs }) => idsOf(jobs))).toEqual(
      ["2"],
    );
  });
});

describe("the next claim", () => {
  it("asks for as many as fit if all of them are of the largest task, and for one at least", () => {
    const sizes = new PayloadSizes(100);
    sizes.bound(chainsOf({ bytes: 20, taskId: 1 }, { bytes: 30, taskId: 2 }), { quantity: 10 });
    expect([
      sizes.limit({ quantity: 10, heldBytes: 0 }),
      sizes.limit({ quantity: 2, heldBytes: 0 }),
      sizes.limit({ quantity: 10, heldBytes: 50 }),
      sizes.limit({ quantity: 10, heldBytes: 99 }),
      sizes.limit({ quantity: 10, heldBytes: 200 }),
    ]).toEqual([3, 2, 1, 1, 1]);
  });

  it("is not bounded by payloads that are small enough", () => {
    const sizes = new PayloadSizes(100);
    sizes.bound(chainsOf(...times(10, { bytes: 10 })), { quantity: 10 });
    expect(sizes.limit({ quantity: 10, heldBytes: 0 })).toBe(10);
  });

  it("is bounded by a task that hides among many small jobs", () => {
    const sizes = new PayloadSizes(1_000);
    sizes.bound(chainsOf(...times(9, { bytes: 1 }), { bytes: 500, taskId: 2 }), { quantity: 10 });
    expect(sizes.limit({ quantity: 10, heldBytes: 0 })).toBe(2);
  });

  it("is bounded less by a task whose payloads have become smaller, and in the end not at all", () => {
    const sizes = new PayloadSizes(100);
    sizes.bound(chainsOf({ bytes: 50 }), { quantity: 10, heldBytes: 0 });
    const limits = Array.from({ length: 20 }, () => {
      sizes.bound(chainsOf({ bytes: 2 }), { quantity: 10, heldBytes: 0 });
      return sizes.limit({ quantity: 10, heldBytes: 0 });
    });
    expect(limits).toEqual(limits.toSorted((a, b) => a - b));
    expect([limits[0], limits.at(-1)]).toEqual([2, 10]);
  });

  it("forgets a task that has not come for long, and is not misled by claims that brought nothing", () => {
    const sizes = new PayloadSizes(100);
    sizes.bound(chainsOf({ bytes: 50, taskId: 2 }), { quantity: 10 });
    for (let claim = 0; claim < 1_000; claim++) sizes.bound([], { quantity: 10, heldBytes: 0 });
    expect(sizes.limit({ quantity: 10, heldBytes: 0 })).toBe(2);
    for (let claim = 0; claim < 200; claim++) sizes.bound(chainsOf({ bytes: 1 }), { quantity: 10, heldBytes: 0 });
    expect(sizes.limit({ quantity: 10, heldBytes: 0 })).toBe(10);
  });
});
