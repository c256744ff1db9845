import { Option } from "commander";
import type { Count, JobStats } from "../../client/counts.ts";
import type { GroupStats, JobGroup } from "../../client/read-group-stats.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { JOB_STATES } from "../../job/job.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { tintByState } from "../job-state.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { type Column, printTable } from "../table.ts";

/** `howdah stats`: the number of jobs in each state, in all or by task, queue or error. */
export const statsCommand: CliCommand = {
  usage: "stats",
  summary: "count the jobs in each state",
  examples: ["howdah stats", "howdah stats --by task", "howdah stats --json | jq .failed.value"],
  options: [new Option("--by <what>", "count by task, queue or error").choices(["task", "queue", "error"])],
  async run({ screen, globals, options }) {
    const by = options["by"] as GroupStats["by"] | undefined;
    if (by === undefined) {
      const stats = await withClient(globals, (client) => client.stats());
      if (globals.json) screen.printJson(stats);
      else printStats(screen, stats);
      return;
    }
    const stats = await withClient(globals, (client) => client.stats({ by }));
    if (globals.json) screen.printJson(stats);
    else printGroups(screen, stats);
  },
};

/** A count for people; an estimate begins with "~". */
function describeCount({ value, exact }: Count): string {
  return `${exact ? "" : "~"}${formatCount(value)}`;
}

function printStats(screen: Screen, stats: JobStats): void {
  const counts = JOB_STATES.map((state) => stats[state]);
  const total: Count = {
    value: counts.reduce((sum, { value }) => sum + value, 0),
    exact: counts.every(({ exact }) => exact),
    asOf: stats.ready.asOf,
  };
  const rows = [...JOB_STATES.map((state) => ({ state, count: stats[state] })), { state: undefined, count: total }];
  printTable(screen, {
    none: "",
    columns: [
      {
        title: "STATE",
        text: ({ state }) => state ?? "total",
        tint: (text, { state }) => (state ? tintByState(screen, state, text) : screen.paint.bold(text)),
      },
      {
        title: "JOBS",
        align: "right",
        text: ({ count }) => describeCount(count),
        plain: ({ count }) => String(count.value),
      },
    ],
    rows,
  });
  noteEstimates(screen, [total]);
}

function printGroups(screen: Screen, { by, groups }: GroupStats): void {
  const states = by === "error" ? (["failed"] as const) : JOB_STATES;
  const columns: Column<JobGroup>[] = [
    { title: by.toUpperCase(), flexible: true, text: ({ name }) => printable(name) },
    ...states.map((state): Column<JobGroup> => ({
      title: state.toUpperCase(),
      align: "right",
      text: (group) => describeCount(group[state]),
      plain: (group) => String(group[state].value),
      tint: (text) => tintByState(screen, state, text),
    })),
  ];
  printTable(screen, { columns, rows: groups, none: "No such jobs." });
  noteEstimates(
    screen,
    groups.flatMap((group) => states.map((state) => group[state])),
  );
}

function noteEstimates(screen: Screen, counts: readonly Count[]): void {
  if (counts.every(({ exact }) => exact)) return;
  const isForPrograms = screen.width === undefined;
  if (isForPrograms) screen.note("Some of these numbers are estimates; --json says which.");
  else screen.print(screen.paint.dim("Numbers with ~ are estimates, because there are too many jobs to count."));
}
