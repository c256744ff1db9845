import type { Diagnosis, DiagnosisResult } from "../../client/doctor/diagnose.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { formatSpan } from "../../client/why/times.ts";
import type { FindingView, OverviewAnswer } from "../contract/overview-views.ts";
import type { Redaction } from "../redact/redaction.ts";

/**
 * What a check found. The one of failed jobs quotes an error, whose jobs are not
 * known: where parts of payloads must not be seen, it is left out.
 */
export function toFindingView(result: DiagnosisResult, redaction: Redaction): FindingView {
  if (!redaction.hasPaths || result.id !== "failed") return { ...result };
  return { ...result, finding: result.finding.replace(/ with ".*$/s, " with the same error.") };
}

/** What needs someone, the worst first. */
export function needsOf(diagnosis: Diagnosis | undefined, redaction: Redaction): FindingView[] {
  const bad = (diagnosis?.results ?? []).filter(({ status }) => status === "fail" || status === "warn");
  return bad
    .map((result) => toFindingView(result, redaction))
    .sort((a, b) => (a.status === b.status ? 0 : a.status === "fail" ? -1 : 1));
}

/** How it stands: as bad as the worst of what needs someone. */
export function statusOf(needs: readonly FindingView[]): Diagnosis["status"] {
  if (needs.some(({ status }) => status === "fail")) return "fail";
  return needs.length > 0 ? "warn" : "ok";
}

/** The whole in one sentence. */
export function sentenceOf(
  needs: number,
  { workers, oldestDueMs, counts }: Pick<OverviewAnswer, "workers" | "oldestDueMs" | "counts">,
): string {
  if (needs > 0) return needs === 1 ? "1 thing needs you." : `${formatCount(needs, "thing")} need you.`;
  const slots =
    workers.count === 0 ? "No worker is registered" : `${workers.busy} of ${formatCount(workers.slots, "slot")} busy`;
  const oldest =
    oldestDueMs === null
      ? `${formatCount(counts.ready.value, "job")} waiting`
      : `oldest due job ${formatSpan(oldestDueMs)}`;
  return `${workers.count === 0 ? "Quiet" : "Healthy"}. ${slots}, ${oldest}.`;
}
