import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { Option } from "commander";
import { HowdahError } from "../../errors.ts";
import type { AddedJob, JobSpec } from "../../job/job.ts";
import type { UniqueOptions } from "../../job/unique-options.ts";
import type { Duration } from "../../runtime/duration.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import type { CliCommand } from "../command.ts";
import { withClient } from "../connect.ts";
import { printable } from "../printable.ts";
import { checkDuration, parseJson, parseMaxAttempts, parsePriority } from "../values.ts";

/** `howdah add <task>`: adds one job. */
export const addCommand: CliCommand = {
  usage: "add <task>",
  summary: "add a job",
  examples: [
    `howdah add send_email --payload '{"to":"ada@example.com"}'`,
    "howdah add send_email --run-in 10m --queue mail --key welcome:17",
    "howdah add report --unique --for 10m --key report:17",
    "howdah add nightly --run-at 2030-01-31T03:00:00Z --priority -5 --json",
  ],
  options: [
    new Option("--payload <json>", "its payload (default: {})").argParser(parseJson),
    new Option("--payload-file <file>", "the file with its payload, - for stdin").conflicts("payload"),
    new Option("--queue <name>", "run it after the jobs of this queue"),
    new Option("--run-at <time>", "not before this time, in ISO 8601 with its offset").conflicts("runIn"),
    new Option("--run-in <duration>", "not before this time has passed, such as 90s, 5m or 2h").argParser(
      checkDuration,
    ),
    new Option("--priority <number>", "lower runs first (default: 0)").argParser(parsePriority),
    new Option("--max-attempts <number>", "how often it may be started (default: 25)").argParser(parseMaxAttempts),
    new Option("--key <key>", "replace the waiting job with this key"),
    new Option("--key-mode <mode>", "with --key: what becomes of the job that has it").choices([
      "replace",
      "preserve_run_at",
      "unsafe_dedupe",
    ]),
    new Option("--unique [while]", "add it once while one like it is there: has not ended, or has not begun")
      .choices(["unfinished", "waiting"])
      .conflicts("keyMode"),
    new Option("--for <duration>", "with --unique: for so long at least, also when that one has ended").argParser(
      checkDuration,
    ),
    new Option("--otherwise <policy>", "with --unique: what becomes of it then (default: keep the one there)").choices([
      "keep",
      "replace",
      "reject",
    ]),
    new Option("--flags <names...>", "for workers that refuse jobs with some flags"),
    new Option("--timeout <duration>", "how long one attempt may take").argParser(checkDuration),
  ],
  async run({ screen, globals, arguments: [task = ""], options }) {
    const { payload, payloadFile, ...rest } = options as AddOptions;
    const stored = payloadFile === undefined ? payload : await readPayload(payloadFile);
    const job = await withClient(globals, (client) => client.addJob(task, stored, toSpec(rest)));
    if (globals.json) return screen.printJson(job);
    screen.print(describe(job));
  },
};

interface AddOptions {
  readonly payload?: unknown;
  readonly payloadFile?: string;
  readonly queue?: string;
  readonly runAt?: string;
  readonly runIn?: Duration;
  readonly priority?: number;
  readonly maxAttempts?: number;
  readonly key?: string;
  readonly keyMode?: NonNullable<JobSpec["jobKeyMode"]>;
  readonly unique?: "unfinished" | "waiting" | true;
  readonly for?: Duration;
  readonly otherwise?: UniqueOptions["otherwise"];
  readonly flags?: readonly string[];
  readonly timeout?: Duration;
}

function describe({ id, task, outcome, hasEnded, runAt }: AddedJob): string {
  const name = `job ${id} of task ${printable(task)}`;
  if (hasEnded === true) return `Added nothing: ${name} was like it.`;
  if (outcome === "kept") return `Added nothing: ${name} is like it, due ${runAt.toISOString()}.`;
  return `${outcome === "replaced" ? "Replaced" : "Added"} ${name}, due ${runAt.toISOString()}.`;
}

function toSpec(options: Omit<AddOptions, "payload" | "payloadFile">): JobSpec {
  const { queue, key, keyMode, runAt, unique, for: kept, otherwise, ...rest } = options;
  if (unique === undefined && (kept !== undefined || otherwise !== undefined))
    throw new HowdahError("HOWDAH_OPTION_INVALID", "Options --for and --otherwise go with --unique only.");
  if (keyMode !== undefined && key === undefined)
    throw new HowdahError("HOWDAH_OPTION_INVALID", "Option --key-mode goes with --key only.");
  const spec = {
    ...rest,
    runAt: runAt === "now" ? undefined : runAt,
    queueName: queue,
    jobKey: key,
    jobKeyMode: keyMode,
    unique: unique && { while: unique === true ? undefined : unique, for: kept, otherwise },
  };
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
}

/** Reads JSON from a file, or from stdin. Throws `HOWDAH_OPTION_INVALID`. */
async function readPayload(file: string): Promise<unknown> {
  let json: string;
  try {
    json = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `Option --payload-file cannot be read: ${errorMessage(error)}`,
      error,
    );
  }
  try {
    return parseJson(json);
  } catch (error) {
    throw new HowdahError("HOWDAH_OPTION_INVALID", `Option --payload-file: ${errorMessage(error)}`, error);
  }
}
