import { expect, it } from "vitest";
import type { AuditEntry } from "../../client/operator-access.ts";
import type { WorkerInfo } from "../../client/workers.ts";
import { markersOf } from "./markers.ts";

const START = Date.UTC(2026, 10, 30, 12);
const at = (seconds: number): Date => new Date(START + seconds * 1_000);

/** Samples every ten seconds, with these numbers of workers. */
const samplesOf = (...workers: number[]) => workers.map((number, index) => ({ at: at(index * 10), workers: number }));

function worker(id: string, { since = 0, version = "1.0.0", host = "a", ...changes } = {}): WorkerInfo {
  const report = { runsSince: at(since), version, host } as NonNullable<WorkerInfo["report"]>;
  const times = { startedAt: at(since + 1), lastHeartbeatAt: at(since + 2) };
  return { id, ...times, session: "held", isStale: false, report, metadata: null, ...changes };
}

const entry = (seconds: number, action: string, outcome = "done"): AuditEntry => ({
  id: "1",
  at: at(seconds),
  who: "ada",
  action,
  target: { name: "mail" },
  outcome,
  count: null,
  operationId: null,
});

/** Seconds, kind and text of each marker. */
function marked(given: Partial<Parameters<typeof markersOf>[0]>): string[] {
  const all = markersOf({ samples: samplesOf(2, 2), entries: [], workers: [], ...given });
  return all.map((one) => `${(Date.parse(one.at) - START) / 1_000} ${one.kind} ${one.text}`);
}

it("marks what people paused, resumed, unlocked and began, and nothing that was refused", () => {
  const entries = [
    entry(5, "queues.pause"),
    entry(6, "jobs.cancel"),
    entry(7, "tasks.resume", "HOWDAH_UNEXPECTED"),
    entry(4, "operations.start"),
  ];
  expect(marked({ entries })).toEqual([
    '4 operations.start ada: start of operation "mail"',
    '5 queues.pause ada: pause of queue "mail"',
  ]);
});

it("marks workers that were started together once, with their releases and hosts", () => {
  const workers = [
    worker("w1", { since: 3 }),
    worker("w2", { since: 20, host: "b", version: "1.1.0" }),
    worker("w3", { since: 90 }),
    { ...worker("old"), startedAt: at(200), report: null },
  ];
  expect(marked({ workers })).toEqual([
    "3 workers.started 2 workers started: release 1.0.0, 1.1.0 on a, b",
    "90 workers.started 1 worker started: release 1.0.0 on a",
    "200 workers.started 1 worker started",
  ]);
});

it("marks the last heartbeat of a worker that died", () => {
  const dead = { ...worker("w1", { since: -500 }), lastHeartbeatAt: at(9), session: "lost" as const };
  expect(marked({ workers: [dead] })).toEqual(["9 workers.silent last heartbeat of the worker w1, which died"]);
});

it("marks a fall of the number of workers once, however long it takes", () => {
  expect(marked({ samples: samplesOf(4, 4, 3, 1, 1, 2, 1.6, 0.4) })).toEqual([
    "20 workers.fewer 3 workers fewer: ended, or died; 1 left",
    "70 workers.fewer 2 workers fewer: ended, or died; 0 left",
  ]);
});

it("marks a time in which no sample was taken, and nothing before the first one", () => {
  const samples = [...samplesOf(1, 1), { at: at(400), workers: 1 }, { at: at(410), workers: 1 }];
  expect(marked({ samples, entries: [entry(-1, "queues.pause")] })).toEqual([
    "10 workers.none no sample for 6 min 30 s: no worker was active",
  ]);
  expect(marked({ samples: [], workers: [worker("w1")] })).toEqual([]);
});
