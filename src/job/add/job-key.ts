import { HowdahError } from "../../errors.ts";
import type { CheckedSpec } from "./job-spec.ts";

/**
 * Refuses what one statement cannot promise about keys: the same key twice
 * (`HOWDAH_JOB_KEY_DUPLICATE`) and `unsafe_dedupe`, which keeps a job that was
 * never asked for (`HOWDAH_JOB_KEY_MODE_UNSUPPORTED`).
 */
export function checkBulkKeys(jobs: readonly CheckedSpec[]): void {
  if (jobs.every(({ jobKey }) => jobKey === null)) return;
  const places = new Map<string, number>();
  for (const [index, { jobKey, jobKeyMode }] of jobs.entries()) {
    if (jobKey === null) continue;
    if (jobKeyMode === "unsafe_dedupe")
      throw new HowdahError(
        "HOWDAH_JOB_KEY_MODE_UNSUPPORTED",
        `\`jobKeyMode\` of jobs[${index}] is "unsafe_dedupe", which a bulk add does not support: use addJob.`,
      );
    const earlier = places.get(jobKey);
    if (earlier !== undefined)
      throw new HowdahError(
        "HOWDAH_JOB_KEY_DUPLICATE",
        `jobs[${earlier}] and jobs[${index}] have the same \`jobKey\`; only one of them could be kept.`,
      );
    places.set(jobKey, index);
  }
}
