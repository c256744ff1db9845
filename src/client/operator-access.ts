import { HowdahError } from "../errors.ts";
import type { FinishedJob } from "../job/finished-job.ts";
import type { Job } from "../job/job.ts";
import type { AuditOrder, AuditOutcome, AuditPage, AuditRecord, AuditRequest } from "../postgres/queries/audit.ts";
import type { JobSelection } from "../postgres/queries/job-selection.ts";
import type { OperationAction, OperationChange } from "../postgres/queries/operations.ts";
import type { TaskCounts } from "../postgres/queries/samples.ts";
import type { BulkPreview } from "./bulk-preview.ts";
import type { BulkOperation } from "./bulk.ts";
import type { ErrorList } from "./errors-by-line.ts";
import type { JobFilter } from "./job-filter.ts";
import type { QueueList, QueueListOptions } from "./inspect.ts";
import type { RescheduleOptions, RetryOptions } from "./manage.ts";
import type { PoolLoad } from "./pool-load.ts";
import type { JobList } from "./read-job-list.ts";

/**
 * What the admin API needs of a client beyond its methods: lists for people who
 * may see some tasks and queues only, payloads as they are stored, operations
 * on the jobs of a preview, and the record of what people did. Everything has
 * the bounds of the methods of the client.
 */
export interface OperatorAccess {
  readonly schemaName: string;
  /** The job with this id and its payload as JSON; `undefined` when it is gone. */
  getStoredJob(id: string): Promise<StoredPayload | undefined>;
  /** The finished job with this id, with its payload and result as JSON; `undefined` when none is kept. */
  getFinishedJob(id: string): Promise<StoredFinishedJob | undefined>;
  /** The jobs with these ids that there are, by id; never from a replica, because it decides what is changed. */
  getJobs(ids: readonly string[]): Promise<Job[]>;
  /** As `listJobs`, within a scope. */
  listJobs(filter: JobFilter, scope: Scope, page: JobPageOrder): Promise<JobList>;
  /** As `listErrors`, within a scope. */
  listErrors(filter: Pick<JobFilter, "task" | "queueName">, scope: Scope, limit: number): Promise<ErrorList>;
  /** As `listQueues`; `names` are the only ones. */
  listQueues(options: QueueListOptions & { readonly limit: number }, names?: readonly string[]): Promise<QueueList>;
  /** The pools with these names. */
  listPools(names: readonly string[]): Promise<PoolLoad[]>;
  /** The workers that hold a queue, or anything of it when it has rules; never from a replica. */
  listQueueHolders(name: string): Promise<string[]>;
  /** The order for an operation, checked. Rejects as the bulk methods do. */
  toOrder(request: OrderRequest, scope: Scope): Promise<BoundOrder>;
  /** What an order would change now. */
  preview(order: BoundOrder): Promise<BulkPreview>;
  /** How many of the jobs of an order are in these states; counts in four pages at most. */
  countUntouched(order: BoundOrder, state: Job["state"]): Promise<BulkPreview>;
  /** Stores the operation of an order; `carryOut` does what it says. */
  startOperation(order: BoundOrder): Promise<StoredOperation>;
  /** Lets an operation that is paused go on, and carries out nothing of it. */
  resumeOperation(id: string): Promise<void>;
  /** Carries an operation out until it has ended, or was paused or stopped: then nothing of it. */
  carryOut(id: string): Promise<void>;
  /** Rejects with `HOWDAH_OPERATION_UNKNOWN`. */
  getOperation(id: string): Promise<StoredOperation>;
  /** A hundred, those that have not ended first. */
  listOperations(): Promise<StoredOperation[]>;
  /** As `listTaskSamples`, with what its quantiles are made of. */
  listTaskCounts(request: TaskCountsRequest): Promise<TaskCountsAt[]>;
  /** Writes that a change begins, and returns the id of the entry; `undefined` when its preview was begun before. */
  beginAudit(order: AuditOrder): Promise<string | undefined>;
  /** Writes how it ended. */
  settleAudit(id: string, outcome: AuditOutcome): Promise<void>;
  /** The entries that began these operations. */
  listOperationStarts(operationIds: readonly string[]): Promise<AuditEntry[]>;
  /** One page of entries, the newest first. */
  listAudit(request: AuditRequest): Promise<AuditPage<AuditEntry>>;
}

/** Which tasks and queues someone may see; what is left out does not matter. */
export type Scope = Pick<JobSelection, "tasks" | "queueNames">;

/** A job and its payload as it is stored. */
export interface StoredPayload {
  readonly job: Job;
  /** JSON. */
  readonly payload: string;
}

/** A finished job, and what is kept of it as it is stored. */
export interface StoredFinishedJob {
  readonly job: FinishedJob;
  /** JSON; null when it is not kept. */
  readonly payload: string | null;
  readonly result: string | null;
}

/** Which page of a list. */
export interface JobPageOrder {
  readonly isBackward: boolean;
  readonly after: string | undefined;
  readonly limit: number;
  /** Without them the payload of each job is null. Default true. */
  readonly withPayloads?: boolean;
  /** Never from a replica. Default false. */
  readonly isFresh?: boolean;
}

/** What someone asks to be done. */
export interface OrderRequest {
  readonly action: OperationAction;
  readonly filter: JobFilter;
  readonly reason?: string | undefined;
  readonly to?: RescheduleOptions | undefined;
  readonly again?: RetryOptions | undefined;
}

/** An operation on the jobs that there were at one moment. */
export interface BoundOrder {
  readonly action: OperationAction;
  readonly filter: JobSelection;
  readonly change: OperationChange;
  /** Jobs with a larger id were added later. */
  readonly newestId: string;
}

/** An operation with its filter. */
export interface StoredOperation extends BulkOperation {
  readonly filter: JobSelection;
}

/** Which minutes to return. */
export interface TaskCountsRequest {
  readonly since: Date;
  readonly limit: number;
  readonly task?: string | undefined;
}

/** What the handlers of a task did in a minute. */
export interface TaskCountsAt extends TaskCounts {
  readonly at: Date;
}

/** What someone did. */
export interface AuditEntry extends Omit<AuditRecord, "at"> {
  readonly at: Date;
}

export type { JobSelection } from "../postgres/queries/job-selection.ts";
export type { OperationAction } from "../postgres/queries/operations.ts";

/** The access that belongs to a client. Throws `HOWDAH_OPTION_INVALID` for what is no client of this package. */
export function operatorAccessOf(client: object): OperatorAccess {
  const access = ACCESS.get(client);
  if (access) return access;
  throw new HowdahError(
    "HOWDAH_OPTION_INVALID",
    "`client` must be what createClient() or worker.client of this copy of the package returned, not a copy or a stand-in of it.",
  );
}

/** Gives a client its access. */
export function giveOperatorAccess(client: object, access: OperatorAccess): void {
  ACCESS.set(client, access);
}

const ACCESS = new WeakMap<object, OperatorAccess>();
