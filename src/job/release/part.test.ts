import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { HowdahError } from "../../errors.ts";
import type { Ending, Outcome, Undecided } from "../outcome.ts";
import { asCommitted, toChange, toRequest, withoutTexts } from "./part.ts";

const ending = (outcome: Outcome): Ending => ({ job: claimedJob(), outcome, durationMs: 1, endsChain: false });
const error = new Error("no");

const retried: Outcome = { kind: "failed", final: false, error, message: "no", payload: "[1]", delayMs: 5 };
const failed: Outcome = { kind: "failed", final: true, error, message: "no" };
const cancelled: Outcome = { kind: "cancelled", reason: "not wanted" };

describe("toChange", () => {
  it("deletes what is completed", () => {
    expect(toChange(ending({ kind: "completed" }))).toBeNull();
  });

  const attempt = { number: 1, startedAt: null, stack: expect.stringMatching(/^Error: no\n +at /) };
  const kept = { id: "1", refund: false, final: false, delayMs: null, message: null, payload: null };
  it.each<[string, Outcome, object]>([
    [
      "writes the error, what is left and the delay of a failed attempt, and what that was",
      retried,
      { delayMs: 5, message: "no", payload: "[1]", attempt },
    ],
    ["uses up the attempts of a job that failed for good", failed, { final: true, delayMs: 0, message: "no", attempt }],
    ["uses up the attempts of a cancelled job and keeps its time", cancelled, { final: true, message: "not wanted" }],
    ["refunds a snoozed attempt", { kind: "snoozed", delayMs: 7 }, { refund: true, delayMs: 7 }],
    [
      "refunds an interrupted attempt",
      { kind: "interrupted", reason: "shutdown", delayMs: 9 },
      { refund: true, interrupted: true, delayMs: 9 },
    ],
    ["undoes a claim that was not started", { kind: "returned" }, { refund: true }],
  ])("%s", (_, outcome, change) => {
    expect(toChange(ending(outcome))).toEqual({ ...kept, ...change });
  });
});

describe("withoutTexts", () => {
  it.each([retried, failed, cancelled])("takes the texts out of $kind once, and keeps the rest", (outcome) => {
    const plain = withoutTexts(ending(outcome));
    expect(plain).not.toBeNull();
    const change = plain && toChange(plain);
    const whole = toChange(ending(outcome));
    const attempt = whole?.attempt && { ...whole.attempt, stack: null };
    expect(change).toEqual({ ...whole, message: change?.message, payload: null, ...(attempt ? { attempt } : {}) });
    expect(change?.message).not.toBe(toChange(ending(outcome))?.message);
    expect(plain && withoutTexts(plain)).toBeNull();
  });

  it("takes a result out that would be stored, and says so in its place", () => {
    const done: Outcome = { kind: "completed", result: "x" };
    const keep = { days: 7, payload: false, result: true } as const;
    const plain = withoutTexts({ ...ending(done), keep });
    expect(plain?.outcome).toEqual({ kind: "completed", resultError: "The result could not be stored." });
    expect(plain && withoutTexts(plain)).toBeNull();
    expect(withoutTexts(ending(done))).toBeNull();
    expect(withoutTexts({ ...ending(done), keep: { ...keep, result: false } })).toBeNull();
  });

  it.each<Outcome>([{ kind: "completed" }, { kind: "returned" }, { kind: "snoozed", delayMs: 1 }])(
    "finds none in $kind",
    (outcome) => {
      expect(withoutTexts(ending(outcome))).toBeNull();
    },
  );
});

