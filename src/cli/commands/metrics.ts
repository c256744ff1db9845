import { Option } from "commander";
import { backlogValues, expositionOf } from "../../observe/gauge-values.ts";
import { TaskLabels } from "../../observe/task-labels.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";

/** `howdah metrics`: what is in the table, for autoscalers and for whatever collects metrics. */
export const metricsCommand: CliCommand = {
  usage: "metrics",
  summary: "print the size and age of the backlog as metrics",
  examples: ["howdah metrics --once", "howdah metrics --once --json | jq .oldestDue.plainMs"],
  options: [new Option("--once", "print them once and end, which is the default")],
  async run({ screen, globals }) {
    const backlog = await withClient(globals, (client) => client.backlog());
    if (globals.json) return screen.printJson(backlog);
    screen.print(expositionOf([...backlogValues(backlog, new TaskLabels(MOST_TASKS))]).trimEnd());
  },
};

/** Of the tasks with the most jobs. */
const MOST_TASKS = 100;
