import type { EventName, Events } from "../../src/hooks/events.ts";
import type { Hooks } from "../../src/hooks/hooks.ts";
import type { LogFields, Logger, LogLevel } from "../../src/runtime/logger.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createWorker } from "../../src/worker/create-worker.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { Worker } from "../../src/worker/worker.ts";
import type { WorkerDatabase } from "./database.ts";
import { until } from "./until.ts";

/** A worker on a test's database. Says nothing and leaves the signals of the test process alone, unless told otherwise. */
export async function createTestWorker<State>(
  database: WorkerDatabase,
  options: WorkerOptions<State>,
): Promise<Worker> {
  const { shutdown, driver, pool, ...rest } = options;
  const made = driver || pool ? undefined : database.createDriver?.();
  const own = driver || pool ? {} : made ? { driver: made } : { connectionString: database.connectionString };
  const all = {
    schema: database.schema.name,
    logger: silentLogger,
    migrate: false,
    // One of all workers takes them: statements that a test would have to leave out when it counts.
    samples: false,
    ...own,
    ...(driver ? { driver } : {}),
    ...(pool ? { pool } : {}),
    ...rest,
    shutdown: { osSignals: false, ...shutdown },
  };
  // Whether there has to be a state is known only where the tasks are named.
  return createWorker(all as unknown as WorkerOptions);
}

/** The events of one name, as they come. */
export interface Recorded<Name extends EventName> {
  readonly events: readonly Events[Name][];
  /** Waits until there have been N; default 1. Resolves with the last of these. */
  reach(count?: number): Promise<Events[Name]>;
}

/** Keeps every event of one name from now on. */
export function record<Name extends EventName>(hooks: Hooks, name: Name): Recorded<Name> {
  const events: Events[Name][] = [];
  hooks.on(name, (event) => void events.push(event));
  return {
    events,
    // Some wait for thousands of jobs.
    reach: (count = 1) => until(() => events[count - 1], { deadlineMs: 25_000, message: `event ${count} of ${name}` }),
  };
}

/** A promise that is resolved from outside. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** Creates a gate. */
export function createGate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Resolves when the signal is aborted, with its reason. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  if (signal.aborted) return Promise.resolve(signal.reason);
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

/** What was said to a logger. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps everything. */
export interface RecordingLogger extends Logger {
  readonly entries: readonly LogEntry[];
  /** The messages of one level. */
  messages(level: LogLevel): string[];
}

/** Creates a logger that keeps everything. */
export function createRecordingLogger(): RecordingLogger {
  const entries: LogEntry[] = [];
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      void entries.push({ level, message, fields });
  return {
    entries,
    messages: (level) => entries.filter((entry) => entry.level === level).map(({ message }) => message),
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
  };
}
