import { HowdahError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { toDate, toJob } from "../job/row.ts";
import {
  type AuditOrder,
  type AuditOutcome,
  type AuditRecord,
  type AuditRequest,
  beginAudit,
  listAudit,
  listOperationStarts,
  settleAudit,
} from "../postgres/queries/audit.ts";
import { getJob, getJobsById } from "../postgres/queries/list-jobs.ts";
import type { JobSelection } from "../postgres/queries/job-selection.ts";
import {
  getOperation,
  listOperations,
  readNewestJobId,
  type OperationAction,
  type OperationChange,
  type OperationRecord,
  setOperationState,
  startOperation,
} from "../postgres/queries/operations.ts";
import { custom } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { type BulkPreview, previewOperation } from "./bulk-preview.ts";
import { type BulkOperation, readBulkFilter, toBulkOperation } from "./bulk.ts";
import { type BulkRunner, unknownOperation } from "./bulk-runner.ts";
import { type ErrorList, readErrors } from "./errors-by-line.ts";
import { type JobCursor, readCursor } from "./job-cursor.ts";
import { FILTER_OPTIONS, type JobFilter, toFilter } from "./job-filter.ts";
import { checkJobId, checkJobIds } from "./job-ids.ts";
import { type QueueList, type QueueListOptions, readQueueList } from "./inspect.ts";
import { readReschedule, type RescheduleOptions } from "./manage.ts";
import { readReason } from "./option-readers.ts";
import { type JobList, readJobList } from "./read-job-list.ts";
import type { OpenCalls } from "./open-calls.ts";
import type { Session } from "./session.ts";

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
  /** The jobs with these ids that there are, by id; never from a replica, because it decides what is changed. */
  getJobs(ids: readonly string[]): Promise<Job[]>;
  /** As `listJobs`, within a scope. */
  listJobs(filter: JobFilter, scope: Scope, page: JobPageOrder): Promise<JobList>;
  /** As `listErrors`, within a scope. */
  listErrors(filter: Pick<JobFilter, "task" | "queueName">, scope: Scope, limit: number): Promise<ErrorList>;
  /** As `listQueues`; `names` are the only ones. */
  listQueues(options: QueueListOptions & { readonly limit: number }, names?: readonly string[]): Promise<QueueList>;
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
  /** Writes that a change begins, and returns the id of the entry. */
  beginAudit(order: AuditOrder): Promise<string>;
  /** Writes how it ended. */
  settleAudit(id: string, outcome: AuditOutcome): Promise<void>;
  /** The entries that began these operations. */
  listOperationStarts(operationIds: readonly string[]): Promise<AuditEntry[]>;
  /** The newest entries first. */
  listAudit(request: AuditRequest): Promise<AuditEntry[]>;
}

/** Which tasks and queues someone may see; what is left out does not matter. */
export type Scope = Pick<JobSelection, "tasks" | "queueNames">;

/** A job and its payload as it is stored. */
export interface StoredPayload {
  readonly job: Job;
  /** JSON. */
  readonly payload: string;
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
export function giveOperatorAccess(client: object, ground: AccessGround): void {
  ACCESS.set(client, createOperatorAccess(ground));
}

/** What a client stands on. */
export interface AccessGround {
  readonly session: Session;
  readonly calls: OpenCalls;
  readonly runner: BulkRunner;
}

const ACCESS = new WeakMap<object, OperatorAccess>();

function createOperatorAccess({ session, calls, runner }: AccessGround): OperatorAccess {
  const { schema } = session;
  const reading = { executor: session.reads, schema };
  const primary = { executor: session.primaryReads, schema };
  return {
    schemaName: schema.name,
    ...calls.awaited({
      async getStoredJob(id: string) {
        const found = await getJob(session, schema, checkJobId(id));
        return found && { job: toJob(found), payload: found.payload ?? "null" };
      },
      async getJobs(ids: readonly string[]) {
        return (await getJobsById(primary, checkJobIds(ids))).map((record) => toJob(record));
      },
      async listJobs(filter: JobFilter, scope: Scope, { after, isFresh, ...page }: JobPageOrder) {
        const cursor = readOptions("listJobs", { after }, { after: custom<JobCursor>(readCursor) }).after;
        const source = isFresh === true ? primary : reading;
        return readJobList(source, { ...readFilter(filter), ...scope }, { ...page, after: cursor });
      },
      async listErrors(filter: Pick<JobFilter, "task" | "queueName">, scope: Scope, limit: number) {
        return readErrors(reading, { ...readFilter(filter), ...scope }, limit);
      },
      async listQueues({ after, limit, ...filter }: QueueListOptions & { limit: number }, names?: readonly string[]) {
        return readQueueList(reading, { ...filter, names }, { after, limit });
      },
      async toOrder({ action, filter, reason, to }: OrderRequest, scope: Scope) {
        const change = {
          ...readOptions("jobs", { reason }, { reason: custom(readReason) }),
          ...(action === "reschedule" ? { reschedule: readReschedule(to) } : {}),
        };
        const selection = { ...readBulkFilter(action, filter), ...scope };
        return { action, filter: selection, change, newestId: await readNewestJobId(primary) };
      },
      async preview(order: BoundOrder) {
        return previewOperation(reading, order);
      },
      async countUntouched({ filter, newestId }: BoundOrder, state: Job["state"]) {
        return previewOperation(reading, { filter: { ...filter, state }, newestId, mostPages: 4 });
      },
      ...createRecords(session),
      async carryOut(id: string) {
        await runner.run(checkJobId(id, "The id", "an operation"));
      },
    }),
  };
}

type RecordNames =
  | "startOperation"
  | "resumeOperation"
  | "getOperation"
  | "listOperations"
  | "beginAudit"
  | "settleAudit"
  | "listOperationStarts"
  | "listAudit";

/** What is stored of changes: operations, and the record. */
function createRecords(session: Session): Pick<OperatorAccess, RecordNames> {
  const { schema } = session;
  const primary = { executor: session.primaryReads, schema };
  const writing = { executor: session, schema };
  return {
    async startOperation(order: BoundOrder) {
      return toStoredOperation(await startOperation(writing, order));
    },
    async resumeOperation(id: string) {
      await setOperationState(writing, checkJobId(id, "The id", "an operation"), { from: ["paused"], to: "running" });
    },
    async getOperation(id: string) {
      const checked = checkJobId(id, "The id", "an operation");
      return toStoredOperation((await getOperation(writing, checked)) ?? raise(unknownOperation(checked)));
    },
    async listOperations() {
      return (await listOperations(session, schema, 100)).map(toStoredOperation);
    },
    async beginAudit(order: AuditOrder) {
      return beginAudit(writing, order);
    },
    async settleAudit(id: string, outcome: AuditOutcome) {
      return settleAudit(writing, id, outcome);
    },
    async listOperationStarts(operationIds: readonly string[]) {
      return (await listOperationStarts(primary, operationIds)).map((entry) => ({ ...entry, at: toDate(entry.at) }));
    },
    async listAudit(request: AuditRequest) {
      return (await listAudit(primary, request)).map((entry) => ({ ...entry, at: toDate(entry.at) }));
    },
  };
}

function toStoredOperation(record: OperationRecord): StoredOperation {
  return { ...toBulkOperation(record), filter: record.filter };
}

function readFilter(filter: JobFilter): JobSelection {
  return toFilter(readOptions("listJobs", filter, FILTER_OPTIONS));
}

function raise(error: HowdahError): never {
  throw error;
}
