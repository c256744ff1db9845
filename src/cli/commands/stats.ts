import type { JobStats } from "../../client/inspect.ts";
import { JOB_STATES } from "../../job/job.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { tintByState } from "../job-state.ts";
import type { Screen } from "../screen.ts";
import { formatTable } from "../table.ts";

/** `howdah stats`: the number of jobs in each state. */
export const statsCommand: CliCommand = {
  usage: "stats",
  summary: "count the jobs in each state",
  examples: ["howdah stats", "howdah stats --json | jq .failed"],
  async run({ screen, globals }) {
    const stats = await withClient(globals, (client) => client.stats());
    if (globals.json) screen.printJson(stats);
    else printStats(screen, stats);
  },
};

function printStats(screen: Screen, stats: JobStats): void {
  const total = JOB_STATES.reduce((sum, state) => sum + stats[state], 0);
  const rows = [...JOB_STATES.map((state) => ({ state, count: stats[state] })), { state: undefined, count: total }];
  screen.print(
    formatTable(
      screen,
      [
        {
          title: "STATE",
          text: ({ state }) => state ?? "total",
          tint: (text, { state }) => (state ? tintByState(screen, state, text) : screen.paint.bold(text)),
        },
        { title: "JOBS", align: "right", text: ({ count }) => count.toLocaleString("en") },
      ],
      rows,
    ),
  );
  if (!stats.exact) screen.print(screen.paint.dim("These are estimates, because there are too many jobs to count."));
}
