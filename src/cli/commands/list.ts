import { InvalidArgumentError, Option } from "commander";
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
import { formatTable, type Column } from "../table.ts";

const MOST = 1000;

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
    new Option("--task <identifier>", "only jobs of this task"),
    new Option("--queue <name>", "only jobs of this queue"),
    new Option("--state <state>", "only jobs in this state").choices(JOB_STATES),
    new Option("--key <key>", "only the job with this key"),
    new Option("--priority <number>", "only jobs of this priority").argParser(parsePriority),
    new Option("--error <text>", "only jobs whose last error contains this"),
    new Option("--payload <json>", "only jobs whose payload contains this JSON").argParser(parseJson),
    new Option("--since <time>", "only jobs that were not added before this time, in ISO 8601 with its offset"),
    new Option("--until <time>", "only jobs that were added before this time"),
    new Option("--backward", "the last first"),
    new Option("--limit <number>", `how many at most, 1 to ${MOST}`).default(50).argParser(parseLimit),
    new Option("--after <next>", "the next page: what the page before printed"),
  ],
  async run({ screen, globals, options }) {
    const filter = toFilter(options as unknown as ListOptions);
    const page = await withClient(globals, (client) => client.listJobs(filter));
    if (globals.json) screen.printJson({ jobs: page.jobs, next: page.next ?? null, searched: page.searched ?? null });
    else printPage(screen, page, filter.limit);
  },
};

/** Checks the id of a job as commander wants it. */
export function parseJobId(text: string): string {
  if (/^\d{1,19}$/.test(text)) return text;
  throw new InvalidArgumentError("It has to be the id of a job, a number such as 42.");
}

interface ListOptions {
  readonly task?: string | undefined;
  readonly queue?: string;
  readonly state?: Job["state"];
  readonly key?: string;
  readonly priority?: number | undefined;
  readonly error?: string | undefined;
  readonly payload?: unknown;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly backward?: boolean | undefined;
  readonly limit: number;
  readonly after?: string | undefined;
}

function toFilter({ queue, key, ...rest }: ListOptions): JobListOptions {
  return {
    ...rest,
    ...(queue === undefined ? {} : { queueName: queue }),
    ...(key === undefined ? {} : { jobKey: key }),
  };
}

/** Checks the limit of a list as commander wants it. */
export function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= MOST) return limit;
  throw new InvalidArgumentError(`It has to be a whole number from 1 to ${MOST}.`);
}

function parsePriority(text: string): number {
  const priority = Number(text);
  if (/^-?\d+$/.test(text) && Math.abs(priority) <= 32_768) return priority;
  throw new InvalidArgumentError("It has to be a whole number from -32768 to 32767.");
}

function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`It has to be JSON, such as '{"account":17}'.`);
  }
  const lost = text
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, "")
    .match(/-?\d[\d.eE+-]*/g)
    ?.find(isLossy);
  if (lost === undefined) return value;
  throw new InvalidArgumentError(`The number ${lost} is too large: other jobs would be looked for.`);
}

/** Would JavaScript round this whole number, or take it for infinite? */
function isLossy(number: string): boolean {
  const value = Number(number);
  return !Number.isFinite(value) || (/^-?\d+$/.test(number) && !Number.isSafeInteger(value));
}

function printPage(screen: Screen, { jobs, next, searched }: JobList, limit = MOST): void {
  if (jobs.length > 0) screen.print(formatTable(screen, columnsFor(screen), jobs));
  else screen.print(screen.paint.dim(next === undefined ? "No such jobs." : "No such jobs so far."));
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
    { title: "DUE", align: "right", dispensable: 3, text: (job) => describeWhen(job.runAt, nowMs) },
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
