import { describe, expect, it } from "vitest";
import { createHistory } from "./history.ts";
import { judge } from "./judge.ts";
import { parseLedger, type Ledger, type ListedJob, type UntimedLine } from "./ledger.ts";
import type { FinalTables } from "./verdict.ts";

const EMPTY: FinalTables = { jobs: [], lockedQueues: [], workers: [] };
const CLAIMED_MS = 9;

/** Lines with times in milliseconds, the first of them a boot. */
function ledger(file: string, lines: readonly (readonly [number, UntimedLine])[]): Ledger {
  const all: (readonly [number, UntimedLine])[] = [[0, { e: "boot", place: 0, pid: 1 }], [0, { e: "ready" }], ...lines];
  return { file, lines: all.map(([ms, line]) => ({ t: ms * 1_000, ...line })) };
}

function added(...jobs: readonly (string | ListedJob)[]): Ledger {
  const listed = jobs.map((job): ListedJob => (typeof job === "string" ? [job, null, 0, 0, 0] : job));
  const ids = listed.map(([name]) => `id-${name}`);
  return ledger("producer", [
    [1, { e: "adding", c: 1, jobs: listed }],
    [2, { e: "added", c: 1, ids }],
  ]);
}

interface StartOptions {
  readonly q?: string;
  readonly p?: number;
  readonly r?: number;
  readonly l?: number;
  readonly a?: number;
  readonly w?: string;
  readonly id?: string;
  readonly stubborn?: boolean;
}

function start(n: number, name: string, options: StartOptions = {}): UntimedLine {
  const { q = null, p = 0, r = 0, l = CLAIMED_MS, a = 1, w = "w1", id = `id-${name}`, stubborn = false } = options;
  return { e: "start", n, id, name, q, p, r, l, a, w, stubborn };
}

const ok = (n: number): UntimedLine => ({ e: "end", n, how: "ok" });
const told = (name: string, how: "completed" | "refused" | "interrupted" | "dead", w = "w1"): UntimedLine => ({
  e: "told",
  how,
  id: `id-${name}`,
  w,
  l: CLAIMED_MS,
});

function judged(ledgers: readonly Ledger[], tables: Partial<FinalTables> = {}, failing = false) {
  return judge({
    history: createHistory(ledgers),
    tables: { ...EMPTY, ...tables },
    failing,
    wallOffset: 0,
    limits: { connections: 50, rssBytes: 1_000 },
  });
}

/** The rules that were broken. */
function broken(ledgers: readonly Ledger[], tables: Partial<FinalTables> = {}, failing = false): string[] {
  return [...new Set(judged(ledgers, tables, failing).violations.map(({ rule }) => rule))];
}

const QUEUED: ListedJob[] = [
  ["a", "q", 0, 0, 0],
  ["b", "q", 0, 0, 0],
];

/** Job a from 10 to 30 in one process, job b from 20 to 40 in another. */
function overlap(older: readonly (readonly [number, UntimedLine])[], stubborn = false): Ledger[] {
  return [
    added(...QUEUED),
    ledger("one", [[10, start(1, "a", { q: "q", stubborn })], ...older]),
    ledger("two", [
      [20, start(1, "b", { q: "q", w: "w2" })],
      [40, ok(1)],
      [41, told("b", "completed", "w2")],
    ]),
  ];
}

