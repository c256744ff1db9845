import { describe, expect, it } from "vitest";
import { added, broken, judged, ledger, ok, start, told } from "../draft-ledgers.ts";
import type { Ledger, ListedJob, UntimedLine } from "../ledger.ts";

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
