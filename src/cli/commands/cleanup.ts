import { Option } from "commander";
import type { CleanUpResult, CleanUpTask } from "../../client/clean-up.ts";
import type { Client } from "../../client/client.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { HowdahError } from "../../errors.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";

/** `howdah cleanup`: removes what is no longer needed. */
export const cleanupCommand: CliCommand = {
  usage: "cleanup",
  summary: "remove failed jobs, and rows of tasks and queues that no job uses",
  examples: ["howdah cleanup --unused-queues", "howdah cleanup --failed-jobs --unused-tasks --unused-queues"],
  options: [
    new Option("--failed-jobs", "delete all jobs that failed for good"),
    new Option("--unused-tasks", "delete the rows of tasks that no job uses and no live worker runs"),
    new Option("--unused-queues", "delete the rows of queues that no job uses"),
    new Option("--keep-tasks <identifiers...>", "with --unused-tasks: these stay").default([]),
  ],
  async run({ screen, globals, options }) {
    const { failedJobs, unusedTasks, unusedQueues, keepTasks = [] } = options as CleanUpFlags;
    const chosen = TASKS.filter((name) => ({ permanentlyFailedJobs: failedJobs, unusedTasks, unusedQueues })[name]);
    if (chosen.length === 0)
      throw new HowdahError(
        "HOWDAH_OPTION_INVALID",
        "Say what to remove: --failed-jobs, --unused-tasks, --unused-queues.",
      );
    const removed = await withClient(globals, async (client) =>
      client.cleanup(chosen, { keepTasks: [...keepTasks, ...(unusedTasks ? await tasksOfWorkers(client) : [])] }),
    );
    if (globals.json) screen.printJson(removed);
    else screen.print(describe(removed));
  },
};

interface CleanUpFlags {
  readonly failedJobs?: boolean;
  readonly unusedTasks?: boolean;
  readonly unusedQueues?: boolean;
  readonly keepTasks?: readonly string[];
}

const TASKS: readonly CleanUpTask[] = ["permanentlyFailedJobs", "unusedTasks", "unusedQueues"];

/** Workers know their tasks by the rows, so those stay. Throws `HOWDAH_OPTION_INVALID` when not all of them are known. */
async function tasksOfWorkers(client: Client): Promise<string[]> {
  const workers = await client.listActiveWorkers();
  const idle = await client.listIdleWorkers();
  if (idle.length > 0)
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${formatCount(idle.length, "worker")} ${idle.length === 1 ? "is" : "are"} idle, and what idle workers run is not known, ` +
        "so the unused tasks cannot be told. Clean up with `client.cleanup()`, which is given the names of all tasks.",
    );
  const silent = workers.find(({ report }) => report !== null && report.moreTasks > 0);
  if (silent !== undefined)
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `Worker ${printable(silent.id)} runs more tasks than its report has room for, so the unused ones cannot be told. ` +
        "Clean up with `client.cleanup()`, which is given the names of all tasks.",
    );
  return workers.flatMap(({ metadata }) => {
    const tasks = metadata?.["tasks"];
    return Array.isArray(tasks) ? tasks.filter((task): task is string => typeof task === "string") : [];
  });
}

function describe({ permanentlyFailedJobs, unusedTasks, unusedQueues }: CleanUpResult): string {
  const parts = [
    permanentlyFailedJobs === undefined ? undefined : formatCount(permanentlyFailedJobs, "failed job"),
    unusedTasks === undefined ? undefined : formatCount(unusedTasks, "task"),
    unusedQueues === undefined ? undefined : formatCount(unusedQueues, "queue"),
  ];
  return `Removed ${parts.filter((part) => part !== undefined).join(", ")}.`;
}
