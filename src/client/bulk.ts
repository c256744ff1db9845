import { toDate } from "../job/row.ts";
import type { JobState } from "../job/job.ts";
import type { CountTarget } from "../postgres/queries/count-jobs.ts";
import {
  type OperationAction,
  type OperationChange,
  type OperationRecord,
  type OperationState,
  startOperation,
} from "../postgres/queries/operations.ts";
import type * as queries from "../postgres/queries/job-selection.ts";
import { boolean, custom, func, oneOf } from "../runtime/option-kinds.ts";
import { isOptionsObject, type OptionsOf, readOptions } from "../runtime/options.ts";
import { previewOperation, type BulkPreview } from "./bulk-preview.ts";
import type { BulkRunner } from "./bulk-runner.ts";
import type { CancelResult, JobControl } from "./control.ts";
import { FILTER_OPTIONS, type JobFilter, toFilter } from "./job-filter.ts";
import {
  type JobManagement,
  readReschedule,
  type RescheduleOptions,
  RETRY_OPTIONS,
  type RetryOptions,
  toRetry,
} from "./manage.ts";
import { readReason } from "./option-readers.ts";
import type { Session } from "./session.ts";
import type { Job } from "../job/job.ts";
import { HowdahError } from "../errors.ts";

/**
 * Changes all jobs that pass a filter, in batches of 500, each in a transaction
 * of its own. Jobs that are added after the call are left alone. What is to be
 * done and how far it came is stored, so that it can be followed, paused and
 * stopped from any process, and goes on with `operations.resume` after the one
 * that began has ended. Each method resolves when the operation has ended, or
 * was paused or stopped.
 */
export interface BulkChanges {
  /** Lets jobs run again, at once and with all their attempts, and returns them: see {@link JobManagement.retryJobs}. */
  retryJobs(ids: readonly string[], options?: RetryOptions): Promise<Job[]>;
  /** Lets all jobs that failed for good and pass a filter run again, at once and with all their attempts. */
  retryJobs(filter: BulkFilter<"failed">, options?: RetryOptions & BulkOptions): Promise<BulkOperation>;
  /** Counts these jobs, and changes nothing. */
  retryJobs(filter: BulkFilter<"failed">, options: RetryOptions & DryRun): Promise<BulkPreview>;
  /** Deletes jobs by their ids, and returns them: see {@link JobManagement.removeJobs}. */
  removeJobs(ids: readonly string[]): Promise<Job[]>;
  /** Deletes all that pass a filter and that no worker runs, failed ones too. */
  removeJobs(filter: BulkFilter<IdleState>, options?: BulkOptions): Promise<BulkOperation>;
  /** Counts these jobs, and changes nothing. */
  removeJobs(filter: BulkFilter<IdleState>, options: DryRun): Promise<BulkPreview>;
  /** Deletes jobs as if they had run, and returns them: see {@link JobManagement.completeJobs}. */
  completeJobs(ids: readonly string[]): Promise<Job[]>;
  /** The same for all that pass a filter and that no worker runs. */
  completeJobs(filter: BulkFilter<IdleState>, options?: BulkOptions): Promise<BulkOperation>;
  /** Counts these jobs, and changes nothing. */
  completeJobs(filter: BulkFilter<IdleState>, options: DryRun): Promise<BulkPreview>;
  /** Marks jobs as failed for good, and returns them: see {@link JobManagement.permanentlyFailJobs}. */
  permanentlyFailJobs(ids: readonly string[], reason?: string): Promise<Job[]>;
  /** The same for all that pass a filter, that no worker runs and that have not failed for good. */
  permanentlyFailJobs(filter: BulkFilter<WaitingState>, reason?: string, options?: BulkOptions): Promise<BulkOperation>;
  /** Counts these jobs, and changes nothing. */
  permanentlyFailJobs(
    filter: BulkFilter<WaitingState>,
    reason: string | undefined,
    options: DryRun,
  ): Promise<BulkPreview>;
  /** Changes when and how often jobs run, and returns them: see {@link JobManagement.rescheduleJobs}. */
  rescheduleJobs(ids: readonly string[], to: RescheduleOptions): Promise<Job[]>;
  /** The same for all that pass a filter and that no worker runs. */
  rescheduleJobs(filter: BulkFilter<IdleState>, to: RescheduleOptions, options?: BulkOptions): Promise<BulkOperation>;
  /** Counts these jobs, and changes nothing. */
  rescheduleJobs(filter: BulkFilter<IdleState>, to: RescheduleOptions, options: DryRun): Promise<BulkPreview>;
  /** Cancels jobs by their ids: see {@link JobControl.cancelJobs}. */
  cancelJobs(ids: readonly string[], reason?: string): Promise<CancelResult>;
  /** The same for all that pass a filter. A job that starts meanwhile is told to stop. */
  cancelJobs(filter: BulkFilter<OpenState>, reason?: string, options?: BulkOptions): Promise<BulkOperation>;
  /** Counts these jobs, and changes nothing. */
  cancelJobs(filter: BulkFilter<OpenState>, reason: string | undefined, options: DryRun): Promise<BulkPreview>;
}

