import { readFile } from "node:fs/promises";
import { InvalidArgumentError, Option } from "commander";
import { HowdahError } from "../../errors.ts";
import type { Duration } from "../../runtime/duration.ts";
import { errorMessage } from "../../runtime/error-message.ts";
import { consoleLogger } from "../../runtime/logger.ts";
import { createWorker } from "../../worker/create-worker.ts";
import type { RunOnceOptions } from "../../worker/worker.ts";
import type { Call, CliCommand, GlobalOptions } from "../command.ts";
import { connectionOptions } from "../connect.ts";
import { printable } from "../printable.ts";
import { loadTasks, type LoadedTasks } from "../work/load-tasks.ts";
import { checkDuration } from "../values.ts";

/** `howdah work [source]`: runs jobs. */
export const workCommand: CliCommand = {
  usage: "work [source]",
  summary: "run jobs with the tasks of a module, a folder or howdah.config.ts",
  examples: [
    "howdah work tasks",
    "howdah work src/tasks.ts --concurrency 10",
    "howdah work tasks --once --deadline 50s",
  ],
  options: [
    new Option("--concurrency <number>", "how many jobs run at once (default: the number of cores)").argParser(
      parseCount,
    ),
    new Option(
      "--poll-interval <duration>",
      "how often to look for jobs without a notification (default: 1s)",
    ).argParser(checkDuration),
    new Option(
      "--priority-aging <duration>",
      "after so long, one place in eight is for jobs that wait behind others",
    ).argParser(checkDuration),
    new Option("--local-queue", "claim jobs in batches, for many small ones"),
    new Option("--crontab <file>", "jobs that recur, one a line"),
    new Option("--forbidden-flags <names...>", "leave jobs alone that have one of these flags"),
    new Option("--timeout <duration>", "how long an attempt of an executable file may take")
      .argParser(checkDuration)
      .default("4h"),
    new Option("--no-migrate", "do not bring the schema up to date"),
    new Option("--once", "run what is due, and end"),
    new Option("--deadline <duration>", "with --once: start no job after this time").argParser(checkDuration),
    new Option("--max-jobs <number>", "with --once: how many to run at most").argParser(parseCount),
  ],
  async run(call) {
    const flags = call.options as unknown as WorkFlags;
    if (flags.once !== true && (flags.deadline !== undefined || flags.maxJobs !== undefined))
      throw new HowdahError("HOWDAH_OPTION_INVALID", "Options --deadline and --max-jobs go with --once only.");
    const [source] = call.arguments;
    const loaded = await loadTasks(source, { folder: process.cwd(), timeout: flags.timeout });
    for (const name of loaded.leftOut)
      call.screen.note(`Left out ${printable(name)}: it exports no task, and is no executable file.`);
    await work(call, loaded, flags);
  },
};

interface WorkFlags {
  readonly concurrency?: number;
  readonly pollInterval?: Duration;
  readonly priorityAging?: Duration;
  readonly localQueue?: boolean;
  readonly crontab?: string;
  readonly forbiddenFlags?: readonly string[];
  readonly timeout: Duration;
  readonly migrate: boolean;
  readonly once?: boolean;
  readonly deadline?: Duration;
  readonly maxJobs?: number;
}

async function work({ screen, globals }: Call, { tasks, options }: LoadedTasks, flags: WorkFlags): Promise<void> {
  await using worker = await createWorker({
    logger: consoleLogger(),
    ...options,
    ...connectionOf(globals, options),
    ...(await settingsOf(flags)),
    tasks,
    state: options.state,
  });
  if (flags.once !== true) return await worker.run();
  const { deadline, maxJobs } = flags;
  const once: RunOnceOptions = {
    ...(deadline === undefined ? {} : { deadline }),
    ...(maxJobs === undefined ? {} : { maxJobs }),
  };
  const result = await worker.runOnce(once);
  if (globals.json) return screen.printJson(result);
  screen.print(`Completed ${result.completed}, failed ${result.failed}; ended: ${result.ended}.`);
}

/** A configuration may bring the connection; what the command line names comes first. */
function connectionOf(globals: GlobalOptions, options: LoadedTasks["options"]) {
  const { connectionString, pool, pgPool, driver, schema } = options;
  const isBrought = [connectionString, pool, pgPool, driver].some((way) => way !== undefined);
  if (isBrought && globals.databaseUrl === undefined)
    return globals.schema === undefined ? {} : { schema: globals.schema };
  const named = connectionOptions(globals);
  return { ...named, ...(schema === undefined || globals.schema !== undefined ? {} : { schema }) };
}

/** What the flags set; the others are left to the configuration. */
async function settingsOf({ crontab, migrate, ...flags }: WorkFlags) {
  const { concurrency, pollInterval, priorityAging, localQueue, forbiddenFlags } = flags;
  const given = {
    concurrency,
    pollInterval,
    priorityAging,
    localQueue,
    forbiddenFlags,
    crontab: crontab === undefined ? undefined : await readCrontab(crontab),
    migrate: migrate ? undefined : false,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

async function readCrontab(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new HowdahError("HOWDAH_OPTION_INVALID", `Option --crontab cannot be read: ${errorMessage(error)}`, error);
  }
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It has to be a whole number, at least 1.");
}