const RUN_AGAIN = ledger("three", [
  [60, start(1, "a", { q: "q", w: "w3" })],
  [61, ok(1)],
  [62, told("a", "completed", "w3")],
]);

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

  it("is broken by a run of what nobody added, and of one job under two ids", () => {
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

  it("is broken by a start between two acknowledgements, and counts what was acknowledged twice", () => {
    const cutOff = (from: number): Ledger =>
      ledger("two", [
        [from, start(1, "a", { w: "w2" })],
        [from + 1, ok(1)],
        [30, told("a", "completed", "w2")],
      ]);
    expect(broken([added("a"), first, cutOff(20)])).toEqual(["completed once"]);
    const { violations, counts } = judged([added("a"), first, cutOff(9)]);
    expect(violations).toEqual([]);
    expect(counts["acknowledgedTwice"]).toBe(1);
  });

  it("holds when a job succeeds again because nobody was told of the first time, which is counted", () => {
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

describe("queues are serial", () => {
  it("is broken by two handlers at once when nothing explains it", () => {
    expect(broken([...overlap([[30, ok(1)]]), RUN_AGAIN])).toEqual(["queues are serial"]);
  });

  it("is broken even after a standstill when the older one is acknowledged", () => {
    const frozen = ledger("faults", [
      [12, { e: "frozen", of: "one" }],
      [28, { e: "thawed", of: "one" }],
    ]);
    const acknowledged = overlap([
      [30, ok(1)],
      [31, told("a", "completed")],
    ]);
    expect(broken([...acknowledged, frozen])).toEqual(["queues are serial"]);
  });

  it("holds when the worker of the older one was frozen and its outcome refused, which is counted", () => {
    const frozen = ledger("faults", [
      [12, { e: "frozen", of: "one" }],
      [28, { e: "thawed", of: "one" }],
    ]);
    const refused = overlap([
      [30, ok(1)],
      [31, told("a", "refused")],
    ]);
    const { violations, counts } = judged([...refused, frozen, RUN_AGAIN]);
    expect(violations).toEqual([]);
    expect(counts["overlapsFenced"]).toBe(1);
  });

  it("holds when the frozen one was told that its job is done, because another had done it", () => {
    const frozen = ledger("faults", [
      [12, { e: "frozen", of: "one" }],
      [28, { e: "thawed", of: "one" }],
    ]);
    const gone = overlap([
      [30, ok(1)],
      [31, told("a", "completed")],
    ]);
    const meanwhile = ledger("three", [
      [15, start(1, "a", { q: "q", w: "w3" })],
      [16, ok(1)],
    ]);
    expect(broken([...gone, frozen, meanwhile])).toEqual([]);
  });

  it("holds when a handler ignores that it was told to stop, and only then", () => {
    const abort: UntimedLine = { e: "abort", n: 1, code: "HOWDAH_ABORTED_LOST" };
    const ignored = (at: number, stubborn: boolean): Ledger[] => [
      ...overlap(
        [
          [at, abort],
          [30, ok(1)],
        ],
        stubborn,
      ),
      RUN_AGAIN,
    ];
    expect(broken(ignored(15, true))).toEqual([]);
    expect(broken(ignored(25, true))).toEqual(["queues are serial"]);
    expect(broken(ignored(15, false))).toEqual(["queues are serial"]);
  });

  it("is broken by two at once in one process, whatever happened to it", () => {
    const ledgers = [
      added(...QUEUED),
      ledger("one", [
        [10, start(1, "a", { q: "q" })],
        [20, start(2, "b", { q: "q" })],
        [30, ok(1)],
        [40, ok(2)],
      ]),
      ledger("faults", [
        [12, { e: "frozen", of: "one" }],
        [28, { e: "thawed", of: "one" }],
      ]),
    ];
    expect(broken(ledgers)).toEqual(["queues are serial"]);
  });

  it("counts a killed process as gone when it was killed, not when that was seen", () => {
    const killed = (at: number): Ledger =>
      ledger("faults", [
        [at, { e: "killed", of: "one" }],
        [45, { e: "exit", of: "one", code: null, signal: "SIGKILL" }],
      ]);
    expect(broken([...overlap([]), killed(19), RUN_AGAIN])).toEqual([]);
    expect(broken([...overlap([]), killed(21), RUN_AGAIN])).toEqual(["queues are serial"]);
  });
});

describe("queues keep their order", () => {
  /** Starts b, then a. */
  function inOrder(a: StartOptions, b: StartOptions): Ledger {
    return ledger("one", [
      [10, start(1, "b", { q: "q", l: 100_000, ...b })],
      [11, ok(1)],
      [12, start(2, "a", { q: "q", l: 100_000, ...a })],
      [13, ok(2)],
    ]);
  }
  const listed = (a: number, b: number): Ledger => added(["a", "q", a, 0, 0], ["b", "q", b, 0, 0]);

  it("is broken by a job that overtakes one of a better priority, or an older one", () => {
    expect(broken([listed(-1, 0), inOrder({ p: -1 }, {})])).toEqual(["queues keep their order"]);
    expect(broken([listed(0, 0), inOrder({ r: 0 }, { r: 1 })])).toEqual(["queues keep their order"]);
  });

  it("holds when the other one may not have been there yet, or was moved meanwhile", () => {
    expect(broken([listed(0, -1), inOrder({}, { p: -1 })])).toEqual([]);
    expect(broken([listed(-1, 0), inOrder({ p: -1 }, { l: 2_000 })])).toEqual([]);
    expect(broken([listed(-1, 0), inOrder({ p: -1, r: 50_000 }, {})])).toEqual([]);
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
