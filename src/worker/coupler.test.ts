import { describe, expect, it } from "vitest";
import { claimOf, NOTHING } from "../../test/harness/fake-claims.ts";
import { sqlError } from "../../test/harness/job-table.ts";
import { HowdahError } from "../errors.ts";
import type { ReleaseAnswer } from "../postgres/queries/ending/release.ts";
import type { ReleaseRequest } from "../postgres/queries/ending/release-request.ts";
import type { NamedClaimAnswer } from "../postgres/queries/claim-named.ts";
import type { ReleaseAndClaim } from "../postgres/queries/ending/release-and-claim.ts";
import type { ReleaseAndContinue } from "../postgres/queries/ending/release-and-continue.ts";
import type { Statements } from "../postgres/queries/statements.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { Coupler } from "./coupler.ts";

const claimRequest = claimOf("w");
const claimAnswer = NOTHING;
const continued: NamedClaimAnswer = { jobs: [], claimedAt: "7" };
const releaseAnswer: ReleaseAnswer = { unreleased: new Map(), runAts: new Map(), releasedAts: new Map() };

/** The release of one completed job, the last of its queue when one is given. */
function completion(id: number, queueId?: number): ReleaseRequest {
  const end = { lastJobId: String(id), claimedAt: "0" };
  const chainEnds = queueId === undefined ? [] : [{ queueId, ...end }];
  return { workerId: "w", claimTimes: ["0"], completed: [String(id)], changed: [], chainEnds, patient: true };
}