describe("an ending whose handler completed the job in a transaction", () => {
  const rolledBack = new HowdahError("HOWDAH_COMPLETION_ROLLED_BACK", "rolled back");
  const undecided = (otherwise: Undecided["otherwise"]): Undecided => ({
    kind: "undecided",
    otherwise,
    within: () => "7",
  });
  const returnedAllTheSame = undecided({ ...failed, error: rolledBack });
  const threw = undecided(failed);

  it("writes what the handler did for the case that the transaction was rolled back", () => {
    expect(toChange(ending(threw))).toEqual({ ...toChange(ending(failed)), within: "7" });
    expect(withoutTexts(ending(threw))).toMatchObject({
      outcome: { kind: "undecided", otherwise: withoutTexts(ending(failed))?.outcome },
    });
    expect(withoutTexts(ending(undecided({ kind: "snoozed", delayMs: 1 })))).toBeNull();
  });

  it("is completed when it has committed, and remembers what the handler threw afterwards", () => {
    expect(asCommitted(ending(returnedAllTheSame), returnedAllTheSame).outcome).toEqual({ kind: "completed" });
    expect(asCommitted(ending(threw), threw).outcome).toEqual({ kind: "completed", thrownAfterwards: "no" });
  });
});

describe("toRequest", () => {
  const completed: Outcome = { kind: "completed" };
  const CLAIMED_AT = claimedJob().claimedAt;
  const end = (outcome: Outcome, extras?: object): Ending => {
    const job = claimedJob({ queueId: "7", extras: extras ? JSON.stringify(extras) : null }, { sentAt: 1_000 });
    return { job, outcome, durationMs: 30, startedAt: 1_020, endsChain: true };
  };
  const requestOf = (...endings: Ending[]) => toRequest({ endings, attempt: "first" }, "waiting");

  it("sends completed jobs apart that their task keeps or that are awaited, with their results and starts", () => {
    const done: Outcome = { kind: "completed", result: [1] };
    const keep = { days: 7, payload: false, result: true } as const;
    const startedAt = String(BigInt(CLAIMED_AT) + 20_000n);
    const kept = { id: "1", result: "[1]", error: null, startedAt };
    expect(requestOf(end(done))).toMatchObject({ completed: ["1"] });
    expect(requestOf(end(done)).kept).toBeUndefined();
    expect(requestOf(end(done, { awaited: true }))).toMatchObject({ completed: [], kept: [kept] });
    expect(requestOf({ ...end(done), keep })).toMatchObject({ completed: [], kept: [kept] });
    expect(requestOf({ ...end(done), keep: { ...keep, result: false } }).kept).toEqual([{ ...kept, result: null }]);
    expect(requestOf({ ...end(completed), keep }).kept).toEqual([{ ...kept, result: null }]);
  });

  it("ends the lock of a queue, or lanes of the queue and of its pool", () => {
    const end1 = { lastJobId: "1", claimedAt: CLAIMED_AT };
    expect(requestOf(end(completed)).chainEnds).toEqual([{ queueId: 7, ...end1 }]);
    expect(requestOf(end(completed, { lane: 0 })).chainEnds).toEqual([]);
    expect(requestOf(end(completed, { lane: 2, pool: 3, poolLane: 5 })).chainEnds).toEqual([
      { queueId: 7, lane: 2, ...end1 },
      { queueId: -3, lane: 5, ...end1 },
    ]);
  });

  it("ends a lane that was renewed under each of its times", () => {
    const ending = end(completed, { lane: 2 });
    ending.job.renew("1767229200000000");
    expect(requestOf(ending).chainEnds.map(({ claimedAt, lane }) => [claimedAt, lane])).toEqual([
      [CLAIMED_AT, 2],
      ["1767229200000000", 2],
    ]);
  });

  it("parks the queue of a job that came up against a limit, from the end of the handler on, if it has rules", () => {
    const limited: Outcome = { kind: "snoozed", delayMs: 60_000, parksQueue: true };
    // Claimed at 1,000 ms of the monotonic clock, ended at 1,050 ms.
    const until = String(BigInt(CLAIMED_AT) + 50_000n + 60_000_000n);
    const change = { refund: true, delayMs: 60_000 };
    expect(requestOf(end(limited, { lane: 2 }))).toMatchObject({
      parks: [{ queueId: 7, until }],
      changed: [change],
    });
    expect(requestOf(end(limited)).parks).toBeUndefined();
    expect(requestOf(end({ kind: "snoozed", delayMs: 60_000 }, { lane: 2 })).parks).toBeUndefined();
    const undecided: Outcome = { kind: "undecided", otherwise: limited, within: () => "1" };
    expect(requestOf(end(undecided, { lane: 2 })).parks).toHaveLength(1);
  });
});
