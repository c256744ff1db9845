import { describe, expect, it } from "vitest";
import { claimedRow } from "../../../test/harness/claimed-job.ts";
import { HowdahError } from "../../errors.ts";
import type { ClaimNamed, NamedClaimAnswer } from "../../postgres/queries/claim-named.ts";
import type { ClaimAnswer } from "../../postgres/queries/claim-answer.ts";
import type { ClaimRequest } from "../../postgres/queries/claim.ts";
import { NOTHING } from "../../../test/harness/fake-claims.ts";
import { workerContext } from "../../../test/harness/worker-context.ts";
import type { Statements } from "../../postgres/queries/statements.ts";
import type { Identity } from "../identity.ts";
import type { StoredTasks } from "../stored-tasks.ts";
import type { ForbiddenFlags } from "./claim-plan.ts";
import { Claimer } from "./claimer.ts";
import type { UnstartedJobs } from "./source.ts";

const POLL_MS = 1_000;
const LOOK = { quantity: 2, chainLength: 1, mostQueues: 2 };

type Answer = Partial<ClaimAnswer> | Error | ((request: ClaimRequest) => Promise<Partial<ClaimAnswer>>);

interface SetUp {
  readonly claimNamed?: ClaimNamed;
  readonly storedTasks?: Partial<StoredTasks>;
  readonly forbiddenFlags?: ForbiddenFlags;
}

/** A claimer whose claims are answered with these, in order, and with nothing after that. */
function setUp(answers: Answer[] = [], { claimNamed, storedTasks, forbiddenFlags = [] }: SetUp = {}) {
  const requests: ClaimRequest[] = [];
  const claimed: string[] = [];
  const uncertain: string[] = [];
  let goneCount = 0;
  async function claim(request: ClaimRequest): Promise<ClaimAnswer> {
    requests.push(request);
    const answer = answers.shift() ?? {};
    if (answer instanceof Error) throw answer;
    return { ...NOTHING, ...(typeof answer === "function" ? await answer(request) : answer) };
  }
  const identity = { current: "w", distrust: (workerId: string) => void uncertain.push(workerId) };
  const context = workerContext({
    identity: identity as Partial<Identity> as Identity,
    statements: { claim, claimNamed } as Statements,
    storedTasks: (storedTasks ?? {
      identifiersById: new Map([[1, "t"]]),
      refresh: () => void (goneCount += 1),
    }) as StoredTasks,
    settings: { pollIntervalMs: POLL_MS, forbiddenFlags },
  });
  context.hooks.on("jobFetch", ({ job }) => void claimed.push(job.id));
  const unstarted: UnstartedJobs = { keep: (chains) => chains, giveBack: () => expect.unreachable() };
  const claimer = new Claimer(context, { unstarted });
  return { claimer, clock: context.clock, requests, claimed, uncertain, gone: () => goneCount };
}

const at = (micros: string, id = "5") => ({ at: micros, id });
const seen = (priority: number, micros: string, id = "5") => ({ priority, floor: at(micros, id) });
const levelsOf = (request: ClaimRequest | undefined) =>
  request?.levels.map(({ priority, floor }) => [priority, floor.at, floor.id]);

/** The same, beside a claim by ids that is answered with these jobs. */
function setUpNamed(named: (jobIds: readonly string[]) => Promise<NamedClaimAnswer>, answers: Answer[] = []) {
  const asked: (readonly string[])[] = [];
  const claimNamed: ClaimNamed = (request) => {
    asked.push(request.jobIds);
    return named(request.jobIds);
  };
  return { ...setUp(answers, { claimNamed }), asked };
}

