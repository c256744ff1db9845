import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { JobTable } from "../../../test/harness/job-table.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Outcome } from "../outcome.ts";
import { Releaser } from "./releaser.ts";

const completed: Outcome = { kind: "completed" };
const failed: Outcome = { kind: "failed", final: false, error: "no", message: "no", delayMs: 1_000 };

function setUp({ completeJobBatchDelayMs = 0, failJobBatchDelayMs = 0 } = {}) {
  const table = new JobTable();
  const clock = createManualClock();
  const told: string[] = [];
  const context = { clock, settings: { completeJobBatchDelayMs, failJobBatchDelayMs } };
  const releaser = new Releaser(context, {
    statements: table,
    listener: {
      released: ({ job }) => told.push(`released ${job.id}`),
      refused: ({ job }) => told.push(`refused ${job.id}`),
      unknown: ({ job }) => told.push(`unknown ${job.id}`),
      freed: (queueIds) => told.push(`freed ${queueIds.join()}`),
      lanesFreed: (ownerIds) => told.push(`lanes ${ownerIds.join()}`),
      failed: () => told.push("failed"),
      stuck: ({ job }) => told.push(`stuck ${job.id}`),
    },
  });
  const jobOf = (id: number, queueId?: number, workerId = "w") => {
    const job = claimedJob({ id: String(id), queueId: queueId === undefined ? null : String(queueId) }, { workerId });
    table.held.add(job.id);
    if (queueId !== undefined) table.lockedQueues.add(queueId);
    return job;
  };
  const add = (id: number, outcome: Outcome = completed, queueId?: number) =>
    releaser.add({ job: jobOf(id, queueId), outcome, durationMs: 1, endsChain: queueId !== undefined });
  const idsOf = (request: (typeof table.requests)[number]) => [
    ...request.completed,
    ...request.changed.map(({ id }) => id),
  ];
  return { table, clock, told, releaser, add, jobOf, idsOf };
}