/** A coupler whose statements end when the test says so. */
function setUp() {
  const clock = createManualClock();
  const sent: { readonly what: string; answer(error?: Error): void }[] = [];
  let freeings = 0;
  const send = <Answer>(what: string, answer: Answer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      sent.push({ what, answer: (error) => (error ? reject(error) : resolve(answer)) });
    });
  const statements: Pick<Statements, "claim" | "release"> = {
    claim: () => send("claim", claimAnswer),
    release: ({ completed, changed }) =>
      send(`release ${[...completed, ...changed.map(({ id }) => id)].join()}`, releaseAnswer),
  };
  const releaseAndClaim: ReleaseAndClaim = ({ completed }) =>
    send(`release ${completed.join()} and claim`, claimAnswer);
  const releaseAndContinue: ReleaseAndContinue = ({ completed }, { queues }) =>
    send(`release ${completed.join()} and go on in ${queues.map(({ queueId }) => queueId).join()}`, continued);
  const coupled = { ...statements, releaseAndClaim, releaseAndContinue };
  const coupler = new Coupler({ clock, statements: coupled }, { freeing: () => (freeings += 1) });
  return { clock, coupler, statements: () => sent.map(({ what }) => what), sent, freeings: () => freeings };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("Coupler", () => {
  it("sends the claim of the same turn with the release", async () => {
    const { coupler, sent, statements } = setUp();
    const released = coupler.release(completion(1));
    await Promise.resolve();
    const claimed = coupler.claim(claimRequest);
    await turn();
    expect(statements()).toEqual(["release 1 and claim"]);
    sent[0]?.answer();
    expect(await released).toEqual({ ...releaseAnswer, hasClaimed: true });
    expect(await claimed).toBe(claimAnswer);
  });

  it("sends the release alone at the end of the turn, and a later claim alone", async () => {
    const { coupler, sent, statements } = setUp();
    const released = coupler.release(completion(1));
    expect(statements()).toEqual([]);
    await turn();
    expect(statements()).toEqual(["release 1"]);
    sent[0]?.answer();
    expect(await released).toBe(releaseAnswer);
    void coupler.claim(claimRequest);
    expect(statements()).toEqual(["release 1", "claim"]);
  });

  it("keeps a release for the claim after the one under way", async () => {
    const { coupler, sent, statements } = setUp();
    const claimed = coupler.claim(claimRequest);
    void coupler.release(completion(1));
    await turn();
    expect(statements()).toEqual(["claim"]);
    sent[0]?.answer();
    await claimed;
    void coupler.claim(claimRequest);
    expect(statements()).toEqual(["claim", "release 1 and claim"]);
  });

  it("sends it alone in the turn in which the claim under way ends, when no other follows", async () => {
    const { coupler, sent, statements } = setUp();
    const claimed = coupler.claim(claimRequest);
    void coupler.release(completion(1));
    sent[0]?.answer();
    await claimed;
    await turn();
    expect(statements()).toEqual(["claim", "release 1"]);
  });

  it("lets a release wait for 10 ms at most, however long a claim takes", async () => {
    const { clock, coupler, statements } = setUp();
    void coupler.claim(claimRequest);
    void coupler.release(completion(1));
    await clock.advance(9);
    expect(statements()).toEqual(["claim"]);
    await clock.advance(1);
    expect(statements()).toEqual(["claim", "release 1"]);
    await clock.advance(60_000);
    expect(statements()).toEqual(["claim", "release 1"]);
  });

  it("sends at once what is more than completions, was in the way before, or comes beside one that waits", async () => {
    const { coupler, statements } = setUp();
    const change = { id: "9", refund: false, final: false, delayMs: null, message: null, payload: null };
    void coupler.release({ ...completion(1), changed: [change] });
    void coupler.release({ ...completion(2), isApart: true });
    void coupler.release({ ...completion(3), patient: false });
    void coupler.release({ ...completion(4), completed: [] });
    void coupler.release(completion(5));
    void coupler.release(completion(6));
    expect(statements()).toEqual(["release 1,9", "release 2", "release 3", "release ", "release 6"]);
    await turn();
    expect(statements().at(-1)).toBe("release 5");
  });

  it("says which queues the next claim will find free, and that there is one to claim from", async () => {
    const { coupler, freeings } = setUp();
    expect(coupler.queuesFreed).toEqual([]);
    void coupler.release(completion(1, 7));
    expect(coupler.queuesFreed).toEqual([7]);
    expect(freeings()).toBe(1);
    void coupler.claim(claimRequest);
    expect(coupler.queuesFreed).toEqual([]);
    void coupler.release(completion(2));
    expect(freeings()).toBe(1);
  });

  it("tells of the release, and of all that follows from it, before the claim", async () => {
    const { coupler, sent } = setUp();
    const told: string[] = [];
    const released = coupler.release(completion(1)).then(async () => {
      for (let hop = 0; hop < 20; hop += 1) await Promise.resolve();
      told.push("released");
    });
    const claimed = coupler.claim(claimRequest).then(() => told.push("claimed"));
    sent[0]?.answer();
    await Promise.all([released, claimed]);
    expect(told).toEqual(["released", "claimed"]);
  });

  it.each(["55P03", "23514", "P0001", "40001", "42501", "53400", "TT001"])(
    "claims alone when a completed job was in the way (%s), which only its release is told",
    async (state) => {
      const { coupler, sent, statements } = setUp();
      const released = coupler.release(completion(1));
      const claimed = coupler.claim(claimRequest);
      sent[0]?.answer(sqlError(state));
      await expect(released).rejects.toMatchObject({ code: state });
      expect(statements()).toEqual(["release 1 and claim", "claim"]);
      sent[1]?.answer();
      expect(await claimed).toBe(claimAnswer);
    },
  );

  it("fails both when the connection was lost, so that each does what it does about that", async () => {
    const { coupler, sent, statements } = setUp();
    const released = coupler.release(completion(1));
    const claimed = coupler.claim(claimRequest);
    const error = new HowdahError("HOWDAH_CONNECTION_LOST", "lost");
    sent[0]?.answer(error);
    await expect(released).rejects.toBe(error);
    await expect(claimed).rejects.toBe(error);
    expect(statements()).toEqual(["release 1 and claim"]);
  });

  describe("goes on in the queues that a release frees", () => {
    const request = {
      workerId: "w",
      taskIds: [1],
      forbiddenFlags: null,
      queues: [{ queueId: 7, priority: 0, floor: { at: "1", id: "1" } }],
    };

    it("with the statement of the release, which is told before", async () => {
      const { coupler, sent, statements } = setUp();
      const told: string[] = [];
      void coupler.release(completion(1, 7)).then((answer) => told.push(`released ${answer.hasClaimed}`));
      const going = coupler.continue(request).then((answer) => told.push(`claimed at ${answer.claimedAt}`));
      expect(statements()).toEqual(["release 1 and go on in 7"]);
      sent[0]?.answer();
      await going;
      expect(told).toEqual(["released true", "claimed at 7"]);
    });

    it("claims nothing when the statement is refused, which only the release is told", async () => {
      const { coupler, sent, statements } = setUp();
      const released = coupler.release(completion(1, 7));
      const going = coupler.continue(request);
      sent[0]?.answer(sqlError("HWPRT"));
      await expect(released).rejects.toMatchObject({ code: "HWPRT" });
      expect(await going).toEqual({ jobs: [], claimedAt: "0" });
      expect(statements()).toEqual(["release 1 and go on in 7"]);
    });

    it("fails with the release when the connection was lost", async () => {
      const { coupler, sent } = setUp();
      const released = coupler.release(completion(1, 7));
      const going = coupler.continue(request);
      const error = new HowdahError("HOWDAH_CONNECTION_LOST", "lost");
      sent[0]?.answer(error);
      await expect(released).rejects.toBe(error);
      await expect(going).rejects.toBe(error);
    });

    it("claims nothing for a worker that has changed its id since, and leaves the release to the next claim", async () => {
      const { coupler, statements } = setUp();
      void coupler.release(completion(1, 7));
      expect(await coupler.continue({ ...request, workerId: "w2" })).toEqual({ jobs: [], claimedAt: "0" });
      expect(statements()).toEqual([]);
      void coupler.claim({ ...claimRequest, workerId: "w2" });
      expect(statements()).toEqual(["release 1 and claim"]);
    });

    it("claims nothing when the release was sent before", async () => {
      const { coupler, statements } = setUp();
      expect(await coupler.continue(request)).toEqual({ jobs: [], claimedAt: "0" });
      expect(statements()).toEqual([]);
    });
  });
});
