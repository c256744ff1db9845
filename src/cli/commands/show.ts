import { formatSeconds } from "../../client/views/amounts.ts";
import { describeWhen } from "../../client/views/when.ts";
import { HowdahError } from "../../errors.ts";
import type { FinishedJob, JobAttempt } from "../../job/finished-job.ts";
import type { Job, JobLogLine } from "../../job/job.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { tintByState } from "../job-state.ts";
import { printable, printableLines } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { readJobId } from "../values.ts";

/** `howdah show <id>`: everything about one job. */
export const showCommand: CliCommand = {
  usage: "show <id>",
  summary: "show one job, also a finished one that is kept, with its failed attempts and its log",
  examples: ["howdah show 42", "howdah show 42 --json | jq .payload"],
  async run({ screen, globals, arguments: [given = ""] }) {
    const id = readJobId(given);
    const [job, failedAttempts, logLines] = await withClient(globals, (client) =>
      Promise.all([client.getJob(id), client.listAttempts(id), client.listJobLogs(id, { limit: MOST_LINES })]),
    );
    if (!job) {
      throw new HowdahError(
        "HOWDAH_JOB_UNKNOWN",
        `There is no job ${id}: it is done, was removed, or never existed. See howdah list.`,
      );
    }
    if (globals.json) return screen.printJson({ ...job, failedAttempts, logLines });
    printJob(screen, job);
    for (const attempt of failedAttempts) printAttempt(screen, attempt);
    if (logLines.length > 0) printBlock(screen, "log", logLines.map(lineText).join("\n"));
  },
};

function printJob(screen: Screen, job: Job | FinishedJob): void {
  const { bold, dim } = screen.paint;
  const nowMs = systemClock.now();
  const time = (at: Date): string => `${at.toISOString()} ${dim(describeWhen(at, nowMs))}`;
  const lines: [string, string | undefined][] = [
    ["task", bold(printable(job.task))],
    ["state", "finishedAt" in job ? job.state : tintByState(screen, job.state, job.state)],
    ["queue", job.queueName === null ? undefined : printable(job.queueName)],
    ["key", job.jobKey === null ? undefined : printable(job.jobKey)],
    ["priority", String(job.priority)],
    ["due", time(job.runAt)],
    ["attempts", `${job.attempts} of ${job.maxAttempts}`],
    ["timeout", job.timeoutMs === null ? undefined : formatSeconds(job.timeoutMs / 1000)],
    ["flags", job.flags.length === 0 ? undefined : printable(job.flags.join(", "))],
    ["created", time(job.createdAt)],
    ["updated", "finishedAt" in job ? undefined : time(job.updatedAt)],
    ["finished", "finishedAt" in job ? time(job.finishedAt) : undefined],
    ["revision", job.revision === 0 ? undefined : String(job.revision)],
    [
      "locked",
      job.lockedAt === null ? undefined : `${time(job.lockedAt)} ${dim("by")} ${printable(job.lockedBy ?? "")}`,
    ],
  ];
  screen.print(bold(`Job ${job.id}`));
  for (const [name, text] of lines) if (text !== undefined) screen.print(`  ${dim(name.padEnd(9))} ${text}`);
  if (job.lastError !== null) printBlock(screen, "last error", screen.paint.red(printableLines(job.lastError)));
  if ("progress" in job && job.progress !== undefined) {
    const { value, at } = job.progress;
    printBlock(screen, `progress, ${at.toISOString()}`, printableLines(JSON.stringify(value, null, 2)));
  }
  if (job.payload !== undefined) printBlock(screen, "payload", printableLines(JSON.stringify(job.payload, null, 2)));
  if ("result" in job && job.result !== undefined)
    printBlock(screen, "result", printableLines(JSON.stringify(job.result, null, 2)));
}

/** The newest lines of a log that are shown. */
const MOST_LINES = 200;

function printAttempt(screen: Screen, { attempt, failedAt, workerId, error, stack }: JobAttempt): void {
  const where = workerId === null ? "" : ` on ${printable(workerId)}`;
  const name = `attempt ${attempt}, failed ${failedAt.toISOString()}${where}`;
  // A stack begins with the message.
  printBlock(screen, name, printableLines(stack ?? error ?? ""));
}

function lineText({ at, message, fields }: JobLogLine): string {
  const more = fields === null ? "" : ` ${JSON.stringify(fields)}`;
  return printable(`${at.toISOString()} ${message}${more}`);
}

function printBlock(screen: Screen, name: string, text: string): void {
  screen.print(`  ${screen.paint.dim(name)}`);
  for (const line of text.split("\n")) screen.print(`    ${line}`);
}