/** Which jobs to change. At least one condition has to be given. */
export interface BulkFilter<State extends JobState> extends Omit<JobFilter, "state"> {
  readonly state?: State | undefined;
}

/** How to carry out a bulk change. */
export interface BulkOptions {
  readonly dryRun?: false | undefined;
  /** Called after each batch with how far it came. What it throws is not caught. */
  readonly onProgress?: ((operation: BulkOperation) => void) | undefined;
}

/** Changes nothing, and tells which jobs would be changed. */
export interface DryRun {
  readonly dryRun: true;
}

/** A change of all jobs that pass a filter. */
export interface BulkOperation {
  readonly id: string;
  readonly action: OperationAction;
  /** `running` does not tell whether a process is at work: `updatedAt` does. */
  readonly state: OperationState;
  /** How many jobs passed the filter so far. */
  readonly matched: number;
  /** How many of them were changed, or deleted. The others were gone or had begun to run, or a transaction held them. */
  readonly changed: number;
  /** How many of them ran, and were told to stop. */
  readonly signalled: number;
  readonly createdAt: Date;
  /** When the last batch was done. */
  readonly updatedAt: Date;
}

/** States of jobs that no worker runs. */
type IdleState = "ready" | "scheduled" | "failed";
/** States of jobs that may still run, and that no worker runs. */
type WaitingState = "ready" | "scheduled";
/** States of jobs that have not failed for good. */
type OpenState = "ready" | "scheduled" | "running";

/** The bulk methods of a client; calls with ids go to `byId`. */
export function createBulkChanges(session: Session, { runner, byId }: BulkParts): BulkChanges {
  const { schema } = session;
  const reading: CountTarget = { executor: session.reads, schema };

  async function start(order: BulkOrder, options: unknown): Promise<BulkOperation | BulkPreview> {
    return carryOut(order, readOptions(METHODS[order.action], options, BULK_OPTIONS));
  }

  async function carryOut(order: BulkOrder, { dryRun, onProgress }: OptionsOf<typeof BULK_OPTIONS>) {
    if (dryRun) return previewOperation(reading, order);
    const { id } = await startOperation({ executor: session, schema }, order);
    return toBulkOperation(await runner.run(id, (operation) => onProgress?.(toBulkOperation(operation))));
  }

  const order = (action: OperationAction, filter: unknown, change: OperationChange = {}): BulkOrder => ({
    action,
    filter: readBulkFilter(action, filter),
    change,
  });

  const plain = (action: "complete" | "remove") => async (jobs: unknown, options?: unknown) => {
    if (isOptionsObject(jobs)) return start(order(action, jobs), options);
    checkNone(action, options);
    return byId[METHODS[action]](jobs as readonly string[]);
  };

  const withReason = (action: "fail" | "cancel") => async (jobs: unknown, reason?: string, options?: unknown) => {
    if (isOptionsObject(jobs)) {
      const read = readOptions(METHODS[action], { reason }, { reason: custom(readReason) });
      return start(order(action, jobs, read), options);
    }
    checkNone(action, options);
    return byId[METHODS[action]](jobs as readonly string[], reason);
  };

  return {
    retryJobs: async (jobs: unknown, options?: unknown) => {
      if (!isOptionsObject(jobs)) return byId.retryJobs(jobs as readonly string[], options as RetryOptions);
      const { dryRun, onProgress, ...again } = readOptions("retryJobs", options, { ...BULK_OPTIONS, ...RETRY_OPTIONS });
      return carryOut(order("retry", jobs, { retry: toRetry(again) }), { dryRun, onProgress });
    },

    completeJobs: plain("complete"),
    removeJobs: plain("remove"),
    permanentlyFailJobs: withReason("fail"),
    cancelJobs: withReason("cancel"),

    rescheduleJobs: async (jobs: unknown, to: RescheduleOptions, options?: unknown) => {
      if (isOptionsObject(jobs)) return start(order("reschedule", jobs, { reschedule: readReschedule(to) }), options);
      checkNone("reschedule", options);
      return byId.rescheduleJobs(jobs as readonly string[], to);
    },
  } as BulkChanges;
}

