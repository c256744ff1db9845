import { Option } from "commander";
import type { BulkOperation, BulkOptions } from "../client/bulk.ts";
import type { BulkPreview } from "../client/bulk-preview.ts";
import type { Client } from "../client/client.ts";
import { formatCount } from "../client/views/amounts.ts";
import type { JobFilter } from "../client/job-filter.ts";
import { HowdahError } from "../errors.ts";
import type { Job, JobState } from "../job/job.ts";
import type { Call, CliCommand } from "./command.ts";
import { withClient } from "./connect.ts";
import { printable } from "./printable.ts";
import type { Screen } from "./screen.ts";
import { selectionOptions, readSelection } from "./selection.ts";
import { readJobId } from "./values.ts";

/**
 * A command that changes jobs: those with the ids given at once, or all that its
 * options select, after it has counted them and was told `--yes` or a person agreed.
 */
export function changingCommand(change: ChangeOrder): CliCommand {
  return {
    usage: `${change.name} [ids...]`,
    summary: change.summary,
    examples: change.examples,
    options: [...selectionOptions(change.states), ...(change.options ?? []), DRY_RUN, YES],
    run: (call) => run(change, call),
  };
}

/** How one command changes jobs. */
export interface ChangeOrder {
  readonly name: string;
  readonly summary: string;
  readonly examples: readonly string[];
  /** The states in which jobs can be changed so. */
  readonly states: readonly JobState[];
  /** Options beside those that select jobs. */
  readonly options?: readonly Option[];
  /** What has become of the jobs, as in "12 jobs would be retried". */
  readonly done: string;
  /** Checks the options of its own before the database is asked, and returns the calls. */
  prepare(own: Readonly<Record<string, unknown>>, ids: readonly string[]): PreparedChange;
}

/** The calls of the library for one call of the command. */
export interface PreparedChange {
  byId(client: Client, ids: readonly string[]): Promise<ChangedJobs>;
  preview(client: Client, filter: JobFilter): Promise<BulkPreview>;
  byFilter(client: Client, filter: JobFilter, options: BulkOptions): Promise<BulkOperation>;
}

/** What became of the jobs with the ids given. */
export interface ChangedJobs {
  /** For `--json`. */
  readonly result: unknown;
  readonly changed: readonly string[];
  /** Those that run and were told to stop. */
  readonly signalled?: readonly string[];
}

/** What became of jobs, when the library returns those that it has changed. */
export function changedJobs(jobs: readonly Job[]): ChangedJobs {
  return { result: jobs, changed: jobs.map(({ id }) => id) };
}

const DRY_RUN = new Option("--dry-run", "with options that select jobs: change nothing and count them");
const YES = new Option("--yes", "with options that select jobs: do not ask");

async function run(change: ChangeOrder, { screen, globals, arguments: given, options }: Call): Promise<void> {
  const ids = given.map(readJobId);
  const filter = readSelection(options);
  const isSelected = Object.keys(filter).length > 0;
  if (ids.length > 0 === isSelected)
    throw new HowdahError("HOWDAH_OPTION_INVALID", "Specify either the ids of jobs, or options that select them.");
  if (!isSelected && options["dryRun"] === true)
    throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --dry-run goes with options that select jobs only.");
  const prepared = change.prepare(options, ids);
  await withClient(globals, async (client, { waiting }) => {
    if (options["force"] === true) waiting.cancel();
    if (ids.length > 0) return printById(await prepared.byId(client, ids));
    if (options["dryRun"] === true) return printPreview(await prepared.preview(client, filter));
    if (options["yes"] !== true) {
      const preview = await prepared.preview(client, filter);
      waiting.cancel();
      if (preview.matched > 0 && !(await agrees(screen, describePreview(change, preview)))) return;
    }
    const progress = progressOf(screen);
    const onProgress = (operation: BulkOperation): void => {
      waiting.cancel();
      progress(operation);
    };
    printOperation(await prepared.byFilter(client, filter, { onProgress }));
  });

  function printPreview(preview: BulkPreview): void {
    if (globals.json) screen.printJson(preview);
    else screen.print(describePreview(change, preview));
  }

  function printById({ result, changed, signalled = [] }: ChangedJobs): void {
    if (globals.json) screen.printJson(result);
    else screen.print(describeChange(change, changed.length, signalled.length));
    const reached = new Set([...changed, ...signalled]);
    const left = ids.filter((id) => !reached.has(id));
    if (left.length > 0)
      screen.note(`Left alone: ${left.join(", ")}. They run, are gone, or cannot be ${change.done}; see howdah show.`);
  }

  function printOperation(operation: BulkOperation): void {
    if (globals.json) return screen.printJson(operation);
    const { id, state, matched, changed, signalled } = operation;
    screen.print(describeChange(change, changed, signalled));
    const left = matched - changed - signalled;
    if (left > 0) screen.note(`${formatCount(left, "job")} that were found first ran meanwhile, or were gone.`);
    if (state !== "done") screen.note(`The operation is ${state}: howdah operations resume ${id} goes on with it.`);
  }
}

/** Asks the person at the terminal. Throws `HOWDAH_OPTION_INVALID` when there is none. */
async function agrees(screen: Screen, found: string): Promise<boolean> {
  if (screen.ask === undefined)
    throw new HowdahError("HOWDAH_OPTION_INVALID", `${found.split("\n", 1)[0]} Add --yes to do it.`);
  screen.note(found);
  if (/^y(es)?$/i.test(await screen.ask("Do it? [y/N] "))) return true;
  screen.note("Nothing was changed.");
  return false;
}

/** Tells a person how far a long operation has come, every ten thousand jobs. */
function progressOf(screen: Screen): (operation: BulkOperation) => void {
  let told = 0;
  return ({ matched }) => {
    if (screen.ask === undefined || matched - told < 10_000) return;
    told = matched;
    screen.note(`${formatCount(matched, "job")} so far ...`);
  };
}

function describeChange({ done }: ChangeOrder, changed: number, signalled: number): string {
  if (changed + signalled === 0) return `No jobs were ${done}.`;
  const stopped = signalled === 0 ? "" : `, told ${formatCount(signalled, "job")} to stop`;
  return `${done.charAt(0).toUpperCase()}${done.slice(1)} ${formatCount(changed, "job")}${stopped}.`;
}

function describePreview({ done }: ChangeOrder, { matched, exact, byTask }: BulkPreview): string {
  const tasks = byTask.map(({ task, count }) => `  ${printable(task)} ${formatCount(count)}`);
  return [`${formatCount(matched, "job")}${exact ? "" : " or more"} would be ${done}.`, ...tasks].join("\n");
}
