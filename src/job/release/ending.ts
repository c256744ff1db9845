import { isHowdahError } from "../../errors.ts";
import type { ChainEnd, JobChange } from "../../postgres/queries/ending/release.ts";
import type { ClaimedJob } from "../claimed-job.ts";
import type { Ending, Undecided } from "../outcome.ts";

/** Stands in for a message or payload that PostgreSQL did not take. */
const UNSTORABLE = "The error of this attempt could not be stored.";

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
  return null;
}

/** The end of the chain whose last open job this is: its queue was locked at one of the times of the job. */
export function toChainEnds({ id, claimTimes }: ClaimedJob, queueId: number): ChainEnd[] {
  return claimTimes.map((claimedAt) => ({ queueId, lastJobId: id, claimedAt }));
}
