import { describe, expect, it } from "vitest";
import { added, broken, CLAIMED_MS, judged, ledger, ok, start, told } from "./draft-ledgers.ts";
import { parseLedger, type Ledger, type Told } from "./ledger.ts";

describe("a history in which all is well", () => {
  it("breaks no rule: completed at the first try, after a death, or never committed", () => {
    const ledgers = [
      added("a", "b"),
      ledger("producer-2", [
        [1, { e: "adding", c: 1, jobs: [["rolled back", null, 0, 0, 0]] }],
        [2, { e: "rolledBack", c: 1, message: "" }],
        [3, { e: "adding", c: 2, jobs: [["unsure, stored", null, 0, 0, 0]] }],
        [4, { e: "unsure", c: 2, message: "" }],
        [5, { e: "adding", c: 3, jobs: [["cut off", null, 0, 0, 0]] }],
      ]),
      ledger("one", [
        [10, start(1, "a")],
        [11, ok(1)],
        [12, told("a", "completed")],
        [13, start(2, "b")],
      ]),
      ledger("two", [
        [40, start(1, "b", { w: "w2", a: 2 })],
        [41, ok(1)],
        [42, told("b", "completed", "w2")],
        [43, start(2, "unsure, stored", { w: "w2" })],
        [44, ok(2)],
      ]),
      ledger("faults", [
        [20, { e: "killed", of: "one" }],
        [21, { e: "exit", of: "one", code: null, signal: "SIGKILL" }],
      ]),
    ];
    const { violations, counts } = judged(ledgers);
    expect(violations).toEqual([]);
    expect(counts).toMatchObject({ added: 2, rolledBack: 1, unsure: 2, completed: 3, starts: 4, startsNotFirst: 1 });
  });

  it("reads a ledger up to the line that its process was writing when it was killed, and refuses a damaged one", () => {
    expect(parseLedger('{"e":"ready","t":1}\n{"e":"sta', "x")).toEqual([{ e: "ready", t: 1 }]);
    expect(() => parseLedger('{"e":"rea\n{"e":"bye","t":2}\n', "x")).toThrow("Line 1 of x is damaged");
  });
});

describe("nothing is lost", () => {
  it("is broken by a committed job that never ran", () => {
    expect(broken([added("a")])).toEqual(["nothing is lost"]);
  });

  it("is broken by a job that ran, did not complete, and is gone", () => {
    const died = ledger("one", [[10, start(1, "a")]]);
    expect(broken([added("a"), died])).toEqual(["nothing is lost"]);
  });

  it("is broken by a job that is still there", () => {
    const row = { id: "id-a", name: "a", attempts: 0, maxAttempts: 25, lockedBy: null, lastError: null };
    const ran = ledger("one", [
      [10, start(1, "a")],
      [11, ok(1)],
    ]);
    expect(broken([added("a"), ran], { jobs: [row] })).toEqual(["nothing is lost"]);
  });

  it("is broken by an add of unknown fate that started and did not complete", () => {
    const producer = ledger("producer", [
      [1, { e: "adding", c: 1, jobs: [["a", null, 0, 0, 0]] }],
      [2, { e: "unsure", c: 1, message: "" }],
    ]);
    expect(broken([producer, ledger("one", [[10, start(1, "a")]])])).toEqual(["nothing is lost"]);
    expect(broken([producer])).toEqual([]);
  });

  it("is broken when a job that can only fail has no row", () => {
    const row = { id: "id-a", name: "a", attempts: 2, maxAttempts: 2, lockedBy: null, lastError: "as told" };
    expect(broken([added(["a", null, 0, 0, 1])], { jobs: [row] }, true)).toEqual([]);
    expect(broken([added(["a", null, 0, 0, 1])], {}, true)).toEqual(["nothing is lost"]);
  });
});

describe("nothing is invented", () => {
  const ran = (id: string): Ledger =>
    ledger("one", [
      [10, start(1, "a", { id })],
      [11, ok(1)],
    ]);

  it("is broken by a run of what was rolled back", () => {
    const producer = ledger("producer", [
      [1, { e: "adding", c: 1, jobs: [["a", null, 0, 0, 0]] }],
      [2, { e: "rolledBack", c: 1, message: "" }],
    ]);
    expect(broken([producer, ran("id-a")])).toEqual(["nothing is invented"]);
  });

  it("is broken by a run of a job that was not added, and of one job under two ids", () => {
    expect(broken([ran("id-a")])).toEqual(["nothing is invented"]);
    expect(broken([added("a"), ran("id-other")])).toEqual(["nothing is invented"]);
  });

  it("is broken by a job in another queue than it was added to", () => {
    const ranQueued = ledger("one", [
      [10, start(1, "a", { q: "other" })],
      [11, ok(1)],
    ]);
    expect(broken([added("a"), ranQueued])).toEqual(["nothing is invented"]);
  });
});