/** What the bulk methods stand on. */
export interface BulkParts {
  readonly runner: BulkRunner;
  readonly byId: Omit<JobManagement, "removeJob" | "forceUnlockWorkers"> & Pick<JobControl, "cancelJobs">;
}

/** A bulk change before it begins. */
export interface BulkOrder {
  readonly action: OperationAction;
  readonly filter: queries.JobSelection;
  readonly change: OperationChange;
}

/** A stored operation as applications see it. */
export function toBulkOperation(record: OperationRecord): BulkOperation {
  const { id, action, state, matched, changed, signalled, createdAt, updatedAt } = record;
  return { id, action, state, matched, changed, signalled, createdAt: toDate(createdAt), updatedAt: toDate(updatedAt) };
}

/** How {@link BulkOptions.onProgress} is read. */
export const ON_PROGRESS = func<(operation: BulkOperation) => void>();

const BULK_OPTIONS = { dryRun: boolean({ default: false }), onProgress: ON_PROGRESS };

/** The methods by what they do. */
const METHODS = {
  retry: "retryJobs",
  reschedule: "rescheduleJobs",
  complete: "completeJobs",
  fail: "permanentlyFailJobs",
  cancel: "cancelJobs",
  remove: "removeJobs",
} as const satisfies Readonly<Record<OperationAction, keyof BulkChanges>>;

/** The states in which each action changes jobs. */
export const CHANGED_STATES: Readonly<Record<OperationAction, readonly JobState[]>> = {
  retry: ["failed"],
  reschedule: ["ready", "scheduled", "failed"],
  complete: ["ready", "scheduled", "failed"],
  fail: ["ready", "scheduled"],
  remove: ["ready", "scheduled", "failed"],
  cancel: ["ready", "scheduled", "running"],
};

/** Options of a change by filter would not be followed, not even `dryRun`. */
function checkNone(action: OperationAction, options: unknown): void {
  if (options === undefined) return;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${METHODS[action]}() takes options such as \`dryRun\` with a filter only, not with the ids of jobs.`,
  );
}

/** Reads the filter of a bulk change. Throws `HOWDAH_OPTION_INVALID` when it has no condition. */
export function readBulkFilter(action: OperationAction, given: unknown): queries.JobSelection {
  const shape = { ...FILTER_OPTIONS, state: oneOf(CHANGED_STATES[action]) };
  const filter = toFilter(readOptions(METHODS[action], given, shape));
  if (filter.state === "failed" && !CHANGED_STATES[action].includes("failed"))
    throw new HowdahError(
      "HOWDAH_OPTION_INVALID",
      `${METHODS[action]}() does not change jobs that failed for good, so \`failedSince\` and \`failedUntil\` find none.`,
    );
  if (Object.entries(filter).some(([name, value]) => name !== "payload" || value !== "{}")) return filter;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    `${METHODS[action]}() takes a filter that says which jobs, such as \`{ task: "send_email" }\`: without one it would be all.`,
  );
}
