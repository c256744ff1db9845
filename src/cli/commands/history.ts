import { Option } from "commander";
import type { HistoryList, HistoryOptions } from "../../client/history.ts";
import { formatSpan } from "../../client/why/times.ts";
import { describeWhen } from "../../client/views/when.ts";
import { FINISHED_STATES, type FinishedJob } from "../../job/finished-job.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { type Column, printTable } from "../table.ts";
import { MOST_LISTED, parseLimit } from "../values.ts";

/** `howdah history`: one page of finished jobs. */
export const historyCommand: CliCommand = {
  usage: "history",
  summary: "list finished jobs of tasks that keep them, the newest first",
  examples: [
    "howdah history --task send_email",
    "howdah history --key user:17 --since 2030-01-31T08:00:00Z",
    "howdah history --json | jq '.jobs[].result'",
  ],
  options: [
    new Option("--task <identifier>", "only jobs of this task"),
    new Option("--queue <name>", "only jobs of this queue"),
    new Option("--key <key>", "only jobs with this key"),
    new Option("--state <state>", "only jobs that ended so").choices(FINISHED_STATES),
    new Option("--since <time>", "only jobs that did not end before this time, in ISO 8601 with its offset"),
    new Option("--until <time>", "only jobs that ended before this time"),
    new Option("--limit <number>", `how many at most, 1 to ${MOST_LISTED}`).default(50).argParser(parseLimit),
    new Option("--after <next>", "the next page: what the page before printed"),
  ],
  async run({ screen, globals, options }) {
    const { queue: queueName, key: jobKey, ...same } = options as HistoryFlags;
    const { task, state, since, until, limit, after } = same;
    const filter = { task, queueName, jobKey, state, since, until, limit, after };
    const page = await withClient(globals, (client) => client.history(filter));
    if (globals.json) screen.printJson({ jobs: page.jobs, next: page.next ?? null });
    else printPage(screen, page);
  },
};

interface HistoryFlags extends HistoryOptions {
  readonly queue?: string;
  readonly key?: string;
}

function printPage(screen: Screen, { jobs, next }: HistoryList): void {
  const none = next === undefined ? "No such jobs." : "No such jobs so far.";
  printTable(screen, { columns: columnsFor(), rows: jobs, none });
  if (next !== undefined) screen.note(`There may be more jobs; next page: --after ${next}`);
}

function columnsFor(): Column<FinishedJob>[] {
  const nowMs = systemClock.now();
  return [
    { title: "ID", align: "right", text: (job) => job.id },
    { title: "TASK", flexible: true, text: (job) => printable(job.task) },
    { title: "QUEUE", flexible: true, dispensable: 4, text: (job) => printable(job.queueName ?? "") },
    { title: "STATE", text: (job) => job.state },
    {
      title: "ENDED",
      align: "right",
      text: (job) => describeWhen(job.finishedAt, nowMs),
      plain: (job) => job.finishedAt.toISOString(),
    },
    {
      title: "TOOK",
      align: "right",
      dispensable: 3,
      text: (job) => (job.startedAt === null ? "" : formatSpan(tookMs(job))),
      plain: (job) => (job.startedAt === null ? "" : String(tookMs(job))),
    },
    { title: "TRIES", align: "right", dispensable: 5, text: (job) => `${job.attempts}/${job.maxAttempts}` },
    { title: "KEY", flexible: true, dispensable: 2, text: (job) => printable(job.jobKey ?? "") },
    { title: "DETAIL", flexible: true, dispensable: 1, text: (job) => printable(job.error ?? "") },
  ];
}

function tookMs({ startedAt, finishedAt }: FinishedJob): number {
  return finishedAt.getTime() - (startedAt ?? finishedAt).getTime();
}
