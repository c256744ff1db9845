import type { ChainEnd, JobChange } from "../../postgres/queries/release.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Outcome } from "../outcome.ts";

/** A claim that ends: the job and how its attempt went. */
export interface Ending {
  readonly job: ClaimedJob;
  readonly outcome: Outcome;
  /** How long its handler ran; 0 when it was not called. */
  readonly durationMs: number;
  /** With this job its chain ends, and the queue is free. */
  readonly endsChain: boolean;
}

/** Stands in for a message or payload that PostgreSQL did not take. */
const UNSTORABLE = "The error of this attempt could not be stored.";

/** What an outcome changes in the row of its job; `null` when it deletes the row. */
export function toChange({ job: { id }, outcome }: Ending): JobChange | null {
  const unchanged: JobChange = { id, refund: false, final: false, delayMs: null, message: null, payload: null };
  switch (outcome.kind) {
    case "completed":
      return null;
    case "failed":
      return {
        ...unchanged,
        final: outcome.final,
        delayMs: outcome.final ? 0 : outcome.delayMs,
        message: outcome.message,
        payload: outcome.payload ?? null,
      };
    case "snoozed":
    case "interrupted":
      return { ...unchanged, refund: true, delayMs: outcome.delayMs };
    case "cancelled":
      return { ...unchanged, final: true, message: outcome.reason };
    case "returned":
      return { ...unchanged, refund: true };
    default:
      return outcome satisfies never;
  }
}

/** The same ending without the texts that came from outside; `null` when there are none. */
export function withoutTexts(ending: Ending): Ending | null {
  const { outcome } = ending;
  if (outcome.kind === "failed" && (outcome.message !== UNSTORABLE || outcome.payload !== undefined)) {
    const { payload: _, ...rest } = outcome;
    return { ...ending, outcome: { ...rest, message: UNSTORABLE } };
  }
  if (outcome.kind === "cancelled" && outcome.reason !== UNSTORABLE) {
    return { ...ending, outcome: { ...outcome, reason: UNSTORABLE } };
  }
  return null;
}

/** The end of the chain whose last open job this is. */
export function toChainEnd(job: ClaimedJob, queueId: number): ChainEnd {
  return { queueId, lastJobId: job.id, claimedAt: job.claimedAt };
}