describe("completed once", () => {
  const first = ledger("one", [
    [10, start(1, "a")],
    [11, ok(1)],
    [12, told("a", "completed")],
  ]);

  it("is broken by a start after the acknowledgement", () => {
    const again = ledger("two", [[20, start(1, "a", { w: "w2" })]]);
    expect(broken([added("a"), first, again])).toEqual(["completed once"]);
  });

  it("holds when the worker that starts it again had stood still since it claimed the job, which is counted", () => {
    const frozen = (until: number): Ledger =>
      ledger("faults", [
        [5, { e: "frozen", of: "two" }],
        [until, { e: "thawed", of: "two" }],
      ]);
    // Claimed at 4 ms.
    const again = ledger("two", [
      [20, start(1, "a", { w: "w2", l: 4 })],
      [21, { e: "told", how: "refused", id: "id-a", w: "w2", l: 4 }],
    ]);
    const { violations, counts } = judged([added("a"), first, frozen(19), again]);
    expect(violations).toEqual([]);
    expect(counts["startedLate"]).toBe(1);
    expect(broken([added("a"), first, frozen(3), again])).toEqual(["completed once"]);
  });

  it("is broken by a start between two acknowledgements", () => {
    const cutOff = (from: number): Ledger =>
      ledger("two", [
        [from, start(1, "a", { w: "w2" })],
        [from + 1, ok(1)],
        [30, told("a", "completed", "w2")],
      ]);
    expect(broken([added("a"), first, cutOff(20)])).toEqual(["completed once"]);
  });

  it("holds when a job succeeds again because the first time was not acknowledged, which is counted", () => {
    const unheard = ledger("one", [
      [10, start(1, "a")],
      [11, ok(1)],
    ]);
    const again = ledger("two", [
      [20, start(1, "a", { w: "w2" })],
      [21, ok(1)],
      [22, told("a", "completed", "w2")],
    ]);
    const { violations, counts } = judged([added("a"), unheard, again]);
    expect(violations).toEqual([]);
    expect(counts["succeededTwice"]).toBe(1);
  });
});

describe("told is what happened", () => {
  const ends = (how: "deleted" | "kept", worker = "w1") => [{ id: "id-a", worker, how }];
  const tells = (how: Told, w = "w1"): Ledger =>
    ledger(w, [
      [10, start(1, "a", { w })],
      [11, ok(1)],
      [12, told("a", how, w)],
    ]);

  it("is broken by a completion, or a failure, that another worker's claim has ended with, or none", () => {
    expect(broken([added("a"), tells("completed")], { ends: ends("deleted", "w2") })).toEqual([
      "told is what happened",
    ]);
    expect(broken([added("a"), tells("completed")], { ends: ends("kept") })).toEqual(["told is what happened"]);
    expect(broken([added("a"), tells("completed")], { ends: ends("deleted") })).toEqual([]);
    expect(broken([added("a"), tells("failed")], { ends: [] })).toContain("told is what happened");
    expect(broken([added("a"), tells("dead")], { ends: ends("kept", "w2") })).toContain("told is what happened");
    expect(broken([added("a"), tells("failed")], { ends: ends("kept") })).toEqual([]);
  });

  it("is broken by a job that is completed for two workers", () => {
    const both = [added("a"), tells("completed"), tells("completed", "w2")];
    expect(broken(both, { ends: ends("deleted") })).toEqual(["told is what happened"]);
  });

  it("is broken by a refusal of what has completed", () => {
    expect(broken([added("a"), tells("refused")], { ends: ends("deleted") })).toEqual(["told is what happened"]);
    expect(broken([added("a"), tells("refused")], { ends: ends("deleted", "w2") })).toEqual([]);
  });

  it("holds where a worker told that it cannot know, which is counted", () => {
    const { violations, counts } = judged([added("a"), tells("unknown")], { ends: ends("deleted", "w2") });
    expect(violations).toEqual([]);
    expect(counts["toldUnknown"]).toBe(1);
  });
});

describe("attempts are bounded", () => {
  it("is broken by an attempt that counts more than was tried", () => {
    const ran = ledger("one", [
      [10, start(1, "a", { a: 2 })],
      [11, ok(1)],
    ]);
    expect(broken([added("a"), ran])).toEqual(["attempts are bounded"]);
  });

  it("is broken by an attempt that a shutdown interrupted and that counts all the same", () => {
    const twice = (how: "interrupted" | "refused"): Ledger =>
      ledger("one", [
        [10, start(1, "a")],
        [11, { e: "end", n: 1, how: "aborted" }],
        [12, told("a", how)],
        [20, start(2, "a", { a: 2, l: CLAIMED_MS + 1 })],
        [21, ok(2)],
      ]);
    expect(broken([added("a"), twice("interrupted")])).toEqual(["attempts are bounded"]);
    expect(broken([added("a"), twice("refused")])).toEqual([]);
  });

  it("is broken by a job out of attempts where no handler fails", () => {
    const row = { id: "id-a", name: "a", attempts: 25, maxAttempts: 25, lockedBy: null, lastError: "crashed" };
    expect(broken([added("a")], { jobs: [row] })).toContain("attempts are bounded");
  });
});

describe("what is left when everything has ended", () => {
  it("is broken by a lock on a job or a queue, and by a worker that is still registered", () => {
    const row = { id: "1", name: "a", attempts: 2, maxAttempts: 2, lockedBy: "w1", lastError: null };
    const hopeless = added(["a", null, 0, 0, 1]);
    expect(broken([hopeless], { jobs: [row] }, true)).toEqual(["nothing is left behind"]);
    expect(broken([], { lockedQueues: [{ name: "q", lockedBy: "w1" }] })).toEqual(["nothing is left behind"]);
    expect(broken([], { workers: ["w1"] })).toEqual(["nothing is left behind"]);
  });

  it("is broken by too many sessions, too much memory, or a worker that ended by itself", () => {
    expect(broken([ledger("faults", [[1, { e: "connections", count: 51 }]])])).toEqual(["nothing grows"]);
    expect(broken([ledger("one", [[1, { e: "stat", rss: 1_001, heap: 1, lag: 0 }]])])).toEqual(["nothing grows"]);
    const exit = ledger("faults", [[1, { e: "exit", of: "one", code: 1, signal: null }]]);
    expect(broken([ledger("one", []), exit])).toEqual(["nothing grows"]);
    expect(broken([ledger("one", [[1, { e: "bye" }]]), exit])).toEqual([]);
  });
});
