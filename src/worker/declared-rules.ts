import { poolUnknown } from "../client/queue-rules.ts";
import { readPattern, readQueueRules, type QueueRules } from "../job/queue-rules.ts";
import type { AnyTask } from "../job/task.ts";
import { readTaskLimit, type DeclaredRules } from "../job/task-limit.ts";
import type { WorkerContext } from "../job/worker-context.ts";
import { applyPattern, setRules } from "../postgres/queries/queue-rules.ts";
import { invalidOption, isOptionsObject, type OptionPlace } from "../runtime/options.ts";

/**
 * Stores the rules that a worker declares, where none are stored or workers have declared others before, and
 * applies what has changed. The newest declaration counts: one that others have replaced in the last ten minutes
 * comes from a deployment that is on its way out. What does not count is logged. Rejects with
 * `HOWDAH_POOL_UNKNOWN`.
 */
export async function declareRules(
  { driver, schema, logger }: Pick<WorkerContext, "driver" | "schema" | "logger">,
  declared: readonly DeclaredRules[],
): Promise<void> {
  const target = { executor: driver, schema };
  for (const { pattern, rules } of declared) {
    const answer = await setRules(target, pattern, { ...rules, declaredBy: DECLARER });
    if (answer === "set") await applyPattern(target, pattern);
    else if (answer === "no pool") throw poolUnknown(rules.pool);
    else if (answer === "kept")
      logger.warn("Declared rules of queues are not used: a call has set others", { pattern });
    else if (answer === "older")
      logger.warn("Declared rules of queues are not used: another deployment has declared others since", { pattern });
  }
}

/** Reads the option `queues`. Throws `HOWDAH_OPTION_INVALID` and `HOWDAH_OPTION_UNKNOWN`. */
export function readDeclaredRules(given: unknown, place: OptionPlace): readonly DeclaredRules[] {
  if (!isOptionsObject(given)) {
    throw invalidOption(place, "must be an object with rules by the names or patterns of queues", given);
  }
  return Object.entries(given as Readonly<Record<string, QueueRules>>).map(([name, rules]) => {
    const at = { owner: place.owner, path: `${place.path}[${JSON.stringify(name)}]` };
    const pattern = readPattern(name, at);
    return { pattern, rules: readQueueRules(rules, pattern, at) };
  });
}

/** The limits of these tasks, as rules of their queues. */
export function limitsOf(tasks: readonly AnyTask[]): DeclaredRules[] {
  return tasks.flatMap(({ identifier, limit }) =>
    limit === undefined
      ? []
      : readTaskLimit(limit, identifier, { owner: `task ${JSON.stringify(identifier)}`, path: "limit" }),
  );
}

/** What the rules that workers declare are told by from those that a call sets. */
const DECLARER = "workers";
