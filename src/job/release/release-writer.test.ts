import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { type Fault, JobTable, sqlError } from "../../../test/harness/job-table.ts";
import type { Release } from "../../postgres/queries/ending/release.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import type { Ending, Outcome, Retried } from "../outcome.ts";
import { ReleaseWriter, type ReleaseWriterParts } from "./release-writer.ts";

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
  const told: string[] = [];
  const stillLocked: number[] = [];
  const parts: ReleaseWriterParts = {
    statements: table,
    listener: {
      released: ({ job }, runAt) => told.push(`released ${job.id}${runAt === undefined ? "" : ` at ${runAt}`}`),
      refused: ({ job }) => told.push(`refused ${job.id}`),
      unknown: ({ job }) => told.push(`unknown ${job.id}`),
      freed: (queueIds) => {
        stillLocked.push(...queueIds.filter((id) => table.lockedQueues.has(id)));
        told.push(`freed ${queueIds.join()}`);
      },
      lanesFreed: (ownerIds, hasClaimed) => told.push(`lanes ${ownerIds.join()}${hasClaimed ? " claimed" : ""}`),
      failed: (_, final) => told.push(final ? "failed for good" : "failed"),
      stuck: ({ job }, _, isGivenUp) => told.push(`${isGivenUp ? "given up" : "stuck"} ${job.id}`),
    },
  };
  const writer = new ReleaseWriter({ clock }, parts);
  /** Resolves when the writing, and all that it put aside, has come to its end. */
  async function finish(work: Promise<void>): Promise<void> {
    let pending = true;
    const all = work.then(() => writer.settled()).finally(() => (pending = false));
    const isAtWork = (): boolean => pending || writer.size > 0;
    for (let seconds = 0; isAtWork() && seconds < 1_000; seconds++) await clock.advance(1_000);
    expect(isAtWork()).toBe(false);
    await all;
  }
  return { table, clock, told, writer, finish, stillLocked };
}