describe("Releaser", () => {
  it("writes what ends in one turn together, queued jobs apart from the others", async () => {
    const { releaser, table, add, idsOf, told } = setUp();
    add(1);
    add(2, completed, 7);
    add(3, failed);
    add(4, completed, 8);
    expect(releaser.size).toBe(4);
    await releaser.flush();
    expect(table.requests.map(idsOf)).toEqual(
      expect.arrayContaining([
        ["1", "3"],
        ["2", "4"],
      ]),
    );
    expect(table.requests).toHaveLength(2);
    expect(releaser.size).toBe(0);
    expect(told).toEqual(expect.arrayContaining(["released 1", "released 3", "released 2", "released 4", "freed 7,8"]));
  });

  it("lets any number of endings wait for rows that another session holds, without a warning of Node about listeners", async () => {
    const { releaser, table, clock, told, add } = setUp();
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on("warning", note);
    try {
      for (let id = 1; id <= 20; id++) {
        table.busy.add(String(id));
        add(id);
        await clock.advance(1);
      }
      expect([releaser.size, told]).toEqual([20, []]);
      // Warnings come in a turn of their own.
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off("warning", note);
    }
    expect(warnings).toEqual([]);
    table.busy.clear();
    await clock.advance(100);
    expect(told).toHaveLength(20);
  });

  it("counts each ending that waits, also when they wait together", async () => {
    const { releaser, table, clock, add } = setUp();
    for (let id = 1; id <= 20; id++) {
      table.busy.add(String(id));
      add(id);
    }
    await clock.advance(1);
    expect(releaser.size).toBe(20);
    expect(releaser.abandon()).toBe(20);
  });

  it("writes queued endings one statement after another, in the order in which they ended", async () => {
    const { releaser, table, add, idsOf } = setUp();
    add(9, completed, 7);
    await Promise.resolve();
    add(3, failed, 8);
    add(5, completed, 7);
    await releaser.flush();
    await releaser.flush();
    expect(table.requests.flatMap(idsOf).filter((id) => id !== "3")).toEqual(["9", "5"]);
    expect(table.written).toHaveLength(3);
  });

  it("writes what may be lost apart, each claim by itself, so that no later claim of the same job counts for it", async () => {
    const { releaser, table, jobOf } = setUp();
    const end = (job: ClaimedJob, lost: boolean) =>
      releaser.add({ job, outcome: completed, durationMs: 1, endsChain: false, lost });
    const again = (id: string, claimedAt: string) => claimedJob({ id }, { claimedAt });
    end(jobOf(1), true);
    end(again("1", "9"), false);
    end(again("2", "9"), true);
    end(again("3", "8"), true);
    await releaser.flush();
    const times = table.requests.map(({ claimTimes }) => claimTimes);
    expect(times.map((each) => each.length)).toEqual([1, 1, 1, 1]);
    expect(table.requests.map(({ completed: ids }) => ids)).toEqual([["1"], ["1"], ["2"], ["3"]]);
  });

  it("counts every time at which a lock may have been renewed", async () => {
    const { releaser, table, jobOf } = setUp();
    const job = jobOf(1, 7);
    job.renew("9");
    releaser.add({ job, outcome: completed, durationMs: 1, endsChain: true });
    await releaser.flush();
    expect(table.requests).toMatchObject([
      {
        claimTimes: [job.claimedAt, "9"],
        chainEnds: [
          { queueId: 7, lastJobId: "1", claimedAt: job.claimedAt },
          { queueId: 7, lastJobId: "1", claimedAt: "9" },
        ],
      },
    ]);
  });

  it("does not overtake in the stream of queues while a statement is being repeated", async () => {
    const { releaser, table, clock, add } = setUp();
    table.faults.push("never sent");
    add(1, completed, 7);
    await clock.advance(0);
    add(2, completed, 7);
    await clock.advance(1);
    expect(table.requests).toHaveLength(1);
    await clock.advance(1_000);
    await releaser.flush();
    expect(table.written).toEqual(["1", "2"]);
  });

  it("does not let a job without a queue wait for one in a queue", async () => {
    const { table, clock, add } = setUp();
    table.faults.push("never sent");
    add(1, completed, 7);
    await clock.advance(0);
    add(2);
    await clock.advance(0);
    expect(table.written).toEqual(["2"]);
  });

  it("gives each worker id a statement of its own, because the id is part of the fence", async () => {
    const { releaser, table, jobOf } = setUp();
    for (const [id, workerId] of [
      [1, "old"],
      [2, "new"],
      [3, "old"],
    ] as const) {
      releaser.add({ job: jobOf(id, undefined, workerId), outcome: completed, durationMs: 1, endsChain: false });
    }
    await releaser.flush();
    expect(table.requests.map(({ workerId, completed: ids }) => [workerId, ids])).toEqual([
      ["old", ["1", "3"]],
      ["new", ["2"]],
    ]);
  });

  it("collects completions and failures as long as it is told to, and hurries for what is given back", async () => {
    const { table, clock, add } = setUp({ completeJobBatchDelayMs: 100, failJobBatchDelayMs: 50 });
    add(1);
    await clock.advance(60);
    add(2, failed);
    await clock.advance(39);
    expect(table.requests).toHaveLength(0);
    await clock.advance(1);
    expect(table.written).toEqual(["1", "2"]);
    add(3);
    add(4, { kind: "returned" });
    await clock.advance(0);
    expect(table.written.slice(2).sort()).toEqual(["3", "4"]);
  });

  it("unlocks the queue of a job that ended before its handler, after the job", async () => {
    const { releaser, table, told, jobOf } = setUp();
    const job = jobOf(1, 7);
    releaser.add({ job, outcome: failed, durationMs: 1, endsChain: false });
    releaser.endChain(job);
    expect(releaser.size).toBeGreaterThan(0);
    await releaser.flush();
    expect(told).toEqual(["released 1", "freed 7"]);
    expect(table.lockedQueues.size).toBe(0);
  });

  it("has no queue to unlock for a job without one", async () => {
    const { releaser, table, jobOf } = setUp();
    releaser.endChain(jobOf(1));
    await releaser.flush();
    expect(table.requests).toEqual([]);
  });

  it("waits with flush for rows that another session holds", async () => {
    const { releaser, table, clock, told, add } = setUp();
    table.busy.add("1");
    add(1);
    add(2);
    let flushed = false;
    const flushing = releaser.flush().then(() => (flushed = true));
    await clock.advance(1_000);
    expect([told, flushed, releaser.size]).toEqual([["released 2"], false, 1]);
    table.busy.clear();
    await clock.advance(1_000);
    await flushing;
    expect(told).toEqual(["released 2", "released 1"]);
    expect(releaser.size).toBe(0);
  });

  it("ends all waiting when it is abandoned, and says how much was not written", async () => {
    const { releaser, table, clock, told, add } = setUp();
    table.faults.push(...Array.from({ length: 50 }, () => "never sent" as const));
    add(1);
    add(2, completed, 7);
    const flushing = releaser.flush();
    await clock.advance(10_000);
    expect(releaser.abandon()).toBe(2);
    await flushing;
    expect(told).toEqual(["failed", "failed"]);
    expect(clock.pending).toBe(0);
  });
});
