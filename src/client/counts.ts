import { JOB_STATES, type JobState } from "../job/job.ts";
import { toDate } from "../job/row.ts";
import {
  CAP,
  countAllJobs,
  countIndexedJobs,
  type CountTarget,
  type IndexedCounts,
  type PartCounts,
  type SampledParts,
  samplePartsOfJobs,
  type StateCounts,
} from "../postgres/queries/count-jobs.ts";

/** A number, and how good it is. */
export interface Count {
  readonly value: number;
  /** False for an estimate. */
  readonly exact: boolean;
  /** When it was counted, by the database's clock. */
  readonly asOf: Date;
}

/** How many jobs there are in each state. */
export type JobStats = { readonly [State in JobState]: Count };

/** Counts all jobs by state. */
export async function readStats(target: CountTarget): Promise<JobStats> {
  const all = await countAllJobs(target);
  if (all !== undefined) return toStats(all, true);
  const counted = await countIndexedJobs(target);
  return combine(counted, needsSample(counted) ? await samplePartsOfJobs(target) : undefined);
}

/** Of rows of which at most `limit` were looked at: `looked` says how many there were, `found` how many of them count. */
export function countUpTo(
  limit: number,
  { looked, found, asOf }: { readonly looked: number; readonly found: number; readonly asOf: string },
): Count {
  return { value: Math.min(found, limit), exact: looked <= limit, asOf: toDate(asOf) };
}

/** Whether there are numbers of which the indexes say too little. */
export function needsSample({ plain, queued, failed }: IndexedCounts): boolean {
  return (
    [plain, queued].some((part) => isCut(part) && (part.estimate === null || (part.due > CAP && part.later > CAP))) ||
    (failed.counted > CAP && failed.estimate === null)
  );
}

/**
 * What the indexes say, as states; what they say too little of is in `sample`.
 * Jobs that run are in the same indexes as those that wait, so they are taken
 * away from these.
 */
export function combine({ plain, queued, failed, held, asOf }: IndexedCounts, sample?: SampledParts): JobStats {
  const parts = [partOf(plain, sample?.plain), partOf(queued, sample?.queued)];
  const sum = (name: "due" | "later"): number => parts.reduce((total, part) => total + part[name], 0);
  const isCounted = (name: "due" | "later"): boolean => plain[name] <= CAP && queued[name] <= CAP && held.isComplete;
  const count = (value: number, exact: boolean, countedAt = asOf): Count => ({
    value: Math.max(0, Math.round(value)),
    exact,
    asOf: toDate(countedAt),
  });
  const running = runningOf(held);
  const manyFailed = Math.max(failed.counted, failed.estimate ?? sample?.failed ?? 0);
  return {
    ready: count(sum("due") - running.value + held.later, isCounted("due")),
    scheduled: count(sum("later") - held.later, isCounted("later")),
    running: count(running.value, held.isComplete, running.asOf),
    failed: count(failed.counted > CAP ? manyFailed : failed.counted, failed.counted <= CAP),
  };
}

/** What was found, when that is all; else what workers say, who know of jobs that no scan finds, and the jobs of others that were found. */
function runningOf({ all, isComplete, told, toldAt, untold }: IndexedCounts["held"]) {
  if (isComplete || toldAt === null || told + untold < all) return { value: all };
  return { value: told + untold, asOf: toldAt };
}

function isCut({ due, later }: PartCounts): boolean {
  return due > CAP || later > CAP;
}

/** What was counted to the end stands; the rest is what the index has besides, or as the sample has it. */
function partOf(part: PartCounts, sampled: SampledParts["plain"] = part): Pick<PartCounts, "due" | "later"> {
  const { due, later } = part;
  if (!isCut(part)) return { due, later };
  const total = part.estimate ?? sampled.due + sampled.later;
  if (later <= CAP) return { due: Math.max(due, total - later), later };
  if (due <= CAP) return { due, later: Math.max(later, total - due) };
  const share = sampled.due / Math.max(1, sampled.due + sampled.later);
  return { due: Math.max(due, total * share), later: Math.max(later, total * (1 - share)) };
}

/** Counts of one moment, as states. */
export function toStats({ asOf, ...counts }: StateCounts, exact: boolean): JobStats {
  const stats = JOB_STATES.map((state) => [state, { value: counts[state], exact, asOf: toDate(asOf) }]);
  return Object.fromEntries(stats) as JobStats;
}
