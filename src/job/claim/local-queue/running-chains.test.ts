import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../../test/harness/claimed-job.ts";
import { createManualClock } from "../../../testing/manual-clock.ts";
import { Chain } from "../../chain.ts";
import { RunningChains } from "./running-chains.ts";

function setUp(ttlMs = 1_000) {
  const clock = createManualClock();
  const returned: string[] = [];
  const running = new RunningChains(clock, {
    ttlMs,
    owner: { giveBackRest: (jobs) => void returned.push(...jobs.map(({ id }) => id)) },
  });
  /** A slot takes a chain that arrived just now, and starts its first job. */
  const take = (...ids: string[]): Chain => {
    const chain = new Chain(
      7,
      ids.map((id) => claimedJob({ id, queueId: "7" })),
    );
    running.add(chain, clock.monotonic());
    chain.next();
    return chain;
  };
  return { clock, running, returned, take };
}

describe("running chains", () => {
  it("count the jobs that have not been started", () => {
    const { running, take } = setUp();
    const chain = take("1", "2", "3");
    take("4", "5");
    expect(running.waiting).toBe(3);
    chain.next();
    expect(running.waiting).toBe(2);
    chain.next();
    expect(running.waiting).toBe(1);
  });

  it("lose their rest one by one, each when its own time is over", async () => {
    const { clock, running, returned, take } = setUp();
    take("1", "2", "3");
    await clock.advance(400);
    const second = take("4", "5");
    await clock.advance(599);
    expect(returned).toEqual([]);
    await clock.advance(1);
    expect(returned).toEqual(["2", "3"]);
    await clock.advance(400);
    expect(returned).toEqual(["2", "3", "5"]);
    expect([running.waiting, second.next(), clock.pending]).toEqual([0, undefined, 0]);
  });

  it("lose it at once when it arrived that long ago", async () => {
    const { clock, running, returned } = setUp();
    await clock.advance(5_000);
    running.add(new Chain(7, [claimedJob({ id: "1" }), claimedJob({ id: "2" })]), 4_000);
    await clock.advance(0);
    expect(returned).toEqual(["1", "2"]);
  });

  it("that have ended in the meantime give nothing back and do not hide the next one", async () => {
    const { clock, running, returned, take } = setUp();
    const done = take("1", "2");
    done.next();
    await clock.advance(100);
    take("3", "4");
    expect(running.waiting).toBe(1);
    await clock.advance(1_000);
    expect(returned).toEqual(["4"]);
  });

  it("are forgotten when they are stopped", async () => {
    const { clock, running, returned, take } = setUp();
    take("1", "2");
    running.stop();
    expect([running.waiting, clock.pending]).toEqual([0, 0]);
    await clock.advance(10_000);
    expect(returned).toEqual([]);
  });
});
