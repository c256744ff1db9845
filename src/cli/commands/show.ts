import { formatSeconds } from "../../client/views/amounts.ts";
import { describeWhen } from "../../client/views/when.ts";
import { HowdahError } from "../../errors.ts";
import type { FinishedJob } from "../../job/finished-job.ts";
import type { Job } from "../../job/job.ts";
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
  summary: "show one job with its payload and last error",
  examples: ["howdah show 42", "howdah show 42 --json | jq .payload"],
  async run({ screen, globals, arguments: [given = ""] }) {
    const id = readJobId(given);
    const job = await withClient(globals, (client) => client.getJob(id));
    if (!job) {
      throw new HowdahError(
        "HOWDAH_JOB_UNKNOWN",
        `There is no job ${id}: it is done, was removed, or never existed. See howdah list.`,
      );
    }
    if (globals.json) screen.printJson(job);
    else printJob(screen, job);
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
  if (job.payload !== undefined) printBlock(screen, "payload", printableLines(JSON.stringify(job.payload, null, 2)));
  if ("result" in job && job.result !== undefined)
    printBlock(screen, "result", printableLines(JSON.stringify(job.result, null, 2)));
}

function printBlock(screen: Screen, name: string, text: string): void {
  screen.print(`  ${screen.paint.dim(name)}`);
  for (const line of text.split("\n")) screen.print(`    ${line}`);
}
