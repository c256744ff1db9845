import type { Ending } from "../outcome.ts";
import { HowdahError } from "../../errors.ts";

/** The error of rows that were written to without an error and stayed as they were. */
export function rowKept(endings: readonly Ending[]): HowdahError {
  const ids = endings.map(({ job }) => job.id).join(", ");
  return new HowdahError(
    "HOWDAH_OUTCOME_KEPT_OUT",
    `The outcome of job ${ids} was written without an error, and its row is as it was. ` +
      "A trigger that returns null, a rule or a row-security policy on the jobs table keeps it; it is tried again.",
  );
}
