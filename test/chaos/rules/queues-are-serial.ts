import type { Run } from "../history.ts";
import type { Micros } from "../ledger.ts";
import { isLimited } from "../limited-queues.ts";
import type { Evidence, Rule } from "../verdict.ts";

/**
 * No two handlers of a queue run at once. The one exception: the worker of one
 * of them was presumed dead, because it stood still, or the handler ignored
 * being told to stop; then nothing comes of it. Inside one process there is no
 * exception.
 */
export const queuesAreSerial: Rule = (evidence) => {
  const overlaps = overlapsOf(evidence);
  const faults = overlaps.filter(({ fault }) => fault !== undefined);
  return {
    violations: faults.map(describeOverlap),
    counts: { overlapsFenced: overlaps.length - faults.length },
  };
};

/** Two handlers of one queue that ran at once. */
export interface Overlap {
  readonly queue: string;
  readonly older: Run;
  readonly newer: Run;
  /** What is wrong with that; `undefined` when it is one of those that may be. */
  readonly fault: string | undefined;
}

/** All handlers of one queue that ran at once, two by two. */
export function overlapsOf(evidence: Evidence): Overlap[] {
  const lastStart = lastStartsOf(evidence);
  const overlaps: Overlap[] = [];
  for (const [queue, runs] of byQueue(evidence.history.runs)) {
    if (isLimited(queue)) continue;
    let open: Run[] = [];
    for (const newer of runs) {
      open = open.filter(({ until }) => until > newer.from);
      for (const older of open) {
        overlaps.push({ queue, older, newer, fault: judge(older, newer, { evidence, lastStart }) });
      }
      open.push(newer);
    }
  }
  return overlaps;
}

/** An overlap in words. */
export function describeOverlap({ queue, older, newer, fault }: Overlap): string {
  return `${queue}: ${describe(older)} and ${describe(newer)}: ${fault}`;
}

/** What is known of all runs when one of them is judged. */
export interface Ground {
  readonly evidence: Evidence;
  /** The last start of each job. */
  readonly lastStart: ReadonlyMap<string, Run>;
}

/** What is wrong with an overlap; `undefined` when it is one of those that may be. */
function judge(older: Run, newer: Run, { evidence, lastStart }: Ground): string | undefined {
  if (older.file === newer.file) return "in one process";
  const harmless = [older, newer].filter((run) => isFenced(run, lastStart.get(run.id) !== run));
  if (harmless.length === 0) return `the older one was still ${older.told?.how}`;
  const ignoresItsEnd = older.stubborn === true && older.aborted !== undefined && older.aborted.at < newer.from;
  if (harmless.includes(older) && ignoresItsEnd) return undefined;
  if (harmless.some((run) => stoodStill(run, newer.from, evidence))) return undefined;
  return "nothing explains why a worker was presumed dead";
}

/** The last start of each job. */
export function lastStartsOf({ history }: Evidence): ReadonlyMap<string, Run> {
  return new Map(history.runs.map((run) => [run.id, run]));
}

/** Whether a run that goes on at a moment may: nothing came of it, and something explains why its worker was presumed dead. */
export function isHarmless(run: Run, at: Micros, { evidence, lastStart }: Ground): boolean {
  if (!isFenced(run, lastStart.get(run.id) !== run)) return false;
  return (run.stubborn === true && run.aborted !== undefined && run.aborted.at < at) || stoodStill(run, at, evidence);
}

/** Whether a process could not do anything for a while between its claim of a job and a moment. */
export function stoodStill(run: Run, at: Micros, { history, wallOffset }: Evidence): boolean {
  const claimedAt = run.l * 1_000 - wallOffset;
  return (history.standstills.get(run.file) ?? []).some(({ from, until }) => from < at && until > claimedAt);
}

/** Nothing came of a run. Who completes a job that another one has completed meanwhile is told that it is done. */
function isFenced({ told }: Run, wasRepeated: boolean): boolean {
  return told === undefined || told.how === "refused" || wasRepeated;
}

/** The runs of each queue, in the order of their starts. */
export function byQueue(runs: readonly Run[]): ReadonlyMap<string, readonly Run[]> {
  const queues = new Map<string, Run[]>();
  for (const run of runs) {
    if (run.q === null) continue;
    const queue = queues.get(run.q);
    if (queue) queue.push(run);
    else queues.set(run.q, [run]);
  }
  return queues;
}

function describe({ name, id, file, n, from, until, how }: Run): string {
  return `${name} (${id}, ${file} run ${n}, ${from} to ${until}, ${how})`;
}
