import { Option } from "commander";
import type { ErrorInfo } from "../../client/errors-by-line.ts";
import type { ErrorListOptions } from "../../client/inspect.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { describeWhen } from "../../client/views/when.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import { type Column, printTable } from "../table.ts";
import { MOST_LISTED, parseLimit } from "../values.ts";

/** `howdah errors`: what jobs failed for good with. */
export const errorsCommand: CliCommand = {
  usage: "errors",
  summary: "list the errors of jobs that failed for good",
  examples: [
    "howdah errors",
    "howdah errors --task send_email",
    "howdah errors --json | jq -r '.errors[] | [.jobCount.value, .message] | @tsv'",
  ],
  options: [
    new Option("--task <identifier>", "only of jobs of this task"),
    new Option("--queue <name>", "only of jobs of this queue"),
    new Option("--limit <number>", `how many at most, 1 to ${MOST_LISTED}`).default(50).argParser(parseLimit),
  ],
  async run({ screen, globals, options }) {
    const { task, queue, limit } = options as ErrorListOptions & { readonly queue?: string };
    const list = await withClient(globals, (client) => client.listErrors({ task, queueName: queue, limit }));
    if (globals.json) return screen.printJson(list);
    printTable(screen, { columns: columnsFor(), rows: list.errors, none: "No job has failed for good." });
    if (list.searchedTo !== null) screen.note(`Of the newest jobs that failed, down to id ${list.searchedTo}.`);
  },
};

function columnsFor(): Column<ErrorInfo>[] {
  const nowMs = systemClock.now();
  const moment = (title: string, dispensable: number, at: (error: ErrorInfo) => Date): Column<ErrorInfo> => ({
    title,
    align: "right",
    dispensable,
    text: (error) => describeWhen(at(error), nowMs),
    plain: (error) => at(error).toISOString(),
  });
  return [
    {
      title: "JOBS",
      align: "right",
      text: ({ jobCount }) => formatCount(jobCount.value),
      plain: ({ jobCount }) => String(jobCount.value),
    },
    { title: "ERROR", flexible: true, text: ({ message }) => printable(message) },
    { title: "TASKS", flexible: true, dispensable: 1, text: ({ byTask }) => printable(tasksInWords(byTask)) },
    moment("FIRST", 3, ({ oldestAt }) => oldestAt),
    moment("LAST", 2, ({ newestAt }) => newestAt),
    { title: "NEWEST", align: "right", dispensable: 4, text: ({ newestId }) => newestId },
  ];
}

/** `send_email 12, charge_card 3`; the number only where there are several. */
function tasksInWords(byTask: ErrorInfo["byTask"]): string {
  const [first, ...others] = byTask;
  if (first === undefined || others.length === 0) return first?.task ?? "";
  return byTask.map(({ task, count }) => `${task} ${formatCount(count)}`).join(", ");
}