describe("ReleaseWriter", () => {
  it("learns from the row whether the transaction committed in which a handler completed its job", async () => {
    const undecided = (id: number): Outcome => ({
      kind: "undecided",
      otherwise: failedWith("rolled back") as Retried,
      within: () => String(100 + id),
    });
    const endings = [1, 2, 3, 4].map((id) => ending(id, undecided(id), id));
    const { table, told, writer } = setUp(endings);
    for (const id of ["1", "3", "4"]) table.held.delete(id);
    table.committed.add("101");
    table.foreign.add("3");
    await writer.write(endings);
    // Rolled back, and then another worker has done the fourth.
    expect(told).toEqual(["released 1", "released 2 at 1", "refused 3", "refused 4", "freed 1,2,3,4"]);
    expect(table.written).toEqual(["2"]);
  });

  it("writes all endings with one statement and tells what became of each", async () => {
    const endings = [ending(1), ending(2, failedWith("no")), ending(3, returned, 7), ending(4, completed, 8)];
    const { table, told, writer } = setUp(endings);
    await writer.write(endings);
    const attempt = { number: 1, startedAt: null, stack: null };
    expect(table.requests).toEqual([
      {
        workerId: "w",
        claimTimes: ["1767225600000000"],
        completed: ["1", "4"],
        changed: [
          { id: "2", refund: false, final: false, delayMs: 1_000, message: "no", payload: null, attempt },
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

  it("sends once more, with its result, what has come to be awaited since it was claimed", async () => {
    const endings = [ending(1, { kind: "completed", result: { a: 1 } }), ending(2), ending(3, completed, 7)];
    const { table, told, writer } = setUp(endings);
    table.awaited.add("1");
    table.awaited.add("3");
    await writer.write(endings);
    expect(table.requests.map(({ completed: ids, kept, chainEnds }) => [ids, kept, chainEnds.length])).toEqual([
      [["1", "2", "3"], undefined, 1],
      [
        [],
        [
          { id: "1", result: '{"a":1}', error: null, startedAt: null },
          { id: "3", result: null, error: null, startedAt: null },
        ],
        1,
      ],
    ]);
    expect(told).toEqual(["released 2", "released 1", "released 3", "freed 7"]);
    expect(table.written).toEqual(["2", "1", "3"]);
  });

  it("asks for the result of what is awaited beside rows that are locked, and beside a lost answer", async () => {
    const endings = [ending(1, { kind: "completed", result: 1 }), ending(2, completed, 7), ending(3)];
    const { table, told, writer, finish } = setUp(endings);
    table.awaited.add("1");
    table.busy.add("2");
    table.faults.push(undefined, undefined, "answer lost");
    const writing = writer.write(endings);
    await new Promise(setImmediate);
    table.busy.delete("2");
    await finish(writing);
    expect(told.toSorted()).toEqual(["failed", "freed 7", "released 1", "released 2", "released 3"]);
    expect(table.written.toSorted()).toEqual(["1", "2", "3"]);
  });

  it("refuses what belongs to another worker and what is gone", async () => {
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
    const { table, clock, writer } = setUp(endings);
    table.forbidden.add("1");
    await writer.write(endings);
    await clock.advance(10_000);
    writer.abandon();
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
    // Before the third try the database is asked whether it answers at all, and has to be asked twice.
    expect(table.requests.map((request) => request.completed.length)).toEqual([2, 2, 0, 0, 2]);
    expect(told).toEqual(["failed", "released 1", "released 2 at 1", "released 3", "freed 7"]);
  });

  it("still refuses a completion whose job another worker has", async () => {
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

  it("goes around a row that another session holds, and writes it when it is free", async () => {
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
    const { table, told } = setUp(endings);
    let calls = 0;
    const release: Release = async (request) => {
      calls += 1;
      if (calls === 1) throw sqlError(code);
      return table.release(request);
    };
    const parts: ReleaseWriterParts = {
      statements: { release },
      listener: {
        released: ({ job }) => told.push(job.id),
        refused: () => expect.unreachable(),
        unknown: () => expect.unreachable(),
        freed: () => expect.unreachable(),
        lanesFreed: () => expect.unreachable(),
        failed: () => expect.unreachable(),
        stuck: () => expect.unreachable(),
      },
    };
    const writer = new ReleaseWriter({ clock: createManualClock() }, parts);
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

  it("tries on aside with an ending that the database refuses whatever its texts are: an operator may fix the trigger", async () => {
    const endings = [ending(1), ending(2, failedWith("no"), 7), ending(3)];
    const { table, clock, told, writer, finish } = setUp(endings);
    table.forbidden.add("2");
    await writer.write(endings);
    expect(told).toEqual(["released 1", "released 3"]);
    await clock.advance(60_000);
    expect([told, table.lockedQueues.size]).toEqual([["released 1", "released 3", "stuck 2"], 1]);
    table.forbidden.clear();
    await finish(Promise.resolve());
    expect(told.slice(3)).toEqual(["released 2 at 1", "freed 7"]);
    expect(table.requests.at(-1)?.changed[0]?.message).toBe("no");
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
    writer.endChains("w", [{ queueId: 7, lastJobId: "1", claimedAt: job.job.claimedAt }], Promise.resolve());
    await clock.advance(1_000);
    expect([told, [...table.lockedQueues]]).toEqual([[], [7]]);
    table.busy.clear();
    await finish(Promise.resolve());
    expect(told).toEqual(["released 1 at 1", "freed 7"]);
    expect(table.lockedQueues.size).toBe(0);
  });

  it("stops trying when it is told to give up, and reports nothing that it does not know", async () => {
    const endings = [ending(1), ending(2, completed, 7)];
    const { table, clock, told, writer } = setUp(endings);
    table.faults.push(...Array.from({ length: 100 }, () => "never sent" as const));
    const work = writer.write(endings);
    await clock.advance(60_000);
    writer.abandon();
    await work;
    expect(told).toEqual(["failed"]);
    expect(clock.pending).toBe(0);
  });

  describe("one ending that cannot be written", () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => ending(index + 1));

    it.each(
      "22P05 23503 P0001 42P01 42883 42501 25001 55000 53400 53100 40001 57014 XX000 TT001 08006 57P02".split(" "),
    )("keeps none of 999 others waiting (%s), and is told by its name", async (state) => {
      const endings = many(1_000);
      const { table, clock, told, writer } = setUp(endings);
      table.poisoned.set("617", state);
      const writing = writer.write(endings);
      for (let seconds = 0; table.held.size > 1 && seconds < 5; seconds++) await clock.advance(1_000);
      await writing;
      expect([...table.held]).toEqual(["617"]);
      await clock.advance(10_000);
      expect(told.filter((line) => !line.startsWith("released") && line !== "failed")).toEqual(["stuck 617"]);
      table.poisoned.clear();
      await clock.advance(1_000);
      expect(told.at(-1)).toBe("released 617");
      expect(writer.size).toBe(0);
    });

    it.each(["23503", "42501", "TT001"])("is found with two statements for each halving (%s)", async (state) => {
      for (const at of [1, 2, 300, 512, 999, 1_000]) {
        const endings = many(1_000);
        const { table, writer } = setUp(endings);
        table.poisoned.set(String(at), state);
        await writer.write(endings);
        // The batch and the batch again; then the search.
        expect(table.requests.length).toBeLessThanOrEqual(2 + 2 * Math.ceil(Math.log2(1_000)));
        expect(table.held.size).toBe(1);
      }
    });

    it("is not searched for while the database does not answer", async () => {
      const endings = many(100);
      const { table, clock, told, writer } = setUp(endings);
      table.faults.push(...Array.from({ length: 40 }, () => "never sent" as const));
      const writing = writer.write(endings);
      await clock.advance(300_000);
      await writing;
      expect(
        table.requests.filter(({ completed: ids }) => ids.length > 0).map(({ completed: ids }) => ids.length),
      ).toEqual([100, 100, 100]);
      expect(told[0]).toBe("failed");
      expect(told).toHaveLength(101);
    });

    it("is left alone when the database refuses the batch once, and takes it on another connection", async () => {
      const endings = many(10);
      const { table, told, writer } = setUp(endings);
      let calls = 0;
      table.before = () => {
        calls += 1;
        if (calls === 1) throw sqlError("42501");
      };
      await writer.write(endings);
      expect(table.requests.map(({ isApart }) => isApart)).toEqual([false, true]);
      expect(told).toHaveLength(10);
    });

    it("is told at once when its row stays without an error, and keeps no others waiting", async () => {
      const endings = [ending(1), ending(2, completed, 7), ending(3, failedWith("no"))];
      const { table, clock, told, writer, finish } = setUp(endings);
      table.kept.add("2").add("3");
      await writer.write(endings);
      expect(told).toEqual(["released 1", "stuck 2", "stuck 3"]);
      await clock.advance(60_000);
      expect(told).toHaveLength(3);
      expect([...table.lockedQueues]).toEqual([7]);
      table.kept.clear();
      await finish(Promise.resolve());
      expect(told.slice(3).toSorted()).toEqual(["freed 7", "released 2", "released 3 at 1"]);
    });

    it("is told by its name also when there is nothing else to write", async () => {
      const { table, clock, told, writer } = setUp([ending(1)]);
      table.poisoned.set("1", "TT001");
      await writer.write([ending(1)]);
      await clock.advance(60_000);
      expect(told).toEqual(["stuck 1"]);
    });

    it("does not keep a flush waiting once it is known", async () => {
      const endings = many(3);
      const { table, clock, writer } = setUp(endings);
      table.poisoned.set("2", "TT001");
      await writer.write(endings);
      let isSettled = false;
      void writer.settled().then(() => (isSettled = true));
      await clock.advance(0);
      expect(isSettled).toBe(false);
      await clock.advance(1_000);
      expect(isSettled).toBe(true);
      expect(writer).toMatchObject({ size: 1, stuck: 1 });
    });
  });

  describe("when nothing can be written", () => {
    it("blames no ending, says so once, and writes all with one statement when it can", async () => {
      const endings = Array.from({ length: 1_000 }, (_, index) => ending(index + 1));
      const { table, clock, told, writer } = setUp(endings);
      table.broken = "42501";
      await writer.write(endings.slice(0, 500));
      expect(table.requests.length).toBeLessThanOrEqual(2 + Math.ceil(Math.log2(500)) + 3);
      await writer.write(endings.slice(500));
      await clock.advance(30_000);
      expect(told).toEqual(["failed"]);
      table.broken = undefined;
      const before = table.requests.length;
      await clock.advance(1_000);
      expect(table.held.size).toBe(0);
      expect(table.requests.length - before).toBe(2);
      expect(told.filter((line) => line.startsWith("released"))).toHaveLength(1_000);
    });

    it("costs no more than 60 statements a minute after the first ten seconds, for 1,000 rows that are poisoned", async () => {
      const endings = Array.from({ length: 1_100 }, (_, index) => ending(index + 1));
      const { table, clock, told, writer } = setUp(endings);
      for (let id = 1; id <= 1_000; id++) table.poisoned.set(String(id), "TT001");
      for (let from = 0; from < 1_000; from += 24) await writer.write(endings.slice(from, from + 24));
      await clock.advance(10_000);
      for (let minute = 0; minute < 3; minute++) {
        const before = table.requests.length;
        await clock.advance(60_000);
        expect(table.requests.length - before).toBeLessThanOrEqual(60);
      }
      // What can be written is written within a second, beside them.
      for (const one of endings.slice(1_000)) {
        await writer.write([one]);
        await clock.advance(1_000);
        expect(table.held.has(one.job.id)).toBe(false);
      }
      const before = table.requests.length;
      await clock.advance(60_000);
      expect(table.requests.length - before).toBeLessThanOrEqual(60);
      table.poisoned.clear();
      await clock.advance(1_000);
      expect(table.held.size).toBe(0);
      expect(told.filter((line) => line.startsWith("released"))).toHaveLength(1_100);
    });

    it("holds up none of those that can be written, where poisoned rows come mixed with them", async () => {
      const endings = Array.from({ length: 2_000 }, (_, index) => ending(index + 1));
      const { table, clock, writer } = setUp(endings);
      for (let id = 1; id <= 2_000; id += 2) table.poisoned.set(String(id), "23503");
      for (let from = 0; from < 2_000; from += 24) await writer.write(endings.slice(from, from + 24));
      expect(table.held.size).toBe(1_000);
      await clock.advance(10_000);
      const before = table.requests.length;
      await clock.advance(60_000);
      expect(table.requests.length - before).toBeLessThanOrEqual(60);
    });
  });

  it("tries endings that no search has reached before those at fault, however many these are", async () => {
    const endings = Array.from({ length: 2_000 }, (_, index) => ending(index + 1));
    const { table, clock, told, writer } = setUp(endings);
    // More than one search isolates.
    for (let id = 2; id <= 1_100; id++) table.poisoned.set(String(id), "TT001");
    await writer.write(endings);
    expect(told.length).toBeLessThan(200);
    await clock.advance(60_000);
    expect(table.held.size).toBe(1_099);
    // Those at fault go together, once one of them has gone.
    table.poisoned.clear();
    await clock.advance(5_000);
    expect(table.held.size).toBe(0);
  });

  it("keeps ten thousand endings at fault, and gives up the jobs of more", async () => {
    const endings = Array.from({ length: 10_100 }, (_, index) => ending(index + 1));
    const { table, clock, told, writer } = setUp(endings);
    for (const { job } of endings) table.kept.add(job.id);
    for (let from = 0; from < endings.length; from += 1_000) await writer.write(endings.slice(from, from + 1_000));
    expect(writer).toMatchObject({ size: 10_100, stuck: 10_100 });
    expect(told.filter((line) => line.startsWith("given up"))).toHaveLength(100);
    await writer.settled();
    table.kept.clear();
    await clock.advance(20_000);
    expect(table.held.size).toBe(100);
    expect(writer).toMatchObject({ size: 100, stuck: 100 });
  });

  it("reports every ending exactly once and leaves nothing locked, whatever goes wrong on the way", async () => {
    const outcome = fc.constantFrom(completed, returned, failedWith("good"), failedWith("bad"));
    const states = fc.constantFrom("P0001", "42501", "40001", "53400", "57014", "TT001", "08006");
    const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 });
    const step = fc.record({
      outcome,
      queue: fc.boolean(),
      busy: fc.boolean(),
      kept: fc.boolean(),
      poison: option(states),
      // After N statements another worker takes the job, and may have ended it.
      taken: option(fc.record({ after: fc.nat(8), by: fc.constantFrom("runs", "completed", "failed") })),
    });
    const fault = fc.option(fc.constantFrom<Fault>("answer lost", "on its way", "never sent", "locked"), {
      nil: undefined,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.array(fault, { maxLength: 12 }),
        option(states),
        fc.integer({ min: 1, max: 4 }),
        async (steps, faults, broken, size) => {
          const endings = steps.map((one, index) => ending(index + 1, one.outcome, one.queue ? index + 1 : undefined));
          const { table, clock, told, writer, finish, stillLocked } = setUp(endings);
          const overtaken = new Set<string>();
          table.unstorable.add("bad");
          table.faults.push(...faults);
          table.broken = broken;
          for (const [index, one] of steps.entries()) {
            const id = String(index + 1);
            if (one.busy) table.busy.add(id);
            if (one.kept) table.kept.add(id);
            if (one.poison !== undefined) table.poisoned.set(id, one.poison);
          }
          table.before = () => {
            for (const [index, { taken }] of steps.entries()) {
              const id = String(index + 1);
              if (!taken || table.requests.length <= taken.after || overtaken.has(id)) continue;
              overtaken.add(id);
              // Completed by us before: there is nothing to take.
              if (!table.held.delete(id) && !table.foreign.has(id)) continue;
              if (taken.by === "completed") table.taken.add(id);
              if (taken.by === "completed") table.foreign.delete(id);
              else table.foreign.add(id);
              if (taken.by === "failed") table.releasedAts.set(id, "1767225600000001");
            }
          };
          const heal = (): void => {
            table.broken = undefined;
            table.busy.clear();
            table.kept.clear();
            table.poisoned.clear();
          };
          const writing = (async () => {
            for (let from = 0; from < endings.length; from += size)
              await writer.write(endings.slice(from, from + size));
          })();
          let isWriting = true;
          void writing.then(() => (isWriting = false));
          for (let seconds = 0; isWriting && seconds < 120; seconds++) await clock.advance(1_000);
          expect(isWriting).toBe(false);
          table.busy.clear();
          await clock.advance(10_000);
          const before = table.requests.length;
          await clock.advance(10_000);
          // One a second, and what a turn sends before it rests as many seconds. A success shows once that rows are to
          // blame, and parts are searched: up to two statements a halving, each of them twice where it meets a lock.
          expect(table.requests.length - before).toBeLessThanOrEqual(20 + 4 * endings.length);
          heal();
          await finish(writing);
          const idsTold = (what: string) =>
            told.filter((line) => line.startsWith(what)).map((line) => line.split(" ")[1] ?? "");
          const [released, refused, unknown] = [idsTold("released"), idsTold("refused"), idsTold("unknown")];
          const ids = endings.map(({ job }) => job.id);
          expect([...released, ...refused, ...unknown].sort()).toEqual(ids.toSorted());
          expect(new Set(table.written).size).toBe(table.written.length);
          // Told is what happened, and what is not known is told only of what others have had.
          expect(released.filter((id) => !table.written.includes(id))).toEqual([]);
          expect(refused.filter((id) => table.written.includes(id))).toEqual([]);
          expect([...refused, ...unknown].filter((id) => !overtaken.has(id))).toEqual([]);
          const stuck = told.filter((line) => line.startsWith("stuck"));
          expect(new Set(stuck).size).toBe(stuck.length);
          expect([table.held.size, table.lockedQueues.size]).toEqual([0, 0]);
          expect([writer.size, writer.stuck]).toEqual([0, 0]);
          expect(stillLocked).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);
});
