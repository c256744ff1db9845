import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { workerContext } from "../../../test/harness/worker-context.ts";
import { toChains, type Removal } from "../chain.ts";
import type { Wanted } from "./claim-plan.ts";
import type { Claimed, Claimer } from "./claimer.ts";
import { DirectSource } from "./direct-source.ts";
import type { Announcement } from "./notification.ts";
import type { SourceHost } from "./source.ts";

const POLL_MS = 1_000;
/** `queued` are the ids of those in a queue, each in one of its own. */
type Answer = { ids?: number[]; queued?: number[]; more?: boolean } | Error;

/** A direct source over a claimer that answers like this, and with nothing after that. */
function setUp(answers: Answer[] = [], slots = 2, readAhead = true) {
  const context = workerContext({ settings: { pollIntervalMs: POLL_MS, concurrency: slots, readAhead } });
  const { clock, hooks } = context;
  hooks.on("workerError", () => void (counts.failed += 1));
  const wanted: Wanted[] = [];
  const announced: Announcement[] = [];
  const counts = { available: 0, drained: 0, failed: 0, distrusted: 0 };
  const state = { free: slots, hasCandidates: false, isMidScan: false, restMs: Number.POSITIVE_INFINITY };
  let gate: Promise<void> = Promise.resolve();

  async function claim(want: Wanted): Promise<Claimed> {
    wanted.push(want);
    await gate;
    const answer = answers.shift() ?? {};
    if (answer instanceof Error) throw answer;
    const { ids = [], queued = [], more = false } = answer;
    const jobs = ids.map((id) =>
      claimedJob({ id: String(id), ...(queued.includes(id) ? { queueId: String(id) } : {}) }),
    );
    return { chains: toChains(jobs), more };
  }
  const claimer = {
    get hasCandidates() {
      return state.hasCandidates;
    },
    get isMidScan() {
      return state.isMidScan;
    },
    get restMs() {
      return state.restMs;
    },
    claim,
    announce: (announcement: Announcement) => announced.push(announcement),
    distrust: () => (counts.distrusted += 1),
  };
  const host: SourceHost = {
    further: 0,
    get room() {
      return state.free;
    },
    available: () => void (counts.available += 1),
    drained: () => void (counts.drained += 1),
  };
  const returned: string[] = [];
  const giveBack = ({ jobs }: Removal): void => void returned.push(...jobs.map(({ id }) => id));
  const unstarted = { giveBack };
  const source = new DirectSource(context, { claimer: claimer as unknown as Claimer, host, unstarted });
  const hold = (): (() => void) => {
    let open: () => void = () => {};
    gate = new Promise((resolve) => (open = resolve));
    return open;
  };
  return { source, clock, wanted, announced, counts, state, hold, returned };
}

