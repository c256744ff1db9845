import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { workerContext } from "../../../test/harness/worker-context.ts";
import { toChains } from "../chain.ts";
import type { Wanted } from "./claim-plan.ts";
import type { Claimed, Claimer } from "./claimer.ts";
import { DirectSource } from "./direct-source.ts";
import type { Announcement } from "./notification.ts";
import type { SourceHost } from "./source.ts";

const POLL_MS = 1_000;
type Answer = { ids?: number[]; more?: boolean } | Error;

/** A direct source over a claimer that answers like this, and with nothing after that. */
function setUp(answers: Answer[] = [], slots = 2) {
  const context = workerContext({ settings: { pollIntervalMs: POLL_MS } });
  const { clock, hooks } = context;
  hooks.on("workerError", () => void (counts.failed += 1));
  const wanted: Wanted[] = [];
  const announced: Announcement[] = [];
  const counts = { available: 0, drained: 0, failed: 0, distrusted: 0 };
  const state = { free: slots, hasCandidates: false, restMs: Number.POSITIVE_INFINITY };
  let gate: Promise<void> = Promise.resolve();

  async function claim(want: Wanted): Promise<Claimed> {
    wanted.push(want);
    await gate;
    const answer = answers.shift() ?? {};
    if (answer instanceof Error) throw answer;
    const { ids = [], more = false } = answer;
    return { chains: toChains(ids.map((id) => claimedJob({ id: String(id) }))), more };
  }
  const claimer = {
    get hasCandidates() {
      return state.hasCandidates;
    },
    get restMs() {
      return state.restMs;
    },
    claim,
    announce: (announcement: Announcement) => announced.push(announcement),
    distrust: () => (counts.distrusted += 1),
  };
  const host: SourceHost = {
    get room() {
      return state.free;
    },
    available: () => void (counts.available += 1),
    drained: () => void (counts.drained += 1),
  };
  const source = new DirectSource(context, { claimer: claimer as unknown as Claimer, host });
  const hold = (): (() => void) => {
    let open: () => void = () => {};
    gate = new Promise((resolve) => (open = resolve));
    return open;
  };
  return { source, clock, wanted, announced, counts, state, hold };
}

describe("DirectSource", () => {
  it("claims as many jobs as slots are free, of each queue one", async () => {
    const { source, clock, wanted, counts } = setUp([{ ids: [1, 2], more: true }], 2);
    source.start();
    await clock.advance(0);
    expect(wanted[0]).toEqual({ quantity: 2, chainLength: 1, mostQueues: 2 });
    expect(counts.available).toBeGreaterThan(0);
    expect([source.take()?.next()?.id, source.take()?.next()?.id, source.take()]).toEqual(["1", "2", undefined]);
  });

  it("claims nothing while no slot is free, and at once when a slot asks", async () => {
    const { source, clock, wanted, state } = setUp([], 0);
    source.start();
    await clock.advance(10 * POLL_MS);
    expect(wanted).toEqual([]);
    state.free = 1;
    source.take();
    await clock.advance(0);
    expect(wanted).toHaveLength(1);
  });

  it("claims nothing more while slots do not start what is at hand", async () => {
    const { source, clock, wanted } = setUp(
      [
        { ids: [1, 2], more: true },
        { ids: [3], more: true },
      ],
      2,
    );
    source.start();
    await clock.advance(10 * POLL_MS);
    expect(wanted).toHaveLength(1);
    expect(source.take()?.next()?.id).toBe("1");
    await clock.advance(10 * POLL_MS);
    expect(wanted.map(({ quantity }) => quantity)).toEqual([2, 1]);
  });

  it("polls when nothing happens, and sooner when the claimer has not looked everywhere", async () => {
    const { source, clock, wanted, state } = setUp();
    source.start();
    await clock.advance(3 * POLL_MS - 1);
    expect(wanted).toHaveLength(3);
    state.restMs = 10;
    await clock.advance(1);
    await clock.advance(30);
    expect(wanted).toHaveLength(7);
  });

  it("claims at once when jobs are announced, also while a claim is under way", async () => {
    const { source, clock, wanted, announced, hold } = setUp();
    source.start();
    await clock.advance(0);
    const open = hold();
    source.pulse({ count: 1, at: "5" });
    await clock.advance(0);
    expect(wanted).toHaveLength(2);
    source.pulse({ count: 1, at: "6" });
    source.pulse({ count: 1, at: "7" });
    open();
    await clock.advance(0);
    expect(wanted).toHaveLength(3);
    expect(announced.map(({ at }) => at)).toEqual(["5", "6", "7"]);
  });

  it("goes on without a rest while there is more, and then says once that it is drained", async () => {
    const { source, clock, wanted, counts } = setUp([{ more: true }, { more: true }, {}]);
    source.start();
    await clock.advance(0);
    expect(wanted).toHaveLength(3);
    expect(counts.drained).toBe(1);
    expect(source.isIdle).toBe(true);
  });

  it("is not idle while jobs are at hand, a claim is under way, or a queue is to be looked at", async () => {
    const { source, clock, state, hold } = setUp([{}, { ids: [1] }]);
    expect(source.isIdle).toBe(false);
    source.start();
    await clock.advance(0);
    expect(source.isIdle).toBe(true);
    state.hasCandidates = true;
    expect(source.isIdle).toBe(false);
    state.hasCandidates = false;
    const open = hold();
    source.pulse({});
    await clock.advance(0);
    expect(source.isIdle).toBe(false);
    open();
    await clock.advance(0);
    expect(source.isIdle).toBe(false);
    source.take();
    expect(source.isIdle).toBe(true);
  });

  it("survives claims that fail, rests longer each time, and is not drained by them", async () => {
    const { source, clock, wanted, counts } = setUp(Array.from({ length: 4 }, () => new Error("down")));
    source.start();
    await clock.advance(0);
    source.pulse({});
    await clock.advance(0);
    expect(wanted).toHaveLength(1);
    expect(source.isIdle).toBe(false);
    await clock.advance(100 + 200 + 400 + 800);
    // Four that failed, which are reported once, and one that did not.
    expect(wanted).toHaveLength(5);
    expect(counts).toMatchObject({ failed: 1, drained: 1 });
  });

  it("looks everywhere when announcements may have been missed", async () => {
    const { source, clock, wanted, counts } = setUp();
    source.start();
    await clock.advance(0);
    source.distrust();
    await clock.advance(0);
    expect([counts.distrusted, wanted.length]).toEqual([1, 2]);
  });

  it("waits for the claim under way when it is stopped, gives back what was not taken, and gives nothing more", async () => {
    const { source, clock, wanted, hold } = setUp([{ ids: [1, 2] }]);
    const open = hold();
    source.start();
    await clock.advance(0);
    const stopping = source.stop();
    open();
    const left = await stopping;
    expect(left.map((chain) => chain.next()?.id)).toEqual(["1", "2"]);
    source.pulse({});
    await clock.advance(10 * POLL_MS);
    expect([source.take(), wanted.length]).toEqual([undefined, 1]);
    expect(clock.pending).toBe(0);
  });
});

describe("what a direct source has at hand", () => {
  it("can be taken out before a slot takes it", async () => {
    const { source, clock } = setUp([{ ids: [1, 2, 3] }], 3);
    source.start();
    await clock.advance(0);
    const removals = source.remove(({ id }) => id !== "2");
    expect(removals.map(({ jobs, endsChain }) => [jobs[0]?.id, endsChain])).toEqual([
      ["1", true],
      ["3", true],
    ]);
    expect(source.take()?.first?.id).toBe("2");
    expect(source.take()).toBe(undefined);
  });
});
