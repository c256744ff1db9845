import { HowdahError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { toJob } from "../job/row.ts";
import type { Row } from "../postgres/driver.ts";
import { describeValue } from "../runtime/describe-value.ts";

/** The largest id that PostgreSQL gives out. */
const MAX_ID = 9_223_372_036_854_775_807n;

/** Checks one job id and returns it without leading zeros. Throws `HOWDAH_OPTION_INVALID`. */
export function checkJobId(id: unknown, place = "The job id"): string {
  if (typeof id === "string" && /^\d{1,30}$/.test(id) && BigInt(id) <= MAX_ID) return String(BigInt(id));
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${place} must be the id of a job, a string of digits like "42"; found ${describeValue(id)}.`,
  );
}

/**
 * Checks a list of job ids; each is returned once. `allowed` says what else may
 * be given. Throws `HOWDAH_OPTION_INVALID`.
 */
export function checkJobIds(ids: unknown, allowed = "Job ids must be a list"): string[] {
  if (!Array.isArray(ids)) throw new HowdahError("HOWDAH_OPTION_INVALID", `${allowed}; found ${describeValue(ids)}.`);
  return [...new Set(ids.map((id: unknown, index) => checkJobId(id, `Job id ${index}`)))];
}

/** Reads rows as jobs, in the order in which their ids were given. Ids without a job are left out. */
export function inOrderOf(ids: readonly string[], rows: readonly Row[]): Job[] {
  const byId = new Map(rows.map((row) => [row[0], row]));
  return ids.flatMap((id) => {
    const row = byId.get(id);
    return row ? [toJob(row)] : [];
  });
}
