import type { Run } from "../history.ts";
import type { Rule } from "../verdict.ts";

/**
 * `attempts` counts starts. Those that ended without an answer are refunded or
 * not, depending on how often a worker died with the job; those that were given
 * back are always refunded. So a start may count one more than the attempts
 * that failed or got no answer, and never more.
 */
export const attemptsAreBounded: Rule = ({ history, tables, failing }) => {
  const violations: string[] = [];
  const used = new Map<string, number>();
  let notFirst = 0;
  for (const run of history.runs) {
    const before = used.get(run.id) ?? 0;
    if (run.a < 1 || run.a > 1 + before) {
      violations.push(`${run.name} (${run.id}) started as attempt ${run.a} after ${before} that may count`);
    }
    if (run.a > 1) notFirst += 1;
    if (mayCount(run)) used.set(run.id, before + 1);
    if (!failing && run.told?.how === "dead") violations.push(`${run.name} (${run.id}) ran out of attempts`);
  }
  for (const { name, id, attempts, maxAttempts, lastError } of tables.jobs) {
    if (!failing && attempts >= maxAttempts) violations.push(`${name} (${id}) is out of attempts: ${lastError}`);
  }
  return { violations, counts: { startsNotFirst: notFirst } };
};

function mayCount({ how, told }: Run): boolean {
  if (told?.how === "interrupted" || told?.how === "completed") return false;
  // A snooze is refunded; that it was is not recorded.
  return how !== "snoozed" || told?.how === "refused" || told?.how === "unknown";
}
