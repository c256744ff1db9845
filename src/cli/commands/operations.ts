import { Option } from "commander";
import type { BulkOperation } from "../../client/bulk.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { describeWhen } from "../../client/views/when.ts";
import { HowdahError } from "../../errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { type Column, printTable } from "../table.ts";
import { parseLimit } from "../values.ts";

const ACTIONS = ["pause", "resume", "stop"] as const;

/** `howdah operations`: changes of many jobs that were begun. */
export const operationsCommand: CliCommand = {
  usage: "operations <list|pause|resume|stop> [id]",
  summary: "follow, pause, stop and continue changes of many jobs",
  examples: ["howdah operations list", "howdah operations pause 7", "howdah operations resume 7"],
  options: [new Option("--limit <number>", "with list: how many at most, 1 to 1000").default(20).argParser(parseLimit)],
  async run({ screen, globals, arguments: [action, id], options }) {
    if (action === "list") {
      if (id !== undefined) throw new HowdahError("HOWDAH_OPTION_INVALID", "howdah operations list takes no id.");
      const limit = options["limit"] as number;
      const operations = await withClient(globals, (client) => client.operations.list({ limit }));
      if (globals.json) return screen.printJson(operations);
      return printTable(screen, { columns: columnsAt(systemClock.now()), rows: operations, none: "No operations." });
    }
    const known = ACTIONS.find((name) => name === action);
    if (known === undefined || id === undefined)
      throw new HowdahError(
        "HOWDAH_OPTION_INVALID",
        "Say what to do: howdah operations list, or pause, resume or stop with the id of an operation.",
      );
    const operation = await withClient(globals, (client) => client.operations[known](id));
    if (globals.json) screen.printJson(operation);
    else screen.print(describe(operation));
  },
};

function describe({ id, action, state, matched, changed, signalled }: BulkOperation): string {
  const told = signalled === 0 ? "" : `, ${formatCount(signalled)} told to stop`;
  return `Operation ${id} (${action}) is ${state}: ${formatCount(changed)} of ${formatCount(matched, "job")} changed${told}.`;
}

function columnsAt(nowMs: number): Column<BulkOperation>[] {
  return [
    { title: "ID", align: "right", text: ({ id }) => id },
    { title: "ACTION", text: ({ action }) => action },
    { title: "STATE", text: ({ state }) => state },
    {
      title: "FOUND",
      align: "right",
      text: ({ matched }) => formatCount(matched),
      plain: ({ matched }) => String(matched),
    },
    {
      title: "CHANGED",
      align: "right",
      text: ({ changed }) => formatCount(changed),
      plain: ({ changed }) => String(changed),
    },
    {
      title: "STOPPED",
      align: "right",
      dispensable: 2,
      text: ({ signalled }) => formatCount(signalled),
      plain: ({ signalled }) => String(signalled),
    },
    {
      title: "BEGUN",
      dispensable: 3,
      text: ({ createdAt }) => describeWhen(createdAt, nowMs),
      plain: ({ createdAt }) => createdAt.toISOString(),
    },
    {
      title: "LAST BATCH",
      dispensable: 1,
      text: ({ updatedAt }) => describeWhen(updatedAt, nowMs),
      plain: ({ updatedAt }) => updatedAt.toISOString(),
    },
  ];
}
