import { HowdahError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { toJob } from "../job/row.ts";
import type { JobRecord } from "../postgres/queries/job-columns.ts";
import { describeValue } from "../runtime/describe-value.ts";

/** Checks one id, of a job unless `subject` says otherwise, and returns it without leading zeros. Throws `HOWDAH_OPTION_INVALID`. */
export function checkJobId(id: unknown, place = "The job id", subject = "a job"): string {
  if (typeof id === "string" && /^\d{1,30}$/.test(id) && BigInt(id) <= MAX_ID) return String(BigInt(id));
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${place} must be the id of ${subject}, a string of digits like "42"; found ${describeValue(id)}.`,
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

/** The jobs in the order in which their ids were given. Ids without a job are left out. */
export function inOrderOf(ids: readonly string[], records: readonly JobRecord[]): Job[] {
  const byId = new Map(records.map((record) => [record.id, record]));
  return ids.flatMap((id) => {
    const record = byId.get(id);
    return record ? [toJob(record)] : [];
  });
}

/** The largest id that PostgreSQL gives out. */
const MAX_ID = 9_223_372_036_854_775_807n;
