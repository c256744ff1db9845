import { appendFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A time of the monotonic clock that all processes of a machine share, in microseconds. */
export type Micros = number;

/** What became of an attempt, as the worker was told by the database. */
export type Told = "completed" | "failed" | "dead" | "interrupted" | "refused" | "unknown";

/** How a handler ended. */
export type HandlerEnd = "ok" | "failed" | "snoozed" | "aborted";

/** A job as a producer listed it: name, queue, priority, run_at in milliseconds or 0, 1 when it can only fail. */
export type ListedJob = readonly [string, string | null, number, number, 0 | 1];

/** A line of a ledger. `t` is when it was written. */
export type LedgerLine = { readonly t: Micros } & (
  | { readonly e: "boot"; readonly place: number; readonly pid: number }
  /** A worker tells its id. */
  | { readonly e: "ready"; readonly w?: string }
  /** A worker was declared dead, and goes on under another id. */
  | { readonly e: "fenced"; readonly was: string; readonly w: string }
  /** A worker has taken another one for dead. */
  | { readonly e: "recovered"; readonly was: string }
  | { readonly e: "bye" }
  | StartLine
  | { readonly e: "end"; readonly n: number; readonly how: HandlerEnd }
  /** A handler of the other task has done what the nth add with this key asked for. */
  | { readonly e: "keyed"; readonly key: string; readonly n: number }
  | { readonly e: "abort"; readonly n: number; readonly code: string }
  | { readonly e: "told"; readonly how: Told; readonly id: string; readonly w: string; readonly l: number }
  | { readonly e: "stat"; readonly rss: number; readonly heap: number; readonly lag: number }
  | { readonly e: "error"; readonly activity: string; readonly message: string }
  | { readonly e: "adding"; readonly c: number; readonly jobs: readonly ListedJob[] }
  | { readonly e: "added"; readonly c: number; readonly ids: readonly string[] }
  | { readonly e: "rolledBack"; readonly c: number; readonly message: string }
  | { readonly e: "unsure"; readonly c: number; readonly message: string }
  /** Written by the injector of faults about the process whose ledger is `of`. */
  | { readonly e: "killed"; readonly of: string }
  | { readonly e: "exit"; readonly of: string; readonly code: number | null; readonly signal: string | null }
  | { readonly e: "frozen"; readonly of: string }
  | { readonly e: "thawed"; readonly of: string }
  /** The way of the workers at these places is away, or slow, until it is back. */
  | { readonly e: "away"; readonly places: readonly number[] }
  | { readonly e: "back"; readonly places: readonly number[] }
  | { readonly e: "connections"; readonly count: number }
  | LimitLine
);

/** How many jobs of a queue with lanes, or of the pool, may run at once from now on; `null` for any number, or when that is not known. */
export interface LimitLine {
  readonly e: "limit";
  readonly of: "lanes-" | "pooled-";
  readonly width: number | null;
}

/** A handler was called. */
export interface StartLine {
  readonly e: "start";
  /** Counts the calls of this process. */
  readonly n: number;
  readonly id: string;
  readonly name: string;
  readonly q: string | null;
  readonly p: number;
  /** run_at and locked_at in milliseconds since 1970. */
  readonly r: number;
  readonly l: number;
  /** Attempts, this one included. */
  readonly a: number;
  /** What the job is locked by. */
  readonly w: string;
  /** The handler ignores its signal. */
  readonly stubborn?: boolean;
}

/** What one process wrote down. */
export interface Ledger {
  readonly file: string;
  readonly lines: readonly LedgerLine[];
}

/** Now, by the clock of all ledgers. */
export function micros(): Micros {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Appends lines to a ledger of this process. */
export function appendTo(file: string): (line: UntimedLine) => void {
  return (line) => appendFileSync(file, `${JSON.stringify({ t: micros(), ...line })}\n`);
}

type WithoutTime<Line> = Line extends unknown ? Omit<Line, "t"> : never;

/** A line before it is written. */
export type UntimedLine = WithoutTime<LedgerLine>;

/** Reads all ledgers of a folder. */
export async function readLedgers(folder: string): Promise<Ledger[]> {
  const files = (await readdir(folder))
    .filter((name) => name.endsWith(".jsonl"))
    .toSorted((a, b) => a.localeCompare(b));
  return Promise.all(
    files.map(async (file) => ({ file, lines: parseLedger(await readFile(join(folder, file), "utf8"), file) })),
  );
}

/**
 * The lines of a ledger. What follows the last line break was cut off by the
 * death of its process and does not count; anything else that is not a line is
 * an error, because then the ledger proves nothing.
 */
export function parseLedger(text: string, file: string): LedgerLine[] {
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as LedgerLine;
    } catch (error) {
      throw new Error(`Line ${index + 1} of ${file} is damaged: ${line.slice(0, 100)}`, { cause: error });
    }
  });
}
