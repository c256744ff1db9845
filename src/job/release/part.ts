import type { ChainEnd, JobChange, ReleaseRequest } from "../../postgres/queries/ending/release.ts";
import type { Ending } from "../outcome.ts";
import { toChainEnds, toChange, withoutTexts } from "./ending.ts";

/**
 * What is known of endings from the statements that were sent for them before:
 * none was; all of them were refused; or one of them may have been carried out.
 */
export type Attempt = "first" | "again" | "repeat";

/** Endings of one claimant that are written with one statement. */
export interface Part {
  readonly endings: readonly Ending[];
  readonly attempt: Attempt;
}

/** A part that was not written, and why. */
export interface Failure {
  readonly part: Part;
  readonly error: unknown;
  /** The statement was carried out and these rows stayed as they were: there is nothing to search for. */
  readonly isKept?: true;
  /** How many statements it took to find out. Default 1. */
  readonly statements?: number;
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
    else completed.push(job.id);
  }
  return {
    workerId: endings[0]?.job.lockedBy ?? "",
    claimTimes: [...claimTimes],
    completed,
    changed,
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
    if (endsChain && job.queueId !== null) chainEnds.push(...toChainEnds(job, job.queueId));
  }
  return chainEnds;
}
