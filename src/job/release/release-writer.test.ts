import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { type Fault, JobTable, sqlError } from "../../../test/harness/job-table.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { Outcome, Retried } from "../outcome.ts";
import type { Ending } from "./ending.ts";
import { ReleaseWriter } from "./release-writer.ts";

const completed: Outcome = { kind: "completed" };
const returned: Outcome = { kind: "returned" };
const failedWith = (message: string, payload?: string): Outcome => {
  const failed = { kind: "failed", final: false, error: message, message, delayMs: 1_000 } as const;
  return payload === undefined ? failed : { ...failed, payload };
};

/** The end of job `id`, with a queue also the end of its chain. */
function ending(id: number, outcome: Outcome = completed, queueId?: number): Ending {
  const job = claimedJob({ id: String(id), queueId: queueId === undefined ? null : String(queueId) });
  return { job, outcome, durationMs: 1, endsChain: queueId !== undefined };
}

function setUp(endings: readonly Ending[]) {
  const table = new JobTable();
  for (const { job } of endings) {
    table.held.add(job.id);
    if (job.queueId !== null) table.lockedQueues.add(job.queueId);
  }
  const clock = createManualClock();
  const giveUp = new AbortController();
  const told: string[] = [];
  const aside: Promise<void>[] = [];
  const stillLocked: number[] = [];
  const writer = new ReleaseWriter({
    release: table.release,
    clock,
    giveUp: giveUp.signal,
    aside: (work) => aside.push(work),
    listener: {
      released: ({ job }, runAt) => told.push(`released ${job.id}${runAt === undefined ? "" : ` at ${runAt}`}`),
      refused: ({ job }) => told.push(`refused ${job.id}`),
      freed: (queueIds) => {
        stillLocked.push(...queueIds.filter((id) => table.lockedQueues.has(id)));
        told.push(`freed ${queueIds.join()}`);
      },
      failed: (_, final) => told.push(final ? "failed for good" : "failed"),
    },
  });
  /** Resolves when the writing, and all that it put aside, has come to its end. */
  async function finish(work: Promise<void>): Promise<void> {
    let pending = true;
    const all = work
      .then(async () => {
        for (let done = 0; done < aside.length; done++) await aside[done];
      })
      .finally(() => (pending = false));
    for (let seconds = 0; pending && seconds < 1_000; seconds++) await clock.advance(1_000);
    expect(pending).toBe(false);
    await all;
  }
  return { table, clock, giveUp, told, aside, writer, finish, stillLocked };
}

