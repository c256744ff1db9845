import { isHowdahError } from "../../errors.ts";
import type {
  ChainEnd,
  JobChange,
  KeptJob,
  QueuePark,
  ReleaseRequest,
} from "../../postgres/queries/ending/release-request.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Completed, Ending, Undecided } from "../outcome.ts";
import { toEndedAttempt, toKeptJob, UNSTORABLE } from "./kept-job.ts";

/** Endings of one claimant that are written with one statement. */
export interface Part {
  readonly endings: readonly Ending[];
  readonly attempt: Attempt;
}

/**
 * What is known of endings from the statements that were sent for them before:
 * none was; all of them were refused; or one of them may have been carried out.
 */
export type Attempt = "first" | "again" | "repeat";

/** A part that was not written, and why. */
export interface Failure {
  readonly part: Part;
  readonly error: unknown;
  /** The statement was carried out and these rows stayed as they were: there is nothing to search for. */
  readonly isKept?: true;
  /** How many statements it took to find out. Default 1. */
  readonly statements?: number;
}

/**
 * Endings as parts that may be written: grouped by the id that the jobs are locked
 * under, which is the same for all unless the worker has changed it. What is lost
 * stands apart by its time: written together with later claims it would count as
 * theirs.
 */
export function toParts(endings: readonly Ending[]): readonly Part[] {
  const first = endings[0]?.job.lockedBy;
  if (endings.every(({ job, lost }) => job.lockedBy === first && lost !== true)) return [{ endings, attempt: "first" }];
  const groups = new Map<string, Ending[]>();
  for (const ending of endings) {
    const claimant = claimantOf(ending);
    const group = groups.get(claimant);
    if (group) group.push(ending);
    else groups.set(claimant, [ending]);
  }
  return Array.from(groups.values(), (group) => ({ endings: group, attempt: "first" }));
}

/** Both halves of a part, in order. */
export function halvesOf({ endings, attempt }: Part): readonly [Part, Part] {
  const middle = Math.ceil(endings.length / 2);
  return [
    { endings: endings.slice(0, middle), attempt },
    { endings: endings.slice(middle), attempt },
  ];
}

/** Of a single ending that failed: the same without the texts that came from outside, which may be what cannot be stored. */
export function plainOf({ part: { endings, attempt }, isKept }: Failure): Part | undefined {
  const [only] = endings;
  const plain = only && endings.length === 1 && !isKept ? withoutTexts(only) : null;
  return plain ? { endings: [plain], attempt } : undefined;
}

/** What endings may share a statement by: the id they are locked under, and for what is lost its time as well. */
export function claimantOf({ job: { lockedBy, claimedAt }, lost }: Ending): string {
  return lost === true ? `${lockedBy} ${claimedAt}` : lockedBy;
}

/** The statement that writes a part. */
export function toRequest({ endings, attempt }: Part, how: "waiting" | "skipping locked"): ReleaseRequest {
  const completed: string[] = [];
  const kept: KeptJob[] = [];
  const changed: JobChange[] = [];
  const claimTimes = new Set<string>();
  let seen: string | undefined;
  for (const ending of endings) {
    const { job } = ending;
    // Most come from the claim of the one before, and a look at their times would make a list for each.
    if (job.claimedAt !== seen || job.isRenewed) for (const claimedAt of job.claimTimes) claimTimes.add(claimedAt);
    seen = job.claimedAt;
    const change = toChange(ending);
    if (change) changed.push(change);
    else if (ending.keep || job.isAwaited) kept.push(toKeptJob(ending));
    else completed.push(job.id);
  }
  const parks = changed.length === 0 ? [] : parksOf(endings);
  return {
    workerId: endings[0]?.job.lockedBy ?? "",
    claimTimes: [...claimTimes],
    completed,
    ...(kept.length > 0 ? { kept } : {}),
    changed,
    ...(parks.length > 0 ? { parks } : {}),
    // Beside locked rows queues are unlocked apart, so that only that is tried again.
    chainEnds: how === "waiting" ? chainEndsOf(endings) : [],
    patient: how === "waiting",
    isApart: attempt !== "first",
  };
}

/** The ends of chains among these endings. */
export function chainEndsOf(endings: readonly Ending[]): ChainEnd[] {
  const chainEnds: ChainEnd[] = [];
  for (const { job, endsChain } of endings) {
    if (endsChain && job.queueId !== null) chainEnds.push(...toChainEnds(job));
  }
  return chainEnds;
}

