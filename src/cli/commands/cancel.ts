import { Option } from "commander";
import type { CancelFilter, CancelResult } from "../../client/control.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { HowdahError } from "../../errors.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";

/** `howdah cancel <ids…>`: cancels jobs by their ids or by a filter. */
export const cancelCommand: CliCommand = {
  usage: "cancel [ids...]",
  summary: "cancel jobs: delete waiting ones, abort running ones",
  examples: [
    "howdah cancel 42 43 --reason 'not needed any more'",
    "howdah cancel --task send_email --state scheduled",
    "howdah cancel --queue mail",
  ],
  options: [
    new Option("--task <identifier>", "all jobs of this task"),
    new Option("--queue <name>", "all jobs of this queue"),
    new Option("--key <key>", "the job with this key"),
    new Option("--state <state>", "only jobs in this state").choices(["ready", "scheduled", "running"]),
    new Option("--reason <text>", "the reason for handlers, which becomes the last error"),
  ],
  async run({ screen, globals, arguments: ids, options }) {
    const { reason, ...given } = options as CancelOptions;
    const filter = toFilter(given);
    if (ids.length > 0 === Object.keys(filter).length > 0) {
      throw new HowdahError("HOWDAH_OPTION_INVALID", "Specify either the ids of jobs, or options that select them.");
    }
    const result = await withClient(globals, (client) => client.cancelJobs(ids.length > 0 ? ids : filter, reason));
    if (globals.json) screen.printJson(result);
    else screen.print(describe(result));
  },
};

interface CancelOptions {
  readonly task?: string | undefined;
  readonly queue?: string;
  readonly key?: string;
  readonly state?: NonNullable<CancelFilter["state"]>;
  readonly reason?: string;
}

function toFilter({ task, queue, key, state }: CancelOptions): CancelFilter {
  const named = { task, queueName: queue, jobKey: key, state };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}

function describe({ removed, signalled }: CancelResult): string {
  if (removed.length + signalled.length === 0) return "Nothing to cancel: no such jobs, or they have failed for good.";
  return `Removed ${formatCount(removed.length, "job")}, told ${formatCount(signalled.length, "job")} to stop.`;
}
