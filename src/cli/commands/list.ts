import { Option } from "commander";
import type { JobListOptions } from "../../client/inspect.ts";
import type { JobList } from "../../client/read-job-list.ts";
import { describeWhen } from "../../client/views/when.ts";
import { JOB_STATES } from "../../job/job.ts";
import type { Job } from "../../job/job.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { tintByState } from "../job-state.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { selectionOptions, type SelectionOptions, readSelection } from "../selection.ts";
import { type Column, printTable } from "../table.ts";
import { MOST_LISTED, parseLimit } from "../values.ts";

/** `howdah list`: one page of jobs. */
export const listCommand: CliCommand = {
  usage: "list",
  summary: "list jobs",
  examples: [
    "howdah list --state failed",
    "howdah list --task send_email --limit 20 --backward",
    "howdah list --state failed --error ECONNREFUSED --since 2030-01-31T08:00:00Z",
    `howdah list --payload '{"account":17}'`,
    "howdah list --queue mail --json | jq '.jobs[].id'",
  ],
  options: [
    ...selectionOptions(JOB_STATES),
    new Option("--worker <id>", "only jobs that this worker runs"),
    new Option("--backward", "the last first"),
    new Option("--limit <number>", `how many at most, 1 to ${MOST_LISTED}`).default(50).argParser(parseLimit),
    new Option("--after <next>", "the next page: what the page before printed"),
  ],
  async run({ screen, globals, options }) {
    const { backward, limit, after, worker, ...selected } = options as unknown as ListOptions;
    const filter: JobListOptions = { ...readSelection(selected), workerId: worker, backward, limit, after };
    const page = await withClient(globals, (client) => client.listJobs(filter));
    if (globals.json) screen.printJson({ jobs: page.jobs, next: page.next ?? null, searched: page.searched ?? null });
    else printPage(screen, page, filter.limit);
  },
};

interface ListOptions extends SelectionOptions {
  readonly worker?: string | undefined;
  readonly backward?: boolean | undefined;
  readonly limit: number;
  readonly after?: string | undefined;
}

function printPage(screen: Screen, { jobs, next, searched }: JobList, limit = MOST_LISTED): void {
  const none = next === undefined ? "No such jobs." : "No such jobs so far.";
  printTable(screen, { columns: columnsFor(screen), rows: jobs, none });
  if (next === undefined) return;
  const isCut = searched !== undefined && jobs.length < limit;
  screen.note(
    isCut
      ? `Searched up to job ${searched.to}; to search on: --after ${next}`
      : `There are more jobs; next page: --after ${next}`,
  );
}

function columnsFor(screen: Screen): Column<Job>[] {
  const { dim } = screen.paint;
  const nowMs = systemClock.now();
  return [
    { title: "ID", align: "right", text: (job) => job.id },
    { title: "TASK", flexible: true, text: (job) => printable(job.task) },
    { title: "QUEUE", flexible: true, dispensable: 2, text: (job) => printable(job.queueName ?? "") },
    { title: "STATE", text: (job) => job.state, tint: (text, job) => tintByState(screen, job.state, text) },
    {
      title: "DUE",
      align: "right",
      dispensable: 3,
      text: (job) => describeWhen(job.runAt, nowMs),
      plain: (job) => job.runAt.toISOString(),
    },
    { title: "PRIO", align: "right", dispensable: 5, text: (job) => String(job.priority) },
    { title: "TRIES", align: "right", dispensable: 4, text: (job) => `${job.attempts}/${job.maxAttempts}` },
    { title: "KEY", flexible: true, dispensable: 6, text: (job) => printable(job.jobKey ?? "") },
    { title: "DETAIL", flexible: true, dispensable: 1, text: detailOf, tint: (text) => dim(text) },
  ];
}

/** The worker that runs it, or why it failed. */
function detailOf(job: Job): string {
  return printable(job.lockedBy === null ? (job.lastError ?? "") : `on ${job.lockedBy}`);
}