describe("ReleaseWriter", () => {
  it("learns from the row whether the transaction committed in which a handler completed its job", async () => {
    const undecided: Outcome = { kind: "undecided", otherwise: failedWith("rolled back") as Retried };
    const endings = [1, 2, 3].map((id) => ending(id, undecided, id));
    const { table, told, writer } = setUp(endings);
    table.held.delete("1");
    table.held.delete("3");
    table.foreign.add("3");
    await writer.write(endings);
    expect(told).toEqual(["released 1", "released 2 at 1", "refused 3", "freed 1,2,3"]);
    expect(table.written).toEqual(["2"]);
  });

  it("writes all endings with one statement and tells what became of each", async () => {
    const endings = [ending(1), ending(2, failedWith("no")), ending(3, returned, 7), ending(4, completed, 8)];
    const { table, told, writer } = setUp(endings);
    await writer.write(endings);
    expect(table.requests).toEqual([
      {
        workerId: "w",
        claimTimes: ["1767225600000000"],
        completed: ["1", "4"],
        changed: [
          { id: "2", refund: false, final: false, delayMs: 1_000, message: "no", payload: null },
          { id: "3", refund: true, final: false, delayMs: null, message: null, payload: null },
        ],
        chainEnds: [
          { queueId: 7, lastJobId: "3", claimedAt: "1767225600000000" },
          { queueId: 8, lastJobId: "4", claimedAt: "1767225600000000" },
        ],
        patient: true,
        isApart: false,
      },
    ]);
    expect(told).toEqual(["released 1", "released 2 at 1", "released 3 at 1", "released 4", "freed 7,8"]);
  });

  it("refuses what belongs to somebody else and what is gone", async () => {
    const endings = [ending(1), ending(2), ending(3, failedWith("no"))];
    const { table, told, writer } = setUp(endings);
    table.held.clear();
    table.foreign.add("1");
    await writer.write(endings);
    expect(told).toEqual(["refused 1", "refused 2", "refused 3"]);
  });

  it("tells the end of a chain also when it was lost", async () => {
    const endings = [ending(1, completed, 7)];
    const { table, told, writer } = setUp(endings);
    table.held.clear();
    table.foreign.add("1");
    await writer.write(endings);
    expect(told).toEqual(["refused 1", "freed 7"]);
  });

  it("marks what has failed, however it is sent again", async () => {
    const endings = [ending(1), ending(2)];
    const { table, clock, giveUp, writer } = setUp(endings);
    table.forbidden.add("1");
    await writer.write(endings);
    await clock.advance(10_000);
    giveUp.abort();
    const [first, ...others] = table.requests;
    expect(first?.isApart).toBe(false);
    expect(others.length).toBeGreaterThan(3);
    expect(others.filter(({ isApart }) => isApart !== true)).toEqual([]);
  });

  it("repeats a statement whose answer was lost, and takes what is gone for written", async () => {
    const endings = [ending(1), ending(2, failedWith("no")), ending(3, completed, 7)];
    const { table, told, writer, finish } = setUp(endings);
    table.faults.push("answer lost", "answer lost", "never sent");
    await finish(writer.write(endings));
    expect(table.requests).toHaveLength(4);
    expect(told).toEqual(["failed", "released 1", "released 2", "released 3", "freed 7"]);
  });

  it("still refuses a completion that somebody else has the job of", async () => {
    const endings = [ending(1)];
    const { table, told, writer, finish } = setUp(endings);
    table.held.clear();
    table.foreign.add("1");
    table.faults.push("answer lost");
    await finish(writer.write(endings));
    expect(told).toEqual(["failed", "refused 1"]);
  });

  it("does not take what is gone for written when the statement was never carried out", async () => {
    const endings = [ending(1)];
    const { table, told, writer, finish } = setUp(endings);
    table.held.clear();
    table.faults.push("never sent");
    await finish(writer.write(endings));
    expect(told).toEqual(["failed", "refused 1"]);
  });

  it("goes around a row that somebody holds, and writes it when it is free", async () => {
    const endings = [ending(1), ending(2), ending(3, failedWith("no"))];
    const { table, clock, told, writer, finish } = setUp(endings);
    table.busy.add("2");
    await writer.write(endings);
    expect(told).toEqual(["released 1", "released 3 at 1"]);
    await clock.advance(500);
    expect(table.held).toEqual(new Set(["2"]));
    table.busy.clear();
    await finish(Promise.resolve());
    expect(told.slice(2)).toEqual(["released 2"]);
    expect(table.written).toEqual(["1", "3", "2"]);
  });

  it("writes what was busy with one statement once it is free, however much that was", async () => {
    const endings = Array.from({ length: 100 }, (_, index) => ending(index + 1));
    const { table, writer, finish } = setUp(endings);
    for (const { job } of endings.slice(1)) table.busy.add(job.id);
    await writer.write(endings);
    table.busy.clear();
    await finish(Promise.resolve());
    expect(table.requests.map(({ completed: ids }) => ids.length)).toEqual([100, 100, 99]);
    expect(table.written).toHaveLength(100);
  });

  it("unlocks the queues of the others apart, and that of the busy job with it", async () => {
    const endings = [ending(1, completed, 7), ending(2, completed, 8)];
    const { table, told, writer, finish, stillLocked } = setUp(endings);
    table.busy.add("2");
    await writer.write(endings);
    await Promise.resolve();
    expect(table.lockedQueues).toEqual(new Set([8]));
    table.busy.clear();
    await finish(Promise.resolve());
    expect(told).toEqual(["released 1", "freed 7", "released 2", "freed 8"]);
    expect(stillLocked).toEqual([]);
  });

  it("remembers, when it goes around a row, that what it sent before may have been carried out", async () => {
    const endings = [ending(1), ending(2)];
    const { table, told, writer, finish } = setUp(endings);
    table.faults.push("answer lost", "locked");
    await finish(writer.write(endings));
    expect(table.requests.map(({ patient }) => patient)).toEqual([true, true, false]);
    expect(told).toEqual(["failed", "released 1", "released 2"]);
  });

  it.each(["55P03", "40P01"])("goes around a row after %s", async (code) => {
    const endings = [ending(1), ending(2)];
    const { table, told, giveUp, aside } = setUp(endings);
    let calls = 0;
    const writer = new ReleaseWriter({
      release: async (request) => {
        calls += 1;
        if (calls === 1) throw sqlError(code);
        return table.release(request);
      },
      clock: createManualClock(),
      giveUp: giveUp.signal,
      aside: (work) => aside.push(work),
      listener: {
        released: ({ job }) => told.push(job.id),
        refused: () => expect.unreachable(),
        freed: () => expect.unreachable(),
        failed: () => expect.unreachable(),
      },
    });
    await writer.write(endings);
    expect(told).toEqual(["1", "2"]);
    expect(table.requests.map(({ patient }) => patient)).toEqual([false]);
  });

  it("drops the texts of the one ending that cannot be stored, and writes all others as they are, in order", async () => {
    const endings = [1, 2, 3, 4, 5].map((id) => ending(id, failedWith(`error ${id}`, "[]"), id === 5 ? 7 : undefined));
    const { table, told, writer } = setUp(endings);
    table.unstorable.add("error 3");
    await writer.write(endings);
    expect(table.written).toEqual(["1", "2", "3", "4", "5"]);
    expect(told.filter((line) => line !== "freed 7")).toEqual([1, 2, 3, 4, 5].map((id) => `released ${id} at 1`));
    const messages = table.requests.at(-2)?.changed.map(({ message }) => message);
    expect(
      table.requests
        .flatMap(({ changed }) => changed)
        .filter(({ id }) => id === "3")
        .at(-1),
    ).toMatchObject({
      message: expect.stringContaining("could not be stored") as unknown,
      payload: null,
    });
    expect(messages).not.toContain("error 3");
    expect(table.lockedQueues.size).toBe(0);
  });

  it("tries on aside with an ending that the database refuses whatever its texts are: somebody may mend the trigger", async () => {
    const endings = [ending(1), ending(2, failedWith("no"), 7), ending(3)];
    const { table, clock, told, writer, finish } = setUp(endings);
    table.forbidden.add("2");
    await writer.write(endings);
    expect(told.toSorted()).toEqual(["failed", "released 1", "released 3"]);
    await clock.advance(60_000);
    expect([told.length, table.lockedQueues.size]).toEqual([3, 1]);
    table.forbidden.clear();
    await finish(Promise.resolve());
    expect(told.slice(3)).toEqual(["released 2 at 1", "freed 7"]);
  });

  it("remembers, when a row is busy, that what it sent before may be carried out any moment", async () => {
    const endings = [ending(1)];
    const { table, clock, told, writer, finish } = setUp(endings);
    // The lost statement is still at work: it holds the row, and ends the claim a little later.
    table.faults.push("on its way");
    table.busy.add("1");
    const writing = writer.write(endings);
    await clock.advance(60);
    await writing;
    expect(table.requests.map(({ patient }) => patient)).toEqual([true, true, false]);
    table.busy.clear();
    table.held.clear();
    await finish(Promise.resolve());
    expect(told).toEqual(["failed", "released 1"]);
  });

  it("unlocks a queue only when its job is released, however long that takes", async () => {
    const job = { ...ending(1, failedWith("no"), 7), endsChain: false };
    const { table, clock, told, writer, finish } = setUp([job]);
    table.busy.add("1");
    await writer.write([job]);
    await writer.endChains("w", [{ queueId: 7, lastJobId: "1", claimedAt: job.job.claimedAt }]);
    await clock.advance(1_000);
    expect([told, [...table.lockedQueues]]).toEqual([[], [7]]);
    table.busy.clear();
    await finish(Promise.resolve());
    expect(told).toEqual(["released 1 at 1", "freed 7"]);
    expect(table.lockedQueues.size).toBe(0);
  });

  it("stops trying when it is told to give up, and reports nothing that it does not know", async () => {
    const endings = [ending(1), ending(2, completed, 7)];
    const { table, clock, giveUp, told, writer } = setUp(endings);
    table.faults.push(...Array.from({ length: 100 }, () => "never sent" as const));
    const work = writer.write(endings);
    await clock.advance(60_000);
    giveUp.abort();
    await work;
    expect(told).toEqual(["failed"]);
    expect(clock.pending).toBe(0);
  });

  it("reports every ending exactly once and leaves nothing locked, whatever goes wrong on the way", async () => {
    const outcome = fc.constantFrom(completed, returned, failedWith("good"), failedWith("bad"));
    const step = fc.record({ outcome, queue: fc.boolean(), busy: fc.boolean() });
    const fault = fc.option(fc.constantFrom<Fault>("answer lost", "on its way", "never sent", "locked"), {
      nil: undefined,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        fc.array(fault, { maxLength: 8 }),
        async (steps, faults) => {
          const endings = steps.map((one, index) => ending(index + 1, one.outcome, one.queue ? index + 1 : undefined));
          const { table, told, writer, finish, stillLocked } = setUp(endings);
          table.unstorable.add("bad");
          table.faults.push(...faults);
          for (const [index, one] of steps.entries()) if (one.busy) table.busy.add(String(index + 1));
          await finish(writer.write(endings).then(() => table.busy.clear()));
          const ids = endings.map(({ job }) => job.id).sort();
          expect(table.written.toSorted()).toEqual(ids);
          const released = told.filter((line) => line.startsWith("released")).map((line) => line.split(" ")[1] ?? "");
          expect(released.sort()).toEqual(ids);
          expect(told.filter((line) => line.startsWith("refused"))).toEqual([]);
          expect([table.held.size, table.lockedQueues.size]).toEqual([0, 0]);
          expect(stillLocked).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });
});
