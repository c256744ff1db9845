import type { EndedAttempt, KeptJob } from "../../postgres/queries/ending/release-request.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { errorStack } from "../../runtime/error-stack.ts";
import type { Ending, FailedForGood, Retried } from "../outcome.ts";

/**
 * What becomes of a completed job that is kept: its result as JSON, or why that is missing. A handler that has
 * returned has done its work, so what cannot be JSON does not fail the attempt.
 */
export function toKeptJob({ job, outcome, keep, startedAt }: Ending): KeptJob {
  const start = startedAt === undefined ? null : String(job.databaseTime(startedAt));
  const kept = { id: job.id, startedAt: start };
  if (outcome.kind !== "completed" || (keep?.result !== true && !job.isAwaited))
    return { ...kept, result: null, error: null };
  const { result, resultError = null } = outcome;
  if (resultError !== null) return { ...kept, result: null, error: resultError };
  try {
    return { ...kept, ...withinLimit(JSON.stringify(result) ?? null) };
  } catch (error) {
    return { ...kept, result: null, error: `The result cannot be stored as JSON: ${errorMessage(error)}` };
  }
}

/** The most bytes of a result, as JSON. */
const MAX_RESULT_BYTES = 1_000_000;

function withinLimit(result: string | null): Pick<KeptJob, "result" | "error"> {
  const bytes = result === null ? 0 : Buffer.byteLength(result);
  if (bytes <= MAX_RESULT_BYTES) return { result, error: null };
  return { result: null, error: `The result has ${bytes} bytes as JSON, and at most ${MAX_RESULT_BYTES} are stored.` };
}

/** What is stored of a failed attempt beside its message. */
export function toEndedAttempt({ job, startedAt }: Ending, { error, message }: Retried | FailedForGood): EndedAttempt {
  return {
    number: job.attempts,
    startedAt: startedAt === undefined ? null : String(job.databaseTime(startedAt)),
    stack: message === UNSTORABLE ? null : (errorStack(error) ?? null),
  };
}

/** Stands in for a message or payload that PostgreSQL did not take. */
export const UNSTORABLE = "The error of this attempt could not be stored.";
