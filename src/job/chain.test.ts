import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../test/harness/claimed-job.ts";
import { removeJobs, toChains, type Chain } from "./chain.ts";

const jobOf = (id: number, queueId: number | null) =>
  claimedJob({ id: String(id), queueId: queueId === null ? null : String(queueId) });

function runAll(chain: Chain): string[] {
  const ids: string[] = [];
  for (let job = chain.next(); job; job = chain.next()) ids.push(job.id);
  return ids;
}

describe("toChains", () => {
  it("gives every job without a queue a chain of its own and keeps the order of claims", () => {
    const chains = toChains([jobOf(1, null), jobOf(2, 7), jobOf(3, null), jobOf(4, 8), jobOf(5, 7)]);
    expect(chains.map(({ queueId, rest }) => [queueId, rest.map(({ id }) => id)])).toEqual([
      [null, ["1"]],
      [7, ["2", "5"]],
      [null, ["3"]],
      [8, ["4"]],
    ]);
  });

  it("never makes two chains of one queue, loses no job and changes no order", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 1, max: 4 }))), (queues) => {
        const chains = toChains(queues.map((queue, index) => jobOf(index, queue)));
        const named = chains.filter(({ queueId }) => queueId !== null);
        expect(new Set(named.map(({ queueId }) => queueId)).size).toBe(named.length);
        for (const chain of named) {
          const ids = queues.flatMap((queue, index) => (queue === chain.queueId ? [String(index)] : []));
          expect(runAll(chain)).toEqual(ids);
        }
        const loose = chains.filter(({ queueId }) => queueId === null).flatMap(runAll);
        expect(loose).toEqual(queues.flatMap((queue, index) => (queue === null ? [String(index)] : [])));
      }),
    );
  });
});

describe("toChains of queues with rules", () => {
  const onLane = (id: number, lane: number | null, pool?: number) =>
    claimedJob({
      id: String(id),
      queueId: "7",
      extras:
        lane === null ? null : JSON.stringify({ lane, ...(pool === undefined ? {} : { pool: 3, poolLane: pool }) }),
    });

  it("makes a chain of each lane, and of each job where there are none", () => {
    const chains = toChains([onLane(1, 1), onLane(2, 2), onLane(3, 1), onLane(4, 0), onLane(5, 0)]);
    expect(chains.map(({ queueId, rest }) => [queueId, rest.map(({ id }) => id)])).toEqual([
      [7, ["1", "3"]],
      [7, ["2"]],
      [7, ["4"]],
      [7, ["5"]],
    ]);
  });

  it("knows what is locked beside the rows of the jobs", () => {
    const chains = [jobOf(1, null), jobOf(2, 7), onLane(3, 2), onLane(4, 0), onLane(5, 0, 4)].flatMap((job) =>
      toChains([job]),
    );
    expect(chains.map(({ isRuled, locksMore }) => [isRuled, locksMore])).toEqual([
      [false, false],
      [false, true],
      [true, true],
      [true, false],
      [true, true],
    ]);
  });
});

describe("a chain", () => {
  const chain = (): Chain => toChains([jobOf(1, 7), jobOf(2, 7), jobOf(3, 7)])[0] as Chain;

  it("gives its jobs one after another and then nothing", () => {
    const running = chain();
    expect([running.waiting, running.next()?.id, running.waiting]).toEqual([3, "1", 2]);
    expect([...runAll(running), running.next(), running.waiting]).toEqual(["2", "3", undefined, 0]);
  });

  it("ends with the job that runs when the rest is cut off", () => {
    const running = chain();
    running.next();
    expect(running.cut().map(({ id }) => id)).toEqual(["2", "3"]);
    expect([running.waiting, running.next(), running.cut()]).toEqual([0, undefined, []]);
  });
});

describe("removeJobs", () => {
  const chains = () => toChains([jobOf(1, 7), jobOf(2, null), jobOf(3, 7), jobOf(4, 8)]);
  const idsOf = (jobs: readonly { readonly id: string }[]) => jobs.map(({ id }) => id);

  it("takes out what matches, and says of each chain whether anything is left", () => {
    const { left, removals } = removeJobs(chains(), ({ id }) => ["1", "4"].includes(id));
    expect(left.map(({ rest }) => idsOf(rest))).toEqual([["3"], ["2"]]);
    expect(removals.map(({ jobs, endsChain }) => [idsOf(jobs), endsChain])).toEqual([
      [["1"], false],
      [["4"], true],
    ]);
  });

  it("leaves alone what was started", () => {
    const [chain] = chains();
    chain?.next();
    expect(idsOf(chain?.remove(() => true) ?? [])).toEqual(["3"]);
    expect(chain?.first).toBe(undefined);
  });
});
