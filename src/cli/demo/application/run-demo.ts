import { type Client, type Clock, createWorker, type Driver, type Logger, type Worker } from "../../../index.ts";
import { pgDriver } from "../../../postgres/drivers/pg.ts";
import { FilesTable, type FilesSummary, type FileToHash } from "./files-table.ts";
import { type Crashes, startCrashCrew } from "./crash-crew.ts";
import { fingerprintFile } from "./fingerprint-task.ts";
import { packageQueue } from "./package-queue.ts";
import { noneLeftOut, walkFiles, type FoundFile, type LeftOut } from "./walk-files.ts";
import { writeManifest } from "./write-manifest.ts";

/**
 * Adds one job for each file of a directory, runs them all, and writes a
 * manifest of the results. When it is interrupted, it shuts down; the next run
 * adds only missing jobs and finishes the others.
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { directory, connectionString, isDatabaseOwn, schema, concurrency, signal, clock, logger } = options;
  // A connection for each handler, and a few for the worker itself.
  const driver = pgDriver({
    connectionString,
    maxConnections: Math.min(concurrency, 20) + 4,
    // A database of the user may be behind a transaction pooler.
    preparedStatements: isDatabaseOwn,
  });
  try {
    const files = new FilesTable(driver, { schema, directory });
    // Also brings the schema up to date.
    await using worker = await createWorker({
      driver,
      schema,
      concurrency,
      logger,
      clock,
      tasks: [fingerprintFile],
      state: files,
      // Many small jobs in a few queues: cache some, so that the jobs of one queue need no claim in between.
      localQueue: { size: 500 },
      shutdown: {
        signal,
        osSignals: false,
        interruptedJobRetryDelay: 0,
      },
    });
    await prepare(files, worker.client, options);
    await options.audience?.open();
    const walked = await addJobs({ driver, files, client: worker.client }, options);
    options.view.walked(walked);
    const total = walked.waiting;
    const ran = options.crash
      ? await runJobsInCrashes({ files, client: worker.client }, { ...options, crash: options.crash, total })
      : await runJobs(worker, { ...options, total });
    const remaining = (await files.count()).waiting;
    const gaps = signal.aborted ? NO_GAPS : await finish(files, options);
    const summary = await files.summarize();
    return {
      directory,
      ...walked,
      ...ran,
      ...summary,
      ...gaps,
      remaining: signal.aborted ? remaining : 0,
      interrupted: signal.aborted,
      manifest: signal.aborted ? undefined : options.manifest,
    };
  } finally {
    await driver.close();
  }
}

/** Options of {@link runDemo}. */
export interface DemoOptions {
  /** Absolute, without symbolic links. */
  readonly directory: string;
  readonly connectionString: string;
  readonly schema: string;
  /** The database belongs to the demo alone, so all locks in it are of a run that was killed. */
  readonly isDatabaseOwn: boolean;
  readonly concurrency: number;
  /** Runs the jobs in processes that are killed at random, and restarts the database once. */
  readonly crash?: CrashOptions | undefined;
  /** Where to write the manifest; absolute. */
  readonly manifest: string;
  /** Absolute paths of files and folders that the demo itself writes. */
  readonly own: readonly string[];
  /** Ignores the results of earlier runs. */
  readonly fresh: boolean;
  /** Opened when the schema is there; jobs are added after that. */
  readonly audience?: Audience | undefined;
  /** Ends the demo early; the next run continues from there. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly view: DemoView;
}

/** The faults to inject. */
export interface CrashOptions {
  /** How many processes work. */
  readonly workers: number;
  /** Crashes the database and starts it again; `undefined` when it belongs to the user. */
  readonly restart: (() => Promise<void>) | undefined;
}

/** Receives the progress. */
export interface DemoView {
  /** The number of files found and of jobs added so far. */
  walking(found: number, added: number): void;
  walked(walk: Walked): void;
  /** The number of jobs that are done, and of all jobs. Called for each job. */
  running(done: number, total: number): void;
  /** Jobs are left that cannot run now: their next attempt is due later, or another process runs them. */
  waiting(): void;
  ran(): void;
}

/** The result of a walk. */
export interface Walked {
  readonly found: number;
  /** Jobs added by this run. */
  readonly added: number;
  /** Jobs to run: those that were added, and those that an earlier run left. */
  readonly waiting: number;
  readonly leftOut: Readonly<LeftOut>;
  readonly seconds: number;
}

/** The result of a demo. */
export interface DemoResult extends FilesSummary, Walked {
  readonly directory: string;
  /** Jobs completed by this run, and how long that took, in seconds. */
  readonly completed: number;
  readonly runSeconds: number;
  /** The injected faults; `undefined` without `crash`. */
  readonly crashes: Crashes | undefined;
  /** Jobs that still wait: more than 0 only when the run was interrupted. */
  readonly remaining: number;
  readonly interrupted: boolean;
  /** Existing files that are not in the manifest. */
  readonly problems: readonly { readonly path: string; readonly problem: string }[];
  /** Files that were found and do not exist any more. */
  readonly vanished: number;
  /** `undefined` when the run was interrupted. */
  readonly manifest: string | undefined;
}

const BATCH_SIZE = 2_000;

/**
 * Jobs that die with their worker several times use up attempts, because they
 * might be the reason. Here they are not.
 */
const CRASH_ATTEMPTS = 25;

/** How long to wait between two checks of the progress. */
const LOOK_MS = 100;

/** How long to wait until further jobs may be due. */
const REST_MS = 500;

async function prepare(files: FilesTable, client: Client, { fresh, isDatabaseOwn }: DemoOptions): Promise<void> {
  await files.create();
  if (fresh) await files.clear();
  if (isDatabaseOwn) await unlockLeftovers(client);
}

/** Unlocks the jobs of killed workers. Only allowed where no other worker can exist. */
async function unlockLeftovers(client: Client): Promise<void> {
  const { jobs } = await client.listJobs({ state: "running", limit: 1000 });
  const { queues } = await client.listQueues({ isLocked: true, limit: 1000 });
  const holders = [...jobs, ...queues].map(({ lockedBy }) => lockedBy);
  await client.forceUnlockWorkers([...new Set(holders.filter((holder) => holder !== null))]);
}

interface Ground {
  readonly driver: Driver;
  readonly files: FilesTable;
  readonly client: Client;
}

async function addJobs(ground: Ground, { directory, own, signal, clock, view, crash }: DemoOptions): Promise<Walked> {
  const startedAt = clock.monotonic();
  const leftOut = noneLeftOut();
  let found = 0;
  let added = 0;
  for await (const batch of walkFiles({ directory, own: new Set(own), leftOut, batchSize: BATCH_SIZE })) {
    if (signal.aborted) break;
    found += batch.length;
    added += await addMissing(ground, batch, { directory, maxAttempts: crash ? CRASH_ATTEMPTS : undefined });
    view.walking(found, added);
  }
  const { waiting } = await ground.files.count();
  return { found, added, waiting, leftOut, seconds: (clock.monotonic() - startedAt) / 1000 };
}

/**
 * Adds the jobs of files that have none yet. The rows and the jobs are written
 * in one transaction: whenever it is interrupted, either both are stored or
 * neither.
 */
async function addMissing(
  { driver, files, client }: Ground,
  batch: FoundFile[],
  { directory, maxAttempts }: { readonly directory: string; readonly maxAttempts: number | undefined },
): Promise<number> {
  if (batch.length === 0) return 0;
  return driver.transaction(async (transaction) => {
    const paths = await files.note(transaction, batch);
    const jobs = paths.map((path) => ({
      task: fingerprintFile,
      payload: { directory, path } satisfies FileToHash,
      spec: { queueName: packageQueue(path), maxAttempts },
    }));
    await client.inTransaction(transaction).addJobs(jobs);
    return jobs.length;
  });
}

interface RunOptions extends DemoOptions {
  readonly total: number;
}

async function runJobs(worker: Worker, { signal, clock, view, total }: RunOptions) {
  let completed = 0;
  worker.hooks.on("jobComplete", () => {
    completed += 1;
    view.running(completed, total);
  });
  view.running(0, total);
  const startedAt = clock.monotonic();
  let endedAt = startedAt;
  while (!signal.aborted) {
    await worker.runOnce();
    endedAt = clock.monotonic();
    if (signal.aborted || !(await isWorkLeft(worker.client))) break;
    view.waiting();
    await clock.sleep(REST_MS, signal);
  }
  view.ran();
  return { completed, runSeconds: (endedAt - startedAt) / 1000, crashes: undefined };
}

/** The same in processes that are killed; their results are in the table. */
async function runJobsInCrashes(
  { files, client }: Omit<Ground, "driver">,
  options: RunOptions & { readonly crash: CrashOptions },
) {
  const { connectionString, isDatabaseOwn, schema, directory, concurrency } = options;
  const { clock, signal, view, total, crash } = options;
  const share = Math.max(1, Math.ceil(concurrency / crash.workers));
  const order = { connectionString, isDatabaseOwn, schema, directory, concurrency: share };
  view.running(0, total);
  const startedAt = clock.monotonic();
  const crew = startCrashCrew({ order, workers: crash.workers, jobs: total, clock });
  let restarts = 0;
  let waiting = total;
  while (!signal.aborted && waiting > 0 && (await despiteRestart(() => isWorkLeft(client)))) {
    await clock.sleep(LOOK_MS, signal);
    waiting = (await despiteRestart(() => files.count())).waiting;
    view.running(total - waiting, total);
    if (restarts === 0 && crash.restart && waiting < total / 2) {
      restarts += 1;
      await crash.restart();
    }
  }
  const runSeconds = (clock.monotonic() - startedAt) / 1000;
  await crew.stop();
  // The last ones may have ended between the count and the search for work.
  waiting = (await files.count()).waiting;
  view.ran();
  const { kills, recovered } = crew;
  return { completed: total - waiting, runSeconds, crashes: { kills, restarts, recovered } };
}

/** Reads again when the connection was one of those that the restart has ended. There may be several of them. */
async function despiteRestart<T>(read: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await read();
    } catch (error) {
      if (tries === MOST_ENDED) throw error;
    }
  }
}

/** More connections than the demo itself uses at once. */
const MOST_ENDED = 5;

async function isWorkLeft(client: Client): Promise<boolean> {
  for (const state of ["ready", "scheduled", "running"] as const) {
    const { jobs } = await client.listJobs({ task: fingerprintFile.identifier, state, limit: 1 });
    if (jobs.length > 0) return true;
  }
  return false;
}

const NO_GAPS = { problems: [], vanished: 0 };

async function finish(files: FilesTable, { directory, manifest }: DemoOptions) {
  const failed = await files.takeProblems();
  const { vanished, changed } = await writeManifest(files, { directory, manifest });
  const isHere = ({ problem }: { problem: string }): boolean => problem !== "vanished";
  return {
    problems: [...failed.filter(isHere), ...changed.map((path) => ({ path, problem: "changed after it was read" }))],
    vanished: vanished + failed.filter((file) => !isHere(file)).length,
  };
}

/** Those who watch a demo. */
export interface Audience {
  open(): Promise<void>;
}
