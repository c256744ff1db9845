import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedJob } from "../../../test/harness/claimed-job.ts";
import { sqlError } from "../../../test/harness/job-table.ts";
import type { Ending, Outcome } from "../outcome.ts";
import type { Failure, Part } from "./part.ts";
import { Search, type Move } from "./search.ts";

const completed: Outcome = { kind: "completed" };
const failed: Outcome = { kind: "failed", final: false, error: "no", message: "no", delayMs: 1 };

function partOf(count: number, outcome = completed): Part {
  const ending = (id: number): Ending => {
    const job = claimedJob({ id: String(id) });
    return { job, outcome, durationMs: 1, endsChain: false };
  };
  return { endings: Array.from({ length: count }, (_, index) => ending(index + 1)), attempt: "first" };
}

const idsOf = ({ endings }: Part): number[] => endings.map(({ job }) => Number(job.id));

/** Searches a part of which the endings at fault fail with these states, each move at `now`. */
function search(part: Part, faults: ReadonlyMap<number, string>, { hasWritten = false, now = 0 } = {}) {
  const whole = sqlError(faults.get(1) ?? "P0001");
  const searching = new Search({ part, error: whole }, { hasWritten, now: 0 });
  const [written, suspects, blamed]: [number[], number[], number[]] = [[], [], []];
  const sent: number[][] = [];
  const tryPart = (move: Extract<Move, { kind: "send" }>): Failure | undefined => {
    const ids = idsOf(move.part);
    sent.push(ids);
    const fault = ids.find((id) => faults.has(id));
    if (fault !== undefined)
      return { part: { ...move.part, attempt: "again" }, error: sqlError(faults.get(fault) ?? "") };
    written.push(...ids);
    return undefined;
  };
  for (let move = searching.next(now); move; move = searching.next(now)) {
    if (move.kind === "send") {
      searching.learn(move, tryPart(move));
    } else {
      suspects.push(...idsOf(move.failure.part));
      if (move.isPlain) blamed.push(...idsOf(move.failure.part));
    }
  }
  return { written, suspects, blamed, sent, isVain: searching.isVain };
}

describe("a search", () => {
  it("finds one ending at fault with two statements for each halving", () => {
    const found = search(partOf(1_000), new Map([[617, "P0001"]]));
    expect([found.suspects, found.blamed]).toEqual([[617], [617]]);
    expect(found.sent.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(1_000)));
  });

  it("sends a single ending without its texts before it suspects it, which then has its texts again", () => {
    const part = partOf(1, failed);
    const searching = new Search({ part, error: sqlError("22P05") }, { hasWritten: false, now: 0 });
    const move = searching.next(0);
    expect(move).toMatchObject({ kind: "send", whole: part });
    if (move?.kind !== "send") return expect.unreachable();
    expect(move.part.endings[0]?.outcome).not.toEqual(failed);
    searching.learn(move, { part: { ...move.part, attempt: "repeat" }, error: sqlError("P0001") });
    const suspicion = { kind: "suspect", isPlain: true, failure: { part: { ...part, attempt: "repeat" } } };
    expect(searching.next(0)).toMatchObject(suspicion);
    expect(searching.next(0)).toBeUndefined();
  });

  it("takes nothing apart whose rows stayed as they were", () => {
    const failure: Failure = { part: partOf(4), error: new Error("kept"), isKept: true };
    const searching = new Search(failure, { hasWritten: false, now: 0 });
    expect(searching.next(0)).toEqual({ kind: "suspect", failure, isPlain: false });
    expect(searching.next(0)).toBeUndefined();
  });

  it("is vain when two single endings and the part after them fail alike, and blames only these", () => {
    const all = new Map(Array.from({ length: 64 }, (_, index) => [index + 1, "42501"]));
    const found = search(partOf(64), all);
    expect([found.isVain, found.written, found.blamed]).toEqual([true, [], [1, 2]]);
    expect(found.sent.length).toBeLessThanOrEqual(Math.ceil(Math.log2(64)) + 3);
    expect(found.suspects).toEqual(idsOf(partOf(64)));
  });

  it("goes on among rows that all fail when others are known to be written", () => {
    const all = new Map(Array.from({ length: 64 }, (_, index) => [index + 1, "42501"]));
    const found = search(partOf(64), all, { hasWritten: true });
    expect([found.isVain, found.blamed]).toEqual([false, idsOf(partOf(64))]);
  });

  it("sends nothing more after five seconds", () => {
    const found = search(partOf(64), new Map([[3, "P0001"]]), { now: 5_000 });
    expect([found.sent, found.suspects, found.blamed]).toEqual([[], idsOf(partOf(64)), []]);
  });

  it("writes or suspects each ending once, in order, and blames none that can be written", () => {
    const faults = fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: 60 }), fc.constantFrom("P0001", "42501", "40001")),
      {
        selector: ([id]) => id,
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), faults, fc.boolean(), (count, given, hasWritten) => {
        const part = partOf(count);
        const atFault = new Map(given.filter(([id]) => id <= count));
        // A single ending was sent before, and has failed.
        fc.pre(count > 1 || atFault.has(1));
        const found = search(part, atFault, { hasWritten });
        expect([...found.written, ...found.suspects].toSorted((a, b) => a - b)).toEqual(idsOf(part));
        expect(found.written).toEqual(found.written.toSorted((a, b) => a - b));
        expect(found.blamed.filter((id) => !atFault.has(id))).toEqual([]);
        if (found.isVain) expect(found.written).toEqual([]);
        else if (count > 1)
          expect(found.suspects.toSorted((a, b) => a - b)).toEqual([...atFault.keys()].toSorted((a, b) => a - b));
        expect(found.sent.length).toBeLessThanOrEqual(2 * count);
      }),
      { numRuns: 500 },
    );
  });
});