describe("DirectSource", () => {
  it("claims as many jobs as slots are free, of each queue one", async () => {
    const { source, clock, wanted, counts } = setUp([{ ids: [1, 2], more: true }], 2);
    source.start();
    await clock.advance(0);
    expect(wanted[0]).toEqual({ quantity: 2, chainLength: 1, mostQueues: 2, mostRuled: 2 });
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

  it("claims nothing while it is suspended, whatever is announced, and looks everywhere afterwards", async () => {
    const { source, clock, wanted, counts, state } = setUp();
    source.start();
    expect(source.isAtRest).toBe(false);
    await clock.advance(0);
    expect(source.isAtRest).toBe(true);
    state.isMidScan = true;
    expect(source.isAtRest).toBe(false);
    source.suspend();
    source.pulse({ jobIds: ["1"] });
    source.distrust();
    source.take();
    await clock.advance(10 * POLL_MS);
    expect(wanted).toHaveLength(1);
    source.resume();
    await clock.advance(0);
    expect([wanted.length, counts.distrusted]).toEqual([2, 2]);
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

describe("a direct source that reads ahead", () => {
  /** As `setUp`, of a worker that has run a thousand quick jobs, and where there are more than these. */
  function setUpBusy(answers: Answer[], slots = 3, readAhead?: boolean) {
    const given = answers.map((answer) => (answer instanceof Error ? answer : { more: true, ...answer }));
    const parts = setUp(given, slots, readAhead);
    const { source, state } = parts;
    for (let jobs = 0; jobs < 1_000; jobs++) source.handlerEnded(1);
    source.start();
    /** A slot takes a chain. */
    const start = (): string | undefined => {
      if (state.free === 0) return undefined;
      const chain = source.take(undefined, parts.clock.monotonic());
      if (chain) state.free -= 1;
      return chain?.next()?.id;
    };
    const startAll = (): string[] => {
      const ids: string[] = [];
      for (let id = start(); id !== undefined; id = start()) ids.push(id);
      return ids;
    };
    return { ...parts, start, startAll };
  }
  const asked = (wanted: readonly Wanted[]) => wanted.map(({ quantity, mostQueues }) => [quantity, mostQueues]);

  it("claims a batch of slots more after a claim that came back full, and no more queues than slots", async () => {
    const { source, clock, wanted, state, startAll } = setUpBusy([
      { ids: [1, 2, 3] },
      { ids: [4, 5, 6, 7, 8, 9] },
      { ids: [10] },
    ]);
    await clock.advance(0);
    expect(startAll()).toEqual(["1", "2", "3"]);
    state.free = 3;
    startAll();
    await clock.advance(0);
    state.free = 1;
    expect(startAll()).toEqual(["4"]);
    state.free = 2;
    expect(startAll()).toEqual(["5", "6"]);
    state.free = 3;
    // These are there without another claim; that follows when a slot asks for more.
    expect(startAll()).toEqual(["7", "8", "9"]);
    expect(wanted).toHaveLength(2);
    state.free = 1;
    startAll();
    await clock.advance(0);
    expect(asked(wanted)).toEqual([
      [3, 3],
      [6, 3],
      [4, 1],
    ]);
    // It brought one of four, so the next one does not read ahead.
    startAll();
    state.free = 2;
    source.pulse({});
    await clock.advance(0);
    expect(asked(wanted).at(-1)).toEqual([2, 2]);
  });

  it("starts the jobs of queues, which are locked meanwhile, and lets others wait", async () => {
    const { clock, state, startAll } = setUpBusy([{ ids: [1, 2, 3] }, { ids: [4, 5, 6, 7, 8, 9], queued: [5, 8] }]);
    await clock.advance(0);
    startAll();
    state.free = 3;
    startAll();
    await clock.advance(0);
    expect(startAll()).toEqual(["4", "5", "8"]);
    state.free = 3;
    expect(startAll()).toEqual(["6", "7", "9"]);
  });

  it("claims nothing ahead after a claim that failed", async () => {
    const { source, clock, wanted, state, startAll } = setUpBusy([{ ids: [1, 2, 3] }, new Error("down")]);
    await clock.advance(0);
    startAll();
    state.free = 3;
    startAll();
    await clock.advance(100);
    expect(asked(wanted)).toEqual([
      [3, 3],
      [6, 3],
      [3, 3],
    ]);
    await source.stop();
  });

  it.each<[string, boolean, number]>([
    ["that is told not to", false, 3],
    ["with one slot, whose jobs start in the exact order", true, 1],
  ])("is not one %s", async (_, readAhead, slots) => {
    const ids = [1, 2, 3].slice(0, slots);
    const { clock, wanted, state, startAll } = setUpBusy([{ ids }, { ids }], slots, readAhead);
    await clock.advance(0);
    for (let claims = 0; claims < 2; claims++) {
      startAll();
      state.free = slots;
      startAll();
      await clock.advance(0);
    }
    expect(new Set(wanted.map(({ quantity }) => quantity))).toEqual(new Set([slots]));
  });

  it("gives back what has not started when its time is over, also while slots refuse to start", async () => {
    const { source, clock, wanted, state, startAll, returned } = setUpBusy([
      { ids: [1, 2, 3] },
      { ids: [4, 5, 6, 7, 8] },
    ]);
    await clock.advance(0);
    startAll();
    state.free = 3;
    startAll();
    await clock.advance(49);
    expect([returned, source.take(() => false, 49)]).toEqual([[], undefined]);
    await clock.advance(1);
    expect(returned).toEqual(["7", "8"]);
    // Those that slots are free for wait for these, as ever.
    expect(startAll()).toEqual(["4", "5", "6"]);
    expect(wanted).toHaveLength(2);
  });

  it("has all at hand, so that it can be taken out, and goes back at the end", async () => {
    const { source, clock, state, startAll, start, returned } = setUpBusy([
      { ids: [1, 2, 3] },
      { ids: [4, 5, 6, 7, 8, 9] },
    ]);
    await clock.advance(0);
    startAll();
    state.free = 3;
    startAll();
    await clock.advance(0);
    startAll();
    expect(source.isIdle).toBe(false);
    expect(source.remove(({ id }) => id === "8").map(({ jobs }) => jobs[0]?.id)).toEqual(["8"]);
    state.free = 1;
    expect(start()).toBe("7");
    expect((await source.stop()).map(({ first }) => first?.id)).toEqual(["9"]);
    expect([returned, clock.pending, start()]).toEqual([[], 0, undefined]);
  });
});
