import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** The part of graphile-worker's interface that these tests use, the same in all of its releases here. */
export interface GraphileWorker {
  run(options: TheirOptions): Promise<TheirRunner>;
  runOnce(options: TheirOptions): Promise<void>;
  runMigrations(options: TheirOptions): Promise<void>;
  makeWorkerUtils(options: TheirOptions): Promise<TheirUtils>;
  addJobAdhoc(options: TheirOptions, identifier: string, payload?: unknown, spec?: TheirSpec): Promise<TheirJob>;
  quickAddJob(options: TheirOptions, identifier: string, payload?: unknown, spec?: TheirSpec): Promise<TheirJob>;
  parseCrontab(text: string): readonly unknown[];
  parseCronItems(items: readonly object[]): readonly unknown[];
  getTasks(options: TheirOptions, path: string): Promise<{ readonly tasks: TheirTasks; release(): void }>;
  getCronItems(options: TheirOptions, path: string): Promise<{ readonly items: readonly unknown[]; release(): void }>;
  readonly Logger: new (make: () => () => void) => object;
}

/** What graphile-worker is told. */
export interface TheirOptions {
  readonly connectionString?: string;
  readonly schema?: string;
  readonly logger?: object;
  readonly taskList?: TheirTasks;
  readonly taskDirectory?: string;
  readonly crontab?: string;
  readonly parsedCronItems?: readonly unknown[];
  readonly concurrency?: number;
  readonly pollInterval?: number;
  readonly noHandleSignals?: boolean;
  readonly forbiddenFlags?: readonly string[] | (() => readonly string[] | Promise<readonly string[]>);
  readonly noPreparedStatements?: boolean;
  readonly useNodeTime?: boolean;
  readonly events?: NodeJS.EventEmitter;
  readonly preset?: { readonly worker: object };
}

/** Handlers by the name of their task. */
export type TheirTasks = Readonly<Record<string, (payload: any, helpers: TheirHelpers) => unknown>>; // oxlint-disable-line typescript/no-explicit-any -- payloads of any kind

/** What a handler of theirs is given. */
export interface TheirHelpers {
  readonly job: TheirJob;
  readonly abortSignal?: AbortSignal;
  readonly logger: { info(message: string): void };
  addJob(identifier: string, payload?: unknown, spec?: TheirSpec): Promise<TheirJob>;
  addJobs(specs: readonly TheirBulkSpec[], preserveRunAt?: boolean): Promise<readonly TheirJob[]>;
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: Record<string, unknown>[] }>;
  withPgClient<T>(work: (client: { query: TheirHelpers["query"] }) => Promise<T>): Promise<T>;
  getQueueName(): Promise<string | null> | string | null;
}

/** How a job is added. */
export interface TheirSpec {
  readonly queueName?: string;
  readonly runAt?: Date;
  readonly priority?: number;
  readonly maxAttempts?: number;
  readonly jobKey?: string;
  readonly jobKeyMode?: "replace" | "preserve_run_at" | "unsafe_dedupe";
  readonly flags?: readonly string[];
}

/** How one of many jobs is added. */
export interface TheirBulkSpec extends Omit<TheirSpec, "jobKeyMode"> {
  readonly identifier: string;
  readonly payload?: unknown;
}

/** A job as its row says. */
export interface TheirJob {
  readonly id: string;
  readonly task_identifier: string;
  readonly payload: unknown;
  readonly priority: number;
  readonly run_at: Date;
  readonly attempts: number;
  readonly max_attempts: number;
  readonly last_error: string | null;
  readonly key: string | null;
  readonly revision: number;
  readonly flags: Readonly<Record<string, true>> | null;
  readonly locked_at: Date | null;
  readonly locked_by: string | null;
  readonly is_available: boolean;
}

/** A running worker pool. */
export interface TheirRunner {
  readonly promise: Promise<void>;
  readonly events: NodeJS.EventEmitter;
  stop(): Promise<void>;
  addJob(identifier: string, payload?: unknown, spec?: TheirSpec): Promise<TheirJob>;
}

/** What manages a queue of theirs. */
export interface TheirUtils extends Pick<TheirHelpers, "addJob" | "addJobs" | "withPgClient"> {
  migrate(): Promise<void>;
  release(): Promise<void>;
  completeJobs(ids: readonly string[]): Promise<readonly TheirJob[]>;
  permanentlyFailJobs(ids: readonly string[], reason?: string): Promise<readonly TheirJob[]>;
  rescheduleJobs(
    ids: readonly string[],
    options: {
      readonly runAt?: Date | string;
      readonly priority?: number;
      readonly attempts?: number;
      readonly maxAttempts?: number;
    },
  ): Promise<readonly TheirJob[]>;
  forceUnlockWorkers(ids: readonly string[]): Promise<void>;
  cleanup(options?: {
    readonly tasks?: readonly string[];
    readonly taskIdentifiersToKeep?: readonly string[];
  }): Promise<void>;
}

/** The releases that are installed here. */
export type Release = "0.16" | "0.17" | "0.18";

/** The release that this run of the tests is about: that of `HOWDAH_TEST_COMPAT`, or 0.17. 0.18 needs Node.js 24. */
export const RELEASE: Release = process.env["HOWDAH_TEST_COMPAT"] === "0.18" ? "0.18" : "0.17";

const { resolve } = createRequire(import.meta.url);

/** Loads a release. Rejects when this Node.js is too old for it. */
export async function loadRelease(release: Release = RELEASE): Promise<GraphileWorker> {
  const loaded = (await import(pathToFileURL(mainFile(release)).href)) as
    GraphileWorker | { readonly default: GraphileWorker };
  return "run" in loaded ? loaded : loaded.default;
}

/** The file of its command line. */
export function cliFile(release: Release = RELEASE): string {
  return join(dirname(mainFile(release)), "cli.js");
}

/** The file that a program imports. */
export function mainFile(release: Release = RELEASE): string {
  return resolve(`graphile-worker-${release}`);
}
