import { HowdahError } from "../errors.ts";
import type { AnyTask } from "../job/task.ts";
import { custom, integer, required } from "../runtime/option-kinds.ts";
import { invalidOption, isOptionsObject, type OptionPlace } from "../runtime/options.ts";
import { didYouMean } from "../runtime/suggestion.ts";

/** How many jobs of a task a worker runs at once, by the identifiers of tasks; `undefined` when nothing is limited. */
export type TaskConcurrency = ReadonlyMap<string, number>;

const LIMIT = required(integer({ min: 1 }));

/** How the option `taskConcurrency` is read. */
export const TASK_CONCURRENCY = custom<TaskConcurrency>((given, place: OptionPlace) => {
  if (!isOptionsObject(given)) throw invalidOption(place, "must be an object with a number for each task", given);
  const limits = Object.entries(given).filter(([, limit]) => limit !== undefined);
  return new Map(
    limits.map(([task, limit]) => [task, LIMIT.read(limit, { ...place, path: `${place.path}.${task}` })] as const),
  );
});

/**
 * Checks that a worker runs the tasks that it limits. Throws
 * `HOWDAH_OPTION_INVALID`. Returns `undefined` when there is no limit.
 */
export function checkTaskConcurrency(
  limits: TaskConcurrency | undefined,
  tasks: readonly AnyTask[],
): TaskConcurrency | undefined {
  if (!limits || limits.size === 0) return undefined;
  const known = tasks.map(({ identifier }) => identifier);
  for (const task of limits.keys()) {
    if (known.includes(task)) continue;
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `Worker option \`taskConcurrency\` limits the task \`${task}\`, which this worker does not run${didYouMean(task, known)}`,
    );
  }
  return limits;
}
