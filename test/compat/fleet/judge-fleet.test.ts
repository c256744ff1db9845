import { describe, expect, it } from "vitest";
import { added, ledger, ok, start } from "../../chaos/draft-ledgers.ts";
import { createHistory } from "../../chaos/history.ts";
import type { Ledger, ListedJob } from "../../chaos/ledger.ts";
import { judgeFleet, type FleetEvidence, type FleetVerdict } from "./judge-fleet.ts";
import type { SharedClaim } from "./watch.ts";

const QUEUED: ListedJob[] = ["a", "b", "c"].map((name) => [name, "q", 0, 0, 0]);
const CARELESS = "theirs";

function judged(
  ledgers: readonly Ledger[],
  more: Partial<FleetEvidence> = {},
  shared: SharedClaim[] = [],
): FleetVerdict {
  const history = createHistory(ledgers);
  const times = new Map(history.runs.map(({ id, l }) => [id, [l]]));
  return judgeFleet({
    history,
    ledgers,
    tables: { jobs: [], kept: [], lockedQueues: [], ends: [], declared: [], workers: [] },
    failing: true,
    wallOffset: 0,
    limits: { connections: 50, rssBytes: 1_000 },
    claims: { shared, times },
    isCareless: (file) => file === CARELESS,
    keyedAdds: new Map(),
    ...more,
  });
}

const broken = (verdict: FleetVerdict): string[] => [...new Set(verdict.violations.map(({ rule }) => rule))];

/** Job a from 10 to 30 in one process, b from 20 to 40 in another. */
const overlap = (older: string, newer: string): Ledger[] => [
  added(...QUEUED.slice(0, 2)),
  ledger(older, [
    [10, start(1, "a", { q: "q", w: "pool-1" })],
    [30, ok(1)],
  ]),
  ledger(newer, [
    [20, start(1, "b", { q: "q", w: "w2", l: 19 })],
    [40, ok(1)],
  ]),
];
const SHARED: SharedClaim[] = [{ worker: "pool-1", queue: "q", atMs: 9 }];

describe("an overlap in a queue", () => {
  it("breaks the promise when nothing explains it", () => {
    expect(broken(judged(overlap("one", "two")))).toEqual(["queues are serial"]);
  });

  it("breaks it even in a careless pool whose claim brought one job of the queue", () => {
    expect(broken(judged(overlap(CARELESS, "two")))).toEqual(["queues are serial"]);
  });

  it("breaks it when another kind of worker claimed several jobs of the queue", () => {
    expect(broken(judged(overlap("one", "two"), {}, SHARED))).toEqual(["queues are serial"]);
  });

  it("is the fault of a careless pool that claimed several jobs of the queue at once", () => {
    const verdict = judged(overlap(CARELESS, "two"), {}, SHARED);
    expect(verdict.violations).toEqual([]);
    expect(verdict.blamed).toHaveLength(1);
  });

  it("is its fault, too, when one of these jobs has unlocked the queue of a later one", () => {
    const ledgers = [
      added(...QUEUED),
      ledger(CARELESS, [
        [10, start(1, "a", { q: "q", w: "pool-1" })],
        [11, start(2, "b", { q: "q", w: "pool-1", l: 10 })],
        [20, ok(1)],
        [50, ok(2)],
      ]),
      ledger("two", [
        [30, start(1, "c", { q: "q", w: "w2", l: 29 })],
        [40, ok(1)],
      ]),
    ];
    expect(judged(ledgers, {}, SHARED)).toMatchObject({
      violations: [],
      blamed: [expect.anything(), expect.anything()],
    });
  });
});

it("finds a job that was lost, and one that started with more attempts than claims", () => {
  const ledgers = [
    added("a", "b"),
    ledger("one", [
      [10, start(1, "a", { a: 2 })],
      [11, ok(1)],
    ]),
  ];
  expect(broken(judged(ledgers))).toEqual(["nothing is lost", "attempts are bounded"]);
});

it("finds a key whose last add has not run", () => {
  const ran = (n: number) => [ledger("one", [[10, { e: "keyed", key: "k", n }]])];
  expect(judged(ran(3), { keyedAdds: new Map([["k", 3]]) }).violations).toEqual([]);
  expect(broken(judged(ran(2), { keyedAdds: new Map([["k", 3]]) }))).toEqual(["the last add counts"]);
});
