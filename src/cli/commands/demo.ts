import type { DemoPage, DemoPageOptions } from "../demo/demo-page.ts";
import { realpathSync, statSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import { formatCount, formatSeconds } from "../../client/views/amounts.ts";
import { withHowdahErrors } from "../../postgres/database-error.ts";
import { HowdahError } from "../../errors.ts";
import { createSchema } from "../../postgres/schema.ts";
import { systemClock } from "../../runtime/clock.ts";
import { consoleLogger } from "../../runtime/logger.ts";
import { onOsSignal } from "../../worker/process-end.ts";
import type { CliCommand, GlobalOptions } from "../command.ts";
import { createProgress, type Progress } from "../demo/progress.ts";
import { printResult, printStep, printWalk } from "../demo/report.ts";
import { demoFolder, startDemoServer } from "../demo/server.ts";
import { runDemo, type DemoOptions, type DemoResult, type DemoView } from "../demo/application/run-demo.ts";
import { printable } from "../printable.ts";
import type { Screen } from "../screen.ts";
import { outliveReader } from "../../runtime/outlive-reader.ts";

/** Jobs mostly wait for the disk and for the database. */
const SLOTS_PER_CORE = 8;

/** Never the schema of an application's queue, even in the database of an application. */
const SCHEMA = "howdah_demo";

/** The number of processes that share the slots with --crash. */
const CRASH_WORKERS = 3;

/** The exit code that shells use for SIGINT. */
const INTERRUPTED = 130;
const INCOMPLETE = 1;

/** `howdah demo [directory]`: hashes every file of a directory, one job each. */
export const demoCommand: CliCommand = {
  usage: "demo [directory]",
  summary: "see it work: one job for each file of a directory, on a PostgreSQL of its own",
  examples: [
    "howdah demo                  all files below this directory, Ctrl-C and again to go on",
    "howdah demo /usr/share --fresh",
    "howdah demo --crash          the same while workers are killed, and the database once",
    "howdah demo --page           the same, to watch in the browser",
    "howdah demo --database-url postgresql://localhost/test --manifest SHA256SUMS",
  ],
  options: [
    new Option("--fresh", "forget what earlier runs did"),
    new Option("--crash", "run the jobs in processes that are killed at random, and restart the database once"),
    new Option("--page", "serve the page for operators on this machine, until Ctrl-C"),
    new Option("--manifest <file>", "where to write the hashes (default: next to the data of the demo)"),
    new Option("--concurrency <number>", "how many jobs to run at once")
      .default(SLOTS_PER_CORE * availableParallelism())
      .argParser(parseConcurrency),
  ],
  async run({ screen, globals, arguments: [given = "."], options }) {
    const directory = readDirectory(given);
    const flags = options as unknown as DemoCommandOptions;
    const { fresh = false, crash = false, concurrency, manifest: file } = flags;
    const folder = demoFolder(directory);
    const manifest = await readManifest(file ?? `${folder}.sha256`);
    const quiet = globals.json === true;
    if (!quiet) printTitle(screen, directory);
    const progress = createProgress(outliveReader(process.stderr), systemClock);
    const stop = new AbortController();
    const ignoreSignals = onOsSignal(() => {
      progress.stop();
      screen.note("Stopping; once more to end at once.");
      stop.abort();
    });
    screen.onClosed(() => stop.abort());
    await using database = await openDatabase({ globals, folder, fresh, crash, tell: quiet ? undefined : screen });
    const schema = globals.schema ?? SCHEMA;
    const { connectionString } = database;
    const watched = { connectionString, schema, screen, quiet, signal: stop.signal };
    await using page = flags.page ? await createPage(watched) : undefined;
    const demo = (options: DemoOptions) => withHowdahErrors(createSchema(schema), () => runDemo(options));
    const result = await demo({
      directory,
      manifest,
      fresh,
      concurrency,
      connectionString,
      isDatabaseOwn: database.isOwn,
      crash: crash ? { workers: CRASH_WORKERS, restart: database.crash } : undefined,
      schema,
      own: [manifest, folder],
      audience: page,
      signal: stop.signal,
      clock: systemClock,
      logger: process.env["HOWDAH_LOG"] ? consoleLogger() : consoleLogger({ level: "error" }),
      view: createView(screen, progress, quiet),
      // A progress bar would keep the process alive.
    }).finally(() => progress.stop());
    if (quiet) screen.printJson(toJson(result));
    else printResult(screen, result);
    await page?.visited();
    process.exitCode = exitCodeOf(result);
    ignoreSignals();
  },
};

interface DemoCommandOptions {
  readonly fresh?: boolean;
  readonly crash?: boolean;
  readonly page?: boolean;
  readonly concurrency: number;
  readonly manifest?: string;
}

/** Without `--page` the demo starts without a web server. */
async function createPage(options: DemoPageOptions): Promise<DemoPage> {
  const { DemoPage } = await import("../demo/demo-page.ts");
  return new DemoPage(options);
}

function parseConcurrency(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 1000) return number;
  throw new InvalidArgumentError("It has to be a whole number from 1 to 1000.");
}

