import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { createFakeLocks } from "../../../test/harness/fake-locks.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Reporter } from "../reporter.ts";
import { LockWatch } from "./lock-watch.ts";

const HOUR_MS = 3_600_000;
const CLAIMED_AT = 1_767_225_600_000_000n;

/** A watch over jobs that were all claimed when it began. */
function setUp(jobs: readonly ClaimedJob[], queues: readonly ClaimedJob[] = []) {
  const clock = createManualClock();
  const locks = createFakeLocks();
  const lost: string[] = [];
  const failures: unknown[] = [];
  const reporter = { failure: (_: string, error: unknown) => void failures.push(error) } as Reporter;
  const watch = new LockWatch(
    { clock, reporter, statements: { locks } },
    {
      locksToWatch: () => ({ jobs: [...jobs], queues: [...queues] }),
      loseJobs: (found, { code }) => void lost.push(...[...found].map(({ id }) => `${id} ${code}`)),
    },
  );
  watch.start();
  const pass = async (ms: number): Promise<void> => {
    locks.time = CLAIMED_AT + BigInt(clock.monotonic() + ms) * 1_000n;
    await clock.advance(ms);
  };
  return { clock, locks, lost, failures, watch, pass };
}

describe("a lock watch", () => {
  it("renews what was locked for an hour, and lets the old time count as well", async () => {
    const [job, other] = [claimedJob({ id: "1" }), claimedJob({ id: "2", queueId: "7" }, { workerId: "x" })];
    const { locks, pass } = setUp([job, other]);
    for (let round = 0; round < 5; round++) await pass(HOUR_MS / 6);
    expect(locks.renewals).toEqual([]);
    await pass(HOUR_MS / 6);
    const renewedAt = String(CLAIMED_AT + 3_600_000_000n);
    expect(locks.renewals).toEqual([
      { workerId: "w", jobIds: ["1"], queueIds: [], lanes: [], claimTimes: [String(CLAIMED_AT), renewedAt], renewedAt },
      {
        workerId: "x",
        jobIds: ["2"],
        queueIds: [7],
        lanes: [],
        claimTimes: [String(CLAIMED_AT), renewedAt],
        renewedAt,
      },
    ]);
    expect(job.claimTimes).toEqual([String(CLAIMED_AT), renewedAt]);
    for (let round = 0; round < 5; round++) await pass(HOUR_MS / 6);
    expect(locks.renewals).toHaveLength(2);
  });

  it("renews lanes of queues and of pools, and not the queues that have them", async () => {
    const cells = { queueId: "7", extras: '{"lane":2,"pool":3,"poolLane":5}' };
    const { locks, pass } = setUp(
      [claimedJob({ id: "1", ...cells }), claimedJob({ id: "2", queueId: "8", extras: '{"lane":0}' })],
      [claimedJob({ id: "3", queueId: "9", extras: '{"lane":1}' })],
    );
    for (let round = 0; round < 6; round++) await pass(HOUR_MS / 6);
    expect(locks.renewals).toMatchObject([
      {
        jobIds: ["1", "2", "3"],
        queueIds: [],
        lanes: [
          { ownerId: 7, lane: 2 },
          { ownerId: -3, lane: 5 },
          { ownerId: 9, lane: 1 },
        ],
      },
    ]);
  });

  it("leaves alone what ended while it asked for the time, so that its release counts", async () => {
    const ended = claimedJob({ id: "1" });
    const jobs = [ended, claimedJob({ id: "2" })];
    const { locks, pass } = setUp(jobs);
    for (let round = 0; round < 5; round++) await pass(HOUR_MS / 6);
    const readTime = locks.readTime.bind(locks);
    locks.readTime = () => {
      jobs.shift();
      return readTime();
    };
    await pass(HOUR_MS / 6);
    expect(locks.renewals).toMatchObject([{ jobIds: ["2"] }]);
    expect(ended.claimTimes).toHaveLength(1);
  });

  it("counts both times for every job before the first renewal is sent", async () => {
    const [job, other] = [claimedJob({ id: "1" }), claimedJob({ id: "2" }, { workerId: "x" })];
    const { locks, pass } = setUp([job, other]);
    const counted: number[] = [];
    const renew = locks.renew.bind(locks);
    locks.renew = (renewal) => {
      counted.push(job.claimTimes.length + other.claimTimes.length);
      return renew(renewal);
    };
    for (let round = 0; round < 6; round++) await pass(HOUR_MS / 6);
    expect(counted).toEqual([4, 4]);
  });

  it("counts all times when it is unknown whether a renewal was carried out, and renews again", async () => {
    const job = claimedJob({ id: "1" });
    const { locks, failures, clock, pass } = setUp([job]);
    for (let round = 0; round < 5; round++) await pass(HOUR_MS / 6);
    const renew = locks.renew.bind(locks);
    locks.renew = () => Promise.reject(new Error("The connection ended."));
    await pass(HOUR_MS / 6);
    expect([job.claimTimes.length, failures.length]).toEqual([2, 1]);
    locks.renew = renew;
    await clock.advance(10_000);
    expect(locks.renewals).toMatchObject([{ jobIds: ["1"], claimTimes: [...new Set(job.claimTimes)] }]);
    expect(job.claimTimes).toHaveLength(3);
  });

  it("renews the queue of a handler that has lost its slot and goes on", async () => {
    const { locks, pass } = setUp([], [claimedJob({ id: "3", queueId: "7" })]);
    for (let round = 0; round < 6; round++) await pass(HOUR_MS / 6);
    expect(locks.renewals).toMatchObject([{ jobIds: ["3"], queueIds: [7] }]);
  });

  it("tells of jobs that it finds unlocked when it renews them", async () => {
    const { locks, lost, pass } = setUp([claimedJob({ id: "1" }), claimedJob({ id: "2" })]);
    locks.take("2");
    for (let round = 0; round < 6; round++) await pass(HOUR_MS / 6);
    expect(lost).toEqual(["2 HOWDAH_ABORTED_LOST"]);
  });

  it("asks nothing while nothing is held", async () => {
    const { locks, failures, pass } = setUp([]);
    locks.fail(1);
    for (let round = 0; round < 12; round++) await pass(HOUR_MS / 6);
    expect([failures, locks.renewals]).toEqual([[], []]);
  });
});

describe("a lock watch that is connected again", () => {
  it("looks what is still held when the server was restarted, and only then", async () => {
    const { clock, locks, lost, watch } = setUp([claimedJob({ id: "1" }), claimedJob({ id: "2" })]);
    watch.reconnected();
    await clock.advance(0);
    locks.take("1");
    watch.reconnected();
    await clock.advance(0);
    expect(lost).toEqual([]);
    locks.serverStart = "2";
    watch.reconnected();
    await clock.advance(0);
    expect(lost).toEqual(["1 HOWDAH_ABORTED_LOST"]);
  });

  it("asks again when the server was not ready to answer, or went away in between", async () => {
    const { clock, locks, lost, failures, watch } = setUp([claimedJob({ id: "1" })]);
    watch.reconnected();
    await clock.advance(0);
    locks.take("1");
    locks.serverStart = "2";
    locks.fail(1);
    watch.reconnected();
    await clock.advance(0);
    expect([lost, failures.length]).toEqual([[], 1]);
    await clock.advance(10_000);
    expect(lost).toEqual(["1 HOWDAH_ABORTED_LOST"]);
  });
});