/** The queues with rules that these endings park. */
function parksOf(endings: readonly Ending[]): QueuePark[] {
  return endings.flatMap(({ job, outcome, startedAt = 0, durationMs }) => {
    const { queueId } = job;
    const ended = outcome.kind === "undecided" ? outcome.otherwise : outcome;
    if (ended.kind !== "snoozed" || ended.parksQueue !== true || queueId === null || job.lane === null) return [];
    const until = job.databaseTime(startedAt + durationMs) + Math.round(ended.delayMs * 1_000);
    return [{ queueId, until: String(until) }];
  });
}

/** What an outcome changes in the row of its job; `null` when it deletes the row. */
export function toChange(ending: Ending): JobChange | null {
  const {
    job: { id },
    outcome,
  } = ending;
  if (outcome.kind === "completed") return null;
  const unchanged: JobChange = { id, refund: false, final: false, delayMs: null, message: null, payload: null };
  switch (outcome.kind) {
    case "failed":
      return {
        ...unchanged,
        final: outcome.final,
        delayMs: outcome.final ? 0 : outcome.delayMs,
        message: outcome.message,
        payload: outcome.payload ?? null,
        attempt: toEndedAttempt(ending, outcome),
      };
    case "snoozed":
      return { ...unchanged, refund: true, delayMs: outcome.delayMs };
    case "interrupted":
      return { ...unchanged, refund: true, interrupted: true, delayMs: outcome.delayMs };
    case "cancelled":
      return { ...unchanged, final: true, message: outcome.reason };
    case "returned":
      return { ...unchanged, refund: true };
    case "undecided": {
      const change = toChange({ ...ending, outcome: outcome.otherwise });
      return change && { ...change, within: outcome.within() };
    }
    default:
      return outcome satisfies never;
  }
}

/** How an ending went whose transaction has committed: what the handler did afterwards no longer changes the job. */
export function asCommitted(ending: Ending, { otherwise }: Undecided): Ending {
  const threw = otherwise.kind === "failed" && !isHowdahError(otherwise.error, "HOWDAH_COMPLETION_ROLLED_BACK");
  return {
    ...ending,
    outcome: threw ? { kind: "completed", thrownAfterwards: otherwise.message } : { kind: "completed" },
  };
}

/** An ending that left no further attempt, whether or not the worker knew: the job was removed or replaced meanwhile. */
export function asLast(ending: Ending): Ending {
  const outcome = ending.outcome.kind === "undecided" ? ending.outcome.otherwise : ending.outcome;
  return outcome.kind === "failed" ? { ...ending, outcome: { ...outcome, final: true } } : ending;
}

/** The same ending without the texts that came from outside; `null` when there are none. */
export function withoutTexts(ending: Ending): Ending | null {
  const { outcome } = ending;
  if (outcome.kind === "undecided") {
    const plain = withoutTexts({ ...ending, outcome: outcome.otherwise });
    return plain && { ...ending, outcome: { ...outcome, otherwise: plain.outcome as Undecided["otherwise"] } };
  }
  if (outcome.kind === "failed" && (outcome.message !== UNSTORABLE || outcome.payload !== undefined)) {
    const { payload: _, ...rest } = outcome;
    return { ...ending, outcome: { ...rest, message: UNSTORABLE } };
  }
  if (outcome.kind === "cancelled" && outcome.reason !== UNSTORABLE) {
    return { ...ending, outcome: { ...outcome, reason: UNSTORABLE } };
  }
  if (outcome.kind === "completed" && hasResult(outcome) && (ending.keep?.result === true || ending.job.isAwaited)) {
    return { ...ending, outcome: { kind: "completed", resultError: UNSTORABLE_RESULT } };
  }
  return null;
}

/** The end of the chain whose last open job this is: its queue, or lanes, were locked at one of the times of the job. */
export function toChainEnds(job: ClaimedJob): ChainEnd[] {
  const { id: lastJobId, queueId, claimTimes } = job;
  if (queueId === null) return [];
  if (job.lane === null) return claimTimes.map((claimedAt) => ({ queueId, lastJobId, claimedAt }));
  return job.lanes.flatMap(({ ownerId, lane }) =>
    claimTimes.map((claimedAt) => ({ queueId: ownerId, lane, lastJobId, claimedAt })),
  );
}

function hasResult({ result, resultError }: Completed): boolean {
  return result !== undefined && resultError === undefined;
}

/** Stands for a result that PostgreSQL did not take. */
const UNSTORABLE_RESULT = "The result could not be stored.";
