import type { AddedJob, Run } from "../history.ts";
import { isLimited } from "../limited-queues.ts";
import type { Evidence, Rule } from "../verdict.ts";
import { byQueue } from "./queues-are-serial.ts";

/**
 * A claim reads with a snapshot, and commits arrive out of order. A job that
 * was there and due for so long before a claim was certainly seen by it.
 */
const CERTAIN_MS = 3_000;

/**
 * Inside a queue jobs start by priority, run_at and id among those that were
 * there and due when the claim was made. A job that was moved, because an
 * attempt failed or its worker died, is excepted: it has lost its place.
 */
export const queuesKeepOrder: Rule = (evidence) => {
  const jobs = new Map(evidence.history.jobs.map((job) => [job.name, job]));
  const violations: string[] = [];
  let compared = 0;
  for (const [queue, runs] of byQueue(evidence.history.runs)) {
    if (isLimited(queue)) continue;
    // From the last start to the first, so that `later` holds what started after.
    const later: Waiting[] = [];
    for (const run of firstStarts(runs).toReversed()) {
      const overtaken = later.find(({ certainAt, run: other }) => certainAt <= run.l && isBefore(other, run));
      compared += later.length > 0 ? 1 : 0;
      if (overtaken) {
        violations.push(`${queue}: ${describe(run)} started before ${describe(overtaken.run)}, which was due`);
      }
      const waiting = toWaiting(run, jobs.get(run.name), evidence);
      if (waiting) later.push(waiting);
    }
  }
  return { violations, counts: { ordersCompared: compared } };
};

interface Waiting {
  readonly run: Run;
  /** From when on every claim had to see it, in milliseconds since 1970. */
  readonly certainAt: number;
}

/** A job that has kept its place, and since when it is certainly to be seen. */
function toWaiting(run: Run, job: AddedJob | undefined, { wallOffset }: Evidence): Waiting | undefined {
  if (!job || job.answer !== "added" || run.a > 1) return undefined;
  const addedAtMs = (job.answeredAt + wallOffset) / 1_000;
  // Without a time of its own a job is due when its transaction began, which was before the producer was told.
  const moved = job.runAt === 0 ? run.r > addedAtMs : run.r !== job.runAt;
  return moved ? undefined : { run, certainAt: Math.max(addedAtMs, run.r) + CERTAIN_MS };
}

function firstStarts(runs: readonly Run[]): Run[] {
  const seen = new Set<string>();
  return runs.filter(({ id }) => !seen.has(id) && seen.add(id));
}

function isBefore(a: Run, b: Run): boolean {
  if (a.p !== b.p) return a.p < b.p;
  if (a.r !== b.r) return a.r < b.r;
  // run_at is finer than the milliseconds of the ledger.
  return false;
}

function describe({ name, id, p, r, l, file, n }: Run): string {
  return `${name} (${id}, priority ${p}, due ${r}, claimed ${l}, ${file} run ${n})`;
}
