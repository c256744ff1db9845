import type { Client } from "../../src/client/client.ts";
import { createHooks } from "../../src/hooks/hooks.ts";
import { HeldJobs } from "../../src/job/held-jobs.ts";
import { Identity } from "../../src/job/identity.ts";
import { JobNotes } from "../../src/job/job-notes.ts";
import { Refusals } from "../../src/job/recover/refusals.ts";
import { Reporter } from "../../src/job/reporter.ts";
import type { StoredTasks } from "../../src/job/stored-tasks.ts";
import { createTaskRegistry } from "../../src/job/task-registry.ts";
import { defineTask } from "../../src/job/task.ts";
import type { WorkerContext, WorkerSettings } from "../../src/job/worker-context.ts";
import type { Driver } from "../../src/postgres/driver.ts";
import type { Statements } from "../../src/postgres/queries/statements.ts";
import { createSchema } from "../../src/postgres/schema.ts";
import { silentLogger } from "../../src/runtime/logger.ts";
import { createManualClock, type ManualClock } from "../../src/testing/manual-clock.ts";

/** What a test changes of a context: any part of it, and any setting. */
export type ContextChanges = Partial<Omit<WorkerContext, "clock" | "settings">> & {
  readonly clock?: ManualClock;
  readonly settings?: Partial<WorkerSettings>;
};

/**
 * What parts of a worker stand on, for tests of a part without a database: a
 * clock that the test moves, the task `t` with the id 1, and the defaults of a
 * worker's options. A statement that the test does not give must not be sent.
 */
export function workerContext(changes: ContextChanges = {}): WorkerContext & { readonly clock: ManualClock } {
  const { settings, clock = createManualClock(), logger = silentLogger } = changes;
  const { hooks = createHooks({ logger, clock }), held = new HeldJobs() } = changes;
  const identity = changes.identity ?? new Identity(clock, held);
  const ground = {
    driver: {} as Driver,
    schema: createSchema("howdah"),
    tasks: createTaskRegistry([defineTask({ identifier: "t", run() {} })]),
    reporter: new Reporter(hooks, logger, identity),
    ...changes,
    clock,
  };
  return {
    ...ground,
    notes: new JobNotes(ground),
    statements: {} as Statements,
    client: {} as Client,
    storedTasks: { identifiersById: new Map([[1, "t"]]), refresh() {} } as Partial<StoredTasks> as StoredTasks,
    refusals: new Refusals(),
    random: () => 0.5,
    closed: new AbortController().signal,
    ...changes,
    settings: { ...SETTINGS, ...settings },
    clock,
    logger,
    hooks,
    held,
    identity,
  };
}

const SETTINGS: WorkerSettings = {
  concurrency: 4,
  pollIntervalMs: 1_000,
  idle: undefined,
  localQueue: undefined,
  readAhead: true,
  maxClaimBytes: Number.POSITIVE_INFINITY,
  forbiddenFlags: [],
  gatherSizes: undefined,
  priorityAgingMs: undefined,
  taskConcurrency: undefined,
  completeJobBatchDelayMs: 0,
  failJobBatchDelayMs: 0,
  useNotificationDelivery: true,
  samples: false,
  recovery: undefined,
  settledMs: 60_000,
  shutdown: {
    gracePeriodMs: 5_000,
    abortPeriodMs: 1_000,
    interruptedJobRetryDelayMs: 30_000,
    osSignals: false,
    signal: undefined,
  },
  state: undefined,
};
