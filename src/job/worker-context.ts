import type { Client } from "../client/client.ts";
import type { InnerHooks } from "../hooks/hooks.ts";
import type { Driver } from "../postgres/driver.ts";
import type { Schema } from "../postgres/schema.ts";
import type { Statements } from "../postgres/queries/statements.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { ForbiddenFlags } from "./claim/claim-plan.ts";
import type { LocalQueueSettings } from "./claim/local-queue/options.ts";
import type { HeldJobs } from "./held-jobs.ts";
import type { Identity } from "./identity.ts";
import type { JobNotes } from "./job-notes.ts";
import type { RecoverySettings } from "./recover/options.ts";
import type { Refusals } from "./recover/refusals.ts";
import type { Reporter } from "./reporter.ts";
import type { StoredTasks } from "./stored-tasks.ts";
import type { TaskRegistry } from "./task-registry.ts";

/** What every part of a worker stands on: built once by `createWorker`, and passed whole. */
export interface WorkerContext {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hooks: InnerHooks;
  readonly driver: Driver;
  readonly schema: Schema;
  /** The statements of the hot path and of fencing, prepared for the schema. */
  readonly statements: Statements;
  /** The client over the same connections, which handlers are given too. */
  readonly client: Client;
  readonly settings: WorkerSettings;
  /** What the worker can run. */
  readonly tasks: TaskRegistry;
  /** The same tasks as the database knows them: their ids. */
  readonly storedTasks: StoredTasks;
  readonly identity: Identity;
  /** Tells hooks and the log what happens. */
  readonly reporter: Reporter;
  /** What handlers note of their jobs. */
  readonly notes: JobNotes;
  /** What the worker holds, of this run and of earlier ones. */
  readonly held: HeldJobs;
  /** What of dead workers cannot be given back. */
  readonly refusals: Refusals;
  /** From 0 to below 1. Tests pass their own. */
  readonly random: () => number;
  /** Aborted when the worker closes: nothing can be written any more. */
  readonly closed: AbortSignal;
}

/** When a worker with adaptive polling goes idle, and for how long at most. */
export interface IdleSettings {
  /** How long it holds no job before it goes idle. */
  readonly idleTimeoutMs: number;
  /** How long it is idle at most before it looks around. */
  readonly idlePollIntervalMs: number;
}

/** The options of a worker as its parts use them: read, with defaults, in milliseconds. */
export interface WorkerSettings {
  /** How many jobs run at once. */
  readonly concurrency: number;
  readonly pollIntervalMs: number;
  /** When it goes idle; `undefined` when its polling is not adaptive. */
  readonly idle: IdleSettings | undefined;
  /** `undefined` to claim directly. */
  readonly localQueue: LocalQueueSettings | undefined;
  /** Whether jobs are read ahead where they are claimed directly. */
  readonly readAhead: boolean;
  /** The most bytes of payloads that a claim brings, if that is more than one job. */
  readonly maxClaimBytes: number;
  readonly forbiddenFlags: ForbiddenFlags;
  /** The most jobs at once by the identifiers of tasks; `undefined` when none is limited. */
  readonly taskConcurrency: ReadonlyMap<string, number> | undefined;
  /** The most jobs of one call by the identifiers of tasks; `undefined` when none of them gathers jobs. */
  readonly gatherSizes: ReadonlyMap<string, number> | undefined;
  /** How long jobs wait behind better priorities before claims reserve places for them; `undefined` for ever. */
  readonly priorityAgingMs: number | undefined;
  readonly completeJobBatchDelayMs: number;
  readonly failJobBatchDelayMs: number;
  readonly useNotificationDelivery: boolean;
  /** Whether it takes samples, and counts what handlers do. */
  readonly samples: boolean;
  /** `undefined` when recovery is off. */
  readonly recovery: RecoverySettings | undefined;
  /** After so long a statement has been answered, or never will be. */
  readonly settledMs: number;
  readonly shutdown: {
    readonly gracePeriodMs: number;
    readonly abortPeriodMs: number;
    readonly interruptedJobRetryDelayMs: number;
    readonly osSignals: boolean;
    readonly signal: AbortSignal | undefined;
  };
  /** What handlers are given as `context.state`. */
  readonly state: unknown;
}
