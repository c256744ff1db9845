import type { Rule } from "../verdict.ts";

/**
 * A job whose completion was acknowledged never starts again. It may be
 * acknowledged to two workers: one of them was cut off while it wrote, tries
 * again, and finds the job gone, which tells it that the job is done.
 */
export const completedOnce: Rule = ({ history }) => {
  const acknowledgedAt = new Map<string, number>();
  let acknowledgedTwice = 0;
  for (const { id, told } of history.runs) {
    if (told?.how !== "completed") continue;
    const earlier = acknowledgedAt.get(id);
    if (earlier !== undefined) acknowledgedTwice += 1;
    acknowledgedAt.set(id, Math.min(told.at, earlier ?? told.at));
  }
  const violations: string[] = [];
  const successes = new Map<string, number>();
  for (const { id, name, from, how } of history.runs) {
    const completedAt = acknowledgedAt.get(id);
    if (completedAt !== undefined && from > completedAt) {
      violations.push(`${name} (${id}) started ${from - completedAt} µs after its completion was acknowledged`);
    }
    if (how === "ok") successes.set(id, (successes.get(id) ?? 0) + 1);
  }
  const succeededTwice = [...successes.values()].filter((count) => count > 1).length;
  const counts = { starts: history.runs.length, acknowledged: acknowledgedAt.size, succeededTwice, acknowledgedTwice };
  return { violations, counts };
};
