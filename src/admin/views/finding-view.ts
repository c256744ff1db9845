import type { DiagnosisResult } from "../../client/doctor/diagnose.ts";
import type { FindingView } from "../contract/overview-views.ts";
import type { Redaction } from "../redact/redaction.ts";

/**
 * What a check found. The one of failed jobs quotes an error, whose jobs are not
 * known: where parts of payloads must not be seen, it is left out.
 */
export function toFindingView(result: DiagnosisResult, redaction: Redaction): FindingView {
  if (!redaction.hasPaths || result.id !== "failed") return { ...result };
  return { ...result, finding: result.finding.replace(/ with ".*$/s, " with the same error.") };
}