function readDirectory(given: string): string {
  const stats = statSync(given, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return realpathSync(given);
  const problem = stats ? "is not a directory" : "does not exist";
  throw new HowdahError("HOWDAH_OPTION_INVALID", `${JSON.stringify(given)} ${problem}.`);
}

/** Fails before the work begins when the manifest cannot be written. */
async function readManifest(given: string): Promise<string> {
  const parent = dirname(resolve(given));
  try {
    await access(parent, constants.W_OK);
    return join(realpathSync(parent), basename(given));
  } catch (error) {
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `The manifest cannot be written: ${(error as Error).message}.`,
      error,
    );
  }
}

interface DemoDatabase extends AsyncDisposable {
  readonly connectionString: string;
  readonly isOwn: boolean;
  /** `undefined` for a database of the user, which must not be crashed. */
  readonly crash: (() => Promise<void>) | undefined;
}

interface OpenOptions {
  readonly globals: GlobalOptions;
  readonly folder: string;
  readonly fresh: boolean;
  readonly crash: boolean;
  readonly tell: Screen | undefined;
}

async function openDatabase({ globals, folder, fresh, crash, tell }: OpenOptions): Promise<DemoDatabase> {
  const given = globals.databaseUrl ?? process.env["DATABASE_URL"];
  if (given) {
    if (tell) printStep(tell, "PostgreSQL", "the one of the database URL");
    if (tell && crash) printStep(tell, "Crashes", "workers only; this database is not the demo's to restart");
    return { connectionString: given, isOwn: false, crash: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const startedAt = systemClock.monotonic();
  const server = await startDemoServer({ folder, fresh, willCrash: crash });
  const seconds = formatSeconds((systemClock.monotonic() - startedAt) / 1000);
  if (tell) {
    printStep(tell, "PostgreSQL", `started in ${seconds}`);
    printStep(tell, "Data", `${printable(folder)} ${tell.paint.dim("(--fresh begins anew)")}`);
  }
  return {
    connectionString: server.connectionString,
    isOwn: true,
    crash: () => server.crash(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

function printTitle(screen: Screen, directory: string): void {
  screen.print(
    `${screen.paint.bold("Howdah demo")}: the SHA-256 of every file in ${printable(directory)}, one job each`,
  );
  screen.print();
}

function createView(screen: Screen, progress: Progress, quiet: boolean): DemoView {
  let saidWaiting = false;
  return {
    walking: (found, added) =>
      progress.busy(`Walking: ${formatCount(found, "file")} found, ${formatCount(added, "job")} added`),
    walked(walk) {
      progress.stop();
      if (!quiet) printWalk(screen, walk);
    },
    running: (done, total) => progress.update(done, total),
    waiting() {
      if (!saidWaiting) progress.note("Some jobs are left for a later attempt, or run elsewhere; waiting for them.");
      saidWaiting = true;
    },
    ran: () => progress.stop(),
  };
}

/** The output of `--json`. It is documented, so it is defined here and not derived from internal types. */
function toJson(result: DemoResult) {
  const { directory, manifest, found, added, leftOut, completed, remaining, interrupted, vanished, problems, crashes } =
    result;
  const { files, bytes, queues, runSeconds, highestConcurrency, highestQueueConcurrency } = result;
  return {
    directory,
    manifest: manifest ?? null,
    interrupted,
    found,
    leftOut,
    added,
    completed,
    remaining,
    vanished,
    problems,
    files,
    bytes,
    queues,
    seconds: runSeconds,
    jobsPerSecond: runSeconds > 0 ? completed / runSeconds : 0,
    highestConcurrency,
    highestQueueConcurrency,
    crashes: crashes ?? null,
  };
}

function exitCodeOf({ interrupted, problems }: DemoResult): number {
  if (interrupted) return INTERRUPTED;
  return problems.length > 0 ? INCOMPLETE : 0;
}
