import type { Rule } from "../verdict.ts";
import { stoodStill } from "./queues-are-serial.ts";

/**
 * A job whose completion was acknowledged never starts again. The one
 * exception: a worker that stood still wakes up with the job in its hands and
 * does not know yet that it was declared dead.
 */
export const completedOnce: Rule = (evidence) => {
  const { history } = evidence;
  const acknowledgedAt = new Map<string, number>();
  for (const { id, told } of history.runs) {
    if (told?.how !== "completed") continue;
    acknowledgedAt.set(id, Math.min(told.at, acknowledgedAt.get(id) ?? told.at));
  }
  const violations: string[] = [];
  const successes = new Map<string, number>();
  let startedLate = 0;
  for (const run of history.runs) {
    const { id, name, from, how } = run;
    const completedAt = acknowledgedAt.get(id);
    if (completedAt !== undefined && from > completedAt) {
      if (stoodStill(run, from, evidence)) startedLate += 1;
      else violations.push(`${name} (${id}) started ${from - completedAt} µs after its completion was acknowledged`);
    }
    if (how === "ok") successes.set(id, (successes.get(id) ?? 0) + 1);
  }
  const succeededTwice = [...successes.values()].filter((count) => count > 1).length;
  const starts = history.runs.length;
  return { violations, counts: { starts, succeededTwice, startedLate } };
};
