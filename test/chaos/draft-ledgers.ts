import { createHistory } from "./history.ts";
import { judge, type Verdict } from "./judge.ts";
import type { Ledger, ListedJob, Told, UntimedLine } from "./ledger.ts";
import type { EndedClaim, FinalTables } from "./verdict.ts";

const EMPTY: FinalTables = { jobs: [], kept: [], lockedQueues: [], ends: [], declared: [], workers: [] };
/** When jobs are claimed unless a line says otherwise. */
export const CLAIMED_MS = 9;

/** Lines with times in milliseconds, the first of them a boot. */
export function ledger(file: string, lines: readonly (readonly [number, UntimedLine])[]): Ledger {
  const all: (readonly [number, UntimedLine])[] = [[0, { e: "boot", place: 0, pid: 1 }], [0, { e: "ready" }], ...lines];
  return { file, lines: all.map(([ms, line]) => ({ t: ms * 1_000, ...line })) };
}

/** What a producer wrote that was told at 2 ms that these jobs are stored. */
export function added(...jobs: readonly (string | ListedJob)[]): Ledger {
  const listed = jobs.map((job): ListedJob => (typeof job === "string" ? [job, null, 0, 0, 0] : job));
  const ids = listed.map(([name]) => `id-${name}`);
  return ledger("producer", [
    [1, { e: "adding", c: 1, jobs: listed }],
    [2, { e: "added", c: 1, ids }],
  ]);
}

/** What differs from a first attempt at a job without a queue. */
export interface StartOptions {
  readonly q?: string;
  readonly p?: number;
  readonly r?: number;
  readonly l?: number;
  readonly a?: number;
  readonly w?: string;
  readonly id?: string;
  readonly stubborn?: boolean;
}

/** The handler of a job is called. */
export function start(n: number, name: string, options: StartOptions = {}): UntimedLine {
  const { q = null, p = 0, r = 0, l = CLAIMED_MS, a = 1, w = "w1", id = `id-${name}`, stubborn = false } = options;
  return { e: "start", n, id, name, q, p, r, l, a, w, stubborn };
}

/** A handler returns. */
export const ok = (n: number): UntimedLine => ({ e: "end", n, how: "ok" });
/** What became of an attempt. */
export const told = (name: string, how: Told, w = "w1"): UntimedLine => ({
  e: "told",
  how,
  id: `id-${name}`,
  w,
  l: CLAIMED_MS,
});

/** What all rules say. */
export function judged(ledgers: readonly Ledger[], tables: Partial<FinalTables> = {}, failing = false): Verdict {
  return judge({
    history: createHistory(ledgers),
    tables: { ...EMPTY, ends: endsTold(ledgers), ...tables },
    failing,
    rate: { limit: 10, burst: 2 },
    wallOffset: 0,
    limits: { connections: 50, rssBytes: 1_000 },
  });
}

/** The rules that were broken. */
export function broken(ledgers: readonly Ledger[], tables: Partial<FinalTables> = {}, failing = false): string[] {
  return [...new Set(judged(ledgers, tables, failing).violations.map(({ rule }) => rule))];
}

/** What the tables say when all that was told has happened. */
function endsTold(ledgers: readonly Ledger[]): EndedClaim[] {
  return ledgers
    .flatMap(({ lines }) => lines)
    .flatMap((line): EndedClaim[] => {
      if (line.e !== "told" || !["completed", "failed", "dead"].includes(line.how)) return [];
      return [{ id: line.id, worker: line.w, how: line.how === "completed" ? "deleted" : "kept" }];
    });
}