describe("Claimer", () => {
  it("hands out what was claimed by priority, time and id, whatever the order of the answer", async () => {
    const jobs = [
      claimedRow({ id: "10", runAt: "20" }),
      claimedRow({ id: "9", runAt: "20" }),
      claimedRow({ id: "3", runAt: "1", queueId: "7" }),
      claimedRow({ id: "4", runAt: "99", priority: "-1" }),
    ];
    const { claimer, claimed } = setUp([{ jobs, more: true }]);
    const { chains, more } = await claimer.claim(LOOK);
    expect(chains.map((chain) => chain.next()?.id)).toEqual(["4", "3", "9", "10"]);
    expect(more).toBe(true);
    expect(claimed).toEqual(["4", "3", "9", "10"]);
  });

  it("names each job by the task ids it asked with, although they were made anew before the answer came", async () => {
    let identifiers = new Map([[1, "t"]]);
    const { claimer } = setUp(
      [
        async () => {
          identifiers = new Map([[2, "t"]]);
          return { jobs: [claimedRow({ taskId: "1" })] };
        },
      ],
      {
        storedTasks: {
          get identifiersById() {
            return identifiers;
          },
        },
      },
    );
    const { chains } = await claimer.claim(LOOK);
    expect(chains.map((chain) => chain.next()?.task)).toEqual(["t"]);
  });

  it("goes on from what the answer saw, not from what it brought, and stays where nothing was looked at", async () => {
    const { claimer, requests } = setUp([
      {
        jobs: [claimedRow({ id: "9", runAt: "20" }), claimedRow({ id: "10", runAt: "90" })],
        levels: [seen(0, "25", "11"), seen(5, "70", "8")],
        due: at("30", "2"),
      },
      { levels: [{ priority: 0, floor: null }] },
    ]);
    for (let claims = 0; claims < 3; claims++) await claimer.claim(LOOK);
    for (const request of requests.slice(1)) {
      expect(levelsOf(request)).toEqual([
        [0, "25", "11"],
        [5, "70", "8"],
      ]);
      expect(request.due).toEqual(at("30", "2"));
    }
  });

  it("scans from the head at first and once a poll, and goes on from where a full scan ended", async () => {
    const full = { jobs: [claimedRow({ id: "2", runAt: "20" })], levels: [seen(0, "20", "2")], more: true };
    const { claimer, clock, requests } = setUp([{ levels: [seen(0, "500"), seen(5, "500")], due: at("500") }, full]);
    await claimer.claim(LOOK);
    await clock.advance(POLL_MS - 1);
    expect(claimer.headScanAgeMs).toBe(POLL_MS - 1);
    await clock.advance(1);
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    expect(requests.map(levelsOf)).toEqual([[], [], [[0, "20", "2"]]]);
    // Queued jobs are found by looking through the queues.
    expect(requests[1]?.due).toEqual(at("500"));
  });

  it("spends at most a twentieth of the time on full scans, priorities that a full one did not reach included", async () => {
    const slow = (ms: number, answer: Partial<ClaimAnswer>) => async () => {
      await clock.advance(ms);
      return { ...answer, tookMs: ms };
    };
    const answers: Answer[] = [
      slow(100, { levels: [seen(0, "5")] }),
      slow(60, { levels: [seen(0, "6"), seen(3, "6")] }),
      slow(60, { levels: [seen(0, "7"), seen(3, "7")] }),
    ];
    const { claimer, clock, requests } = setUp(answers);
    for (let claims = 0; claims < 3; claims++) await claimer.claim(LOOK);
    await clock.advance(20 * 160 - 60 - 1);
    await claimer.claim(LOOK);
    await clock.advance(1);
    await claimer.claim(LOOK);
    expect(requests.map((request) => request.levels.length)).toEqual([0, 1, 2, 2, 0]);
  });

  it("scans the head again at once when its process stood still before it read the answer", async () => {
    const late = async () => {
      await clock.advance(60_000);
      return { levels: [seen(0, "5")], tookMs: 2 };
    };
    const { claimer, clock, requests } = setUp([late]);
    for (let claims = 0; claims < 2; claims++) await claimer.claim(LOOK);
    expect(requests.map((request) => request.levels.length)).toEqual([0, 0]);
  });

  it("scans the head a minute after one that waited for long, for whatever", async () => {
    const waiting = async () => {
      await clock.advance(20_000);
      return { levels: [seen(0, "5")], tookMs: 20_000 };
    };
    const { claimer, clock, requests } = setUp([waiting]);
    await claimer.claim(LOOK);
    await clock.advance(63_000 - 20_000 - 1);
    await claimer.claim(LOOK);
    await clock.advance(1);
    await claimer.claim(LOOK);
    expect(requests.map((request) => request.levels.length)).toEqual([0, 1, 0]);
  });

  it("looks at a queue from its first job when announcements may have been missed", async () => {
    const taken = { jobs: [claimedRow({ id: "4", runAt: "5", queueId: "7" })], tookMs: 1 };
    const { claimer, clock, requests } = setUp([taken]);
    await claimer.claim(LOOK);
    claimer.announce({ queueIds: [7] });
    await claimer.claim(LOOK);
    claimer.distrust();
    await clock.advance(21);
    await claimer.claim(LOOK);
    expect(requests.map(({ queueFloors }) => queueFloors.map(({ queueId }) => queueId))).toEqual([[], [7], []]);
  });

  it("lowers the floors for an announced time", async () => {
    const { claimer, requests } = setUp([{ levels: [seen(0, "500")], due: at("500") }]);
    await claimer.claim(LOOK);
    claimer.announce({ count: 1, at: "300" });
    await claimer.claim(LOOK);
    expect(levelsOf(requests[1])).toEqual([[0, "300", "0"]]);
    expect(requests[1]?.due).toEqual(at("300", "0"));
  });

  it("scans from the head soon when jobs are announced without a time, but within its share", async () => {
    const slow = async () => {
      await clock.advance(10);
      return { levels: [seen(0, "500")], tookMs: 10 };
    };
    const { claimer, clock, requests } = setUp([slow]);
    await claimer.claim(LOOK);
    claimer.announce({ count: 1 });
    await claimer.claim(LOOK);
    await clock.advance(200);
    await claimer.claim(LOOK);
    expect(requests.map((request) => request.levels.length)).toEqual([0, 1, 0]);
  });

  it("claims jobs by their ids when nothing else is left, and searches again at the poll interval", async () => {
    const jobs = [claimedRow({ id: "9", runAt: "2" }), claimedRow({ id: "8", runAt: "1" })];
    const { claimer, clock, requests, claimed, asked } = setUpNamed(() => Promise.resolve({ jobs, claimedAt: "5" }));
    await claimer.claim(LOOK);
    claimer.announce({ count: 2, at: "1", jobIds: ["9", "8"] });
    const { chains, more } = await claimer.claim(LOOK);
    expect(chains.map((chain) => chain.next()?.id)).toEqual(["8", "9"]);
    expect([more, claimed, asked, requests.length]).toEqual([false, ["8", "9"], [["9", "8"]], 1]);
    expect(claimer.restMs).toBe(POLL_MS);
    await clock.advance(POLL_MS);
    claimer.announce({ count: 1, at: "3", jobIds: ["10"] });
    await claimer.claim(LOOK);
    expect([asked.length, requests.length]).toEqual([1, 2]);
  });

  it.each<[string, (claimer: Claimer) => void]>([
    ["a queue became free", (claimer) => claimer.announce({ queueIds: [4] })],
    ["announcements may have been missed", (claimer) => claimer.distrust()],
    ["tasks have changed", (claimer) => claimer.forget()],
    ["others were announced without ids", (claimer) => claimer.announce({ count: 1, at: "4" })],
  ])("searches although jobs were announced by their ids when %s", async (_, happens) => {
    const { claimer, requests, asked } = setUpNamed(() => Promise.resolve({ jobs: [], claimedAt: "5" }));
    await claimer.claim(LOOK);
    happens(claimer);
    claimer.announce({ count: 1, at: "3", jobIds: ["10"] });
    await claimer.claim(LOOK);
    expect([asked.length, requests.length]).toEqual([0, 2]);
  });

  it("searches from the announced time on after a claim by ids failed, and distrusts its id when the result is unknown", async () => {
    const lost = new HowdahError("HOWDAH_CONNECTION_LOST", "cut off");
    const { claimer, requests, uncertain } = setUpNamed(() => Promise.reject(lost), [{ levels: [seen(0, "500")] }]);
    await claimer.claim(LOOK);
    claimer.announce({ count: 1, at: "300", jobIds: ["10"] });
    await expect(claimer.claim(LOOK)).rejects.toThrow("cut off");
    claimer.announce({ count: 1, at: "400", jobIds: ["11"] });
    await claimer.claim(LOOK);
    expect(uncertain).toEqual(["w"]);
    expect(requests.map(levelsOf)).toEqual([[], [[0, "300", "0"]]]);
  });

  it("does not scan from the head because a queue became free", async () => {
    const { claimer, clock, requests } = setUp([{ levels: [seen(0, "500")] }]);
    await claimer.claim(LOOK);
    await clock.advance(1);
    claimer.announce({ queueIds: [4] });
    await claimer.claim(LOOK);
    expect(requests[1]).toMatchObject({ queueIds: [4], levels: [{ priority: 0 }] });
  });

  it("sees again what a failed claim was to see, its queues included", async () => {
    const { claimer, requests } = setUp([
      { levels: [seen(0, "500")], due: at("500") },
      new Error("down"),
      new Error("still down"),
    ]);
    await claimer.claim(LOOK);
    claimer.announce({ queueIds: [4, 9] });
    await expect(claimer.claim(LOOK)).rejects.toThrow("down");
    expect(claimer.hasCandidates).toBe(true);
    await expect(claimer.claim(LOOK)).rejects.toThrow("still down");
    await claimer.claim(LOOK);
    expect(requests[3]).toEqual(requests[1]);
  });

  it("keeps a full scan due when it failed", async () => {
    const { claimer, requests } = setUp([new Error("down"), { levels: [seen(0, "500")] }]);
    await expect(claimer.claim(LOOK)).rejects.toThrow("down");
    await claimer.claim(LOOK);
    expect(requests.map((request) => request.levels)).toEqual([[], []]);
    expect(claimer.headScanAgeMs).toBe(0);
  });

  it("does not climb over an announcement that came while the claim was under way", async () => {
    const { claimer, requests } = setUp([
      { levels: [seen(0, "500")] },
      async () => {
        claimer.announce({ count: 1, at: "300" });
        return { levels: [seen(0, "900")] };
      },
    ]);
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    expect(levelsOf(requests[2])).toEqual([[0, "300", "0"]]);
  });

  it("does not wait behind all that was left over when a queue is announced", async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => index + 1);
    const { claimer, requests } = setUp([{ leftover: many, more: true }]);
    const wanted = { quantity: 1, chainLength: 1, mostQueues: 1 };
    await claimer.claim(wanted);
    claimer.announce({ count: 1, at: "10", queueIds: [5_000] });
    await claimer.claim(wanted);
    expect(requests[1]?.queueIds).toContain(5_000);
    expect(requests[1]?.queueIds.filter((id) => id <= 1_000).length).toBeGreaterThan(0);
  });

  it("leaves room for what was left over, however many queues are announced", async () => {
    const { claimer, requests } = setUp([{ leftover: [1, 2, 3], more: true }]);
    const wanted = { quantity: 1, chainLength: 1, mostQueues: 1 };
    await claimer.claim(wanted);
    claimer.announce({ count: 100, at: "10", queueIds: Array.from({ length: 100 }, (_, index) => index + 1_000) });
    await claimer.claim(wanted);
    expect(requests[1]?.queueIds).toEqual(expect.arrayContaining([1, 2, 3]));
  });

  it("is told to go on as long as queues are known that no claim has named", async () => {
    const { claimer } = setUp([{ leftover: [1, 2, 3, 4, 5, 6, 7, 8], more: true }]);
    const wanted = { quantity: 1, chainLength: 1, mostQueues: 1 };
    await claimer.claim(wanted);
    expect((await claimer.claim(wanted)).more).toBe(true);
    expect((await claimer.claim(wanted)).more).toBe(false);
  });

  it("offers each queue once, and again only what was left over", async () => {
    const { claimer, requests } = setUp([{ leftover: [6] }]);
    claimer.announce({ queueIds: [4, 6, 4] });
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    expect(requests.map(({ queueIds }) => queueIds)).toEqual([[4, 6], [6], []]);
    expect(claimer.hasCandidates).toBe(false);
  });

  it("asks for no look at a queue it holds, until it is free or nothing is known of it any more", async () => {
    const jobs = [claimedRow({ id: "9", runAt: "20", queueId: "7" })];
    const { claimer, clock, requests } = setUp([{ jobs }, {}, { jobs }]);
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    claimer.announce({ queueIds: [7] });
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    await clock.advance(POLL_MS);
    await claimer.claim(LOOK);
    expect(requests.map(({ heldQueueIds, queueIds }) => [heldQueueIds, queueIds])).toEqual([
      [[], []],
      [[7], []],
      [[], [7]],
      [[7], []],
      [[], []],
    ]);
  });

  it("offers no more queues at once than a claim can use, and keeps the others", async () => {
    const { claimer, requests } = setUp();
    claimer.announce({ queueIds: Array.from({ length: 12 }, (_, index) => index + 1) });
    await claimer.claim(LOOK);
    await claimer.claim(LOOK);
    expect(requests.flatMap(({ queueIds }) => queueIds)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(requests[0]?.queueIds).toHaveLength(7);
  });

  it("looks through all queues at first, rests, and looks again when announcements may have been missed", async () => {
    const look = { windowStart: 3, windowAfter: 3, windowWrapped: true, windowMs: 1 };
    const { claimer, requests } = setUp([look, {}, look]);
    await claimer.claim(LOOK);
    expect(claimer.restMs).toBe(POLL_MS);
    await claimer.claim(LOOK);
    claimer.distrust();
    await claimer.claim(LOOK);
    expect(requests.map(({ windowAfter, levels }) => [windowAfter, levels.length])).toEqual([
      [-1, 0],
      [null, 0],
      [3, 0],
    ]);
  });

  it("looks through all queues with one claim at a time, and with the next one when that failed", async () => {
    let fail: (error: Error) => void = () => expect.unreachable();
    const { claimer, requests } = setUp([() => new Promise((_, reject) => (fail = reject))]);
    const first = claimer.claim(LOOK);
    await claimer.claim(LOOK);
    fail(new Error("down"));
    await expect(first).rejects.toThrow("down");
    await claimer.claim(LOOK);
    expect(requests.map(({ windowAfter }) => windowAfter)).toEqual([-1, null, -1]);
  });

  it("looks through all queues in claim after claim only while that brings something", async () => {
    const look = { windowStart: 3, windowAfter: 3, windowWrapped: true, windowMs: 1, more: true };
    const jobs = [claimedRow({ id: "8" }), claimedRow({ id: "9" })];
    const { claimer, requests } = setUp([
      { ...look, jobs, windowFound: true },
      { ...look, jobs },
      { ...look, jobs },
    ]);
    for (let claims = 0; claims < 3; claims++) await claimer.claim(LOOK);
    expect(requests.map(({ windowAfter }) => windowAfter)).toEqual([-1, 3, null]);
  });

  it("rests for a moment when it hears again and again that there is more and gets nothing of it", async () => {
    const { claimer, clock, requests } = setUp(Array.from({ length: 5 }, () => ({ more: true })));
    for (let claims = 0; claims < 3; claims++) await claimer.claim(LOOK);
    expect(clock.monotonic()).toBe(0);
    const fourth = claimer.claim(LOOK);
    await clock.advance(0);
    expect(requests).toHaveLength(4);
    expect(clock.pending).toBe(1);
    await clock.advance(10);
    await fourth;
  });

  it("does not rest while it gets further through what became due", async () => {
    const dues = ["10", "20", "30", "40", "50", "60"].map((micros) => ({ more: true, due: at(micros) }));
    const { claimer, clock, requests } = setUp(dues);
    for (let claims = 0; claims < 6; claims++) await claimer.claim(LOOK);
    expect(requests.at(-1)?.due).toEqual(at("50"));
    expect(clock.pending).toBe(0);
  });

  it("says when a task is no longer stored", async () => {
    const { claimer, gone } = setUp([{ tasksGone: true }]);
    await claimer.claim(LOOK);
    expect(gone()).toBe(1);
  });

  it("sends flags sorted, none as null, and forgets what it saw when a function gives others", async () => {
    const flags: (readonly string[] | null)[] = [["b", "a"], ["a", "b"], null];
    const { claimer, requests } = setUp([{ levels: [seen(0, "500")] }, { levels: [seen(0, "600")] }], {
      forbiddenFlags: () => Promise.resolve(flags.shift() ?? null),
    });
    for (let claims = 0; claims < 3; claims++) await claimer.claim(LOOK);
    expect(requests.map((request) => [request.forbiddenFlags, request.levels.length])).toEqual([
      [["a", "b"], 0],
      [["a", "b"], 1],
      [null, 0],
    ]);
  });

  it("claims nothing when it cannot learn which flags are forbidden", async () => {
    const { claimer, requests } = setUp([], { forbiddenFlags: () => Promise.reject(new Error("no flags")) });
    await expect(claimer.claim(LOOK)).rejects.toThrow("no flags");
    expect(requests).toEqual([]);
  });
});
