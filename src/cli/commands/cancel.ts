import { Option } from "commander";
import type { BulkOperation } from "../../client/bulk.ts";
import type { BulkPreview } from "../../client/bulk-preview.ts";
import type { CancelFilter, CancelResult } from "../../client/control.ts";
import { formatCount } from "../../client/views/amounts.ts";
import { HowdahError } from "../../errors.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";

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
    new Option("--dry-run", "with options that select jobs: change nothing and count them"),
    new Option("--reason <text>", "the reason for handlers, which becomes the last error"),
  ],
  async run({ screen, globals, arguments: ids, options }) {
    const { reason, dryRun, ...given } = options as CancelOptions;
    const filter = toFilter(given);
    if (ids.length > 0 === Object.keys(filter).length > 0) {
      throw new HowdahError("HOWDAH_OPTION_INVALID", "Specify either the ids of jobs, or options that select them.");
    }
    if (dryRun === true && ids.length > 0)
      throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --dry-run goes with options that select jobs only.");
    await withClient(globals, async (client) => {
      if (dryRun === true) return print(await client.cancelJobs(filter, reason, { dryRun }), describePreview);
      if (ids.length > 0) return print(await client.cancelJobs(ids, reason), describeCancelled);
      return print(await client.cancelJobs(filter, reason), describeOperation);
    });

    function print<T>(result: T, describe: (result: T) => string): void {
      if (globals.json) screen.printJson(result);
      else screen.print(describe(result));
    }
  },
};

interface CancelOptions {
  readonly task?: string | undefined;
  readonly queue?: string;
  readonly key?: string;
  readonly state?: NonNullable<CancelFilter["state"]>;
  readonly reason?: string;
  readonly dryRun?: true;
}

function toFilter({ task, queue, key, state }: CancelOptions): CancelFilter {
  const named = { task, queueName: queue, jobKey: key, state };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}

function describeCancelled({ removed, signalled }: CancelResult): string {
  return describe(removed.length, signalled.length);
}

function describeOperation({ changed, signalled }: BulkOperation): string {
  return describe(changed, signalled);
}

function describe(removed: number, signalled: number): string {
  if (removed + signalled === 0) return "Nothing to cancel: no such jobs, or they have failed for good.";
  return `Removed ${formatCount(removed, "job")}, told ${formatCount(signalled, "job")} to stop.`;
}

function describePreview({ matched, exact, byTask }: BulkPreview): string {
  const tasks = byTask.map(({ task, count }) => `  ${printable(task)} ${formatCount(count)}`);
  return [`${formatCount(matched, "job")}${exact ? "" : " or more"} would be cancelled.`, ...tasks].join("\n");
}
