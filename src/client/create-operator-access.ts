import type { HowdahError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { toDate, toJob } from "../job/row.ts";
import {
  type AuditOrder,
  type AuditOutcome,
  type AuditRequest,
  beginAudit,
  listAudit,
  listOperationStarts,
  settleAudit,
} from "../postgres/queries/audit.ts";
import { getFinishedJob } from "../postgres/queries/history.ts";
import { getJob, getJobsById } from "../postgres/queries/list-jobs.ts";
import type { JobSelection } from "../postgres/queries/job-selection.ts";
import {
  getOperation,
  listOperations,
  readNewestJobId,
  type OperationRecord,
  setOperationState,
  startOperation,
} from "../postgres/queries/operations.ts";
import { listQueueHolders } from "../postgres/queries/queue-holders.ts";
import { listTaskSamples } from "../postgres/queries/samples.ts";
import { custom } from "../runtime/option-kinds.ts";
import { readOptions } from "../runtime/options.ts";
import { previewOperation } from "./bulk-preview.ts";
import { readBulkFilter, toBulkOperation } from "./bulk.ts";
import { type BulkRunner, unknownOperation } from "./bulk-runner.ts";
import { toFinishedJob } from "./history.ts";
import { readErrors } from "./errors-by-line.ts";
import { type JobCursor, readCursor } from "./job-cursor.ts";
import { FILTER_OPTIONS, type JobFilter, toFilter } from "./job-filter.ts";
import { checkJobId, checkJobIds } from "./job-ids.ts";
import { type QueueListOptions, readQueueList } from "./inspect.ts";
import { readPoolLoads } from "./pool-load.ts";
import { readReschedule, RETRY_OPTIONS, toRetry } from "./manage.ts";
import { readReason } from "./option-readers.ts";
import { readJobList } from "./read-job-list.ts";
import type { OpenCalls } from "./open-calls.ts";
import type { Session } from "./session.ts";
import type {
  BoundOrder,
  JobPageOrder,
  OperatorAccess,
  OrderRequest,
  Scope,
  StoredOperation,
  TaskCountsRequest,
} from "./operator-access.ts";

/** Makes the access that a client gives to the admin API. */
export function createOperatorAccess({ session, calls, runner }: AccessGround): OperatorAccess {
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
      async listPools(names: readonly string[]) {
        return readPoolLoads(reading, names);
      },
      async listQueueHolders(name: string) {
        return listQueueHolders(primary, name);
      },
      async toOrder({ action, filter, reason, to, again }: OrderRequest, scope: Scope) {
        const change = {
          ...readOptions("jobs", { reason }, { reason: custom(readReason) }),
          ...(action === "reschedule" ? { reschedule: readReschedule(to) } : {}),
          ...(action === "retry" ? { retry: toRetry(readOptions("retryJobs", again, RETRY_OPTIONS)) } : {}),
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
      async listTaskCounts({ since, task, limit }: TaskCountsRequest) {
        const counts = await listTaskSamples(reading, { since: since.toISOString(), task, limit });
        return counts.map((one) => ({ ...one, at: toDate(one.at) }));
      },
      ...createRecords(session),
      async carryOut(id: string) {
        await runner.run(checkJobId(id, "The id", "an operation"));
      },
    }),
  };
}

/** What a client stands on. */
export interface AccessGround {
  readonly session: Session;
  readonly calls: OpenCalls;
  readonly runner: BulkRunner;
}

type RecordNames =
  | "getFinishedJob"
  | "startOperation"
  | "resumeOperation"
  | "getOperation"
  | "listOperations"
  | "beginAudit"
  | "settleAudit"
  | "listOperationStarts"
  | "listAudit";

/** What is stored beside jobs: those that have ended, operations, and the record of changes. */
function createRecords(session: Session): Pick<OperatorAccess, RecordNames> {
  const { schema } = session;
  const primary = { executor: session.primaryReads, schema };
  const writing = { executor: session, schema };
  return {
    async getFinishedJob(id: string) {
      const record = await getFinishedJob({ executor: session, schema }, checkJobId(id));
      return record && { job: toFinishedJob(record), payload: record.payload, result: record.result };
    },
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
      const { entries, next } = await listAudit(primary, request);
      return { entries: entries.map((entry) => ({ ...entry, at: toDate(entry.at) })), next };
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
