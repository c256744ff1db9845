import { identifierOf } from "../cron/cron.ts";
import { prepareRecurringJob, type RecurringJob } from "../cron/recurring-job.ts";
import { HowdahError } from "../errors.ts";
import type { TaskRegistry } from "../job/task-registry.ts";
import type { Logger } from "../runtime/logger.ts";
import { didYouMean } from "../runtime/suggestion.ts";
import type { ReadWorkerOptions } from "./options.ts";

/**
 * The entries of the options `crontab` and `crons`, checked against their
 * tasks. Throws `HOWDAH_CRON_INVALID` for an id that is used twice, and what
 * `addJob` throws for jobs that could not be added. A task that is not among
 * the worker's is worth a warning only: another worker may run it.
 */
export async function prepareRecurringJobs(
  { crontab = [], crons }: Pick<ReadWorkerOptions, "crontab" | "crons">,
  tasks: TaskRegistry,
  logger: Logger,
): Promise<RecurringJob[]> {
  const prepared = new Map<string, RecurringJob>();
  for (const entry of [...crontab, ...crons]) {
    if (prepared.has(entry.id)) throw duplicate(entry.id);
    const task = identifierOf(entry.task);
    const isKnown = tasks.find(task) !== undefined;
    prepared.set(entry.id, await prepareRecurringJob(entry, isKnown ? tasks : undefined));
    if (isKnown) continue;
    const hint = didYouMean(task, tasks.identifiers).replace(/^\. Known: .*/s, ".");
    logger.warn(`The crontab adds jobs of a task that this worker does not know${hint}`, { entry: entry.id, task });
  }
  return [...prepared.values()];
}

function duplicate(id: string): HowdahError {
  return new HowdahError(
    "HOWDAH_CRON_INVALID",
    `Two entries of the worker's crontab have the id ${JSON.stringify(id)}: give each an \`id\` of its own.`,
  );
}
