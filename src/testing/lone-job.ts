import { prepareJob, type PreparedJob } from "../job/add/prepare-job.ts";
import { ClaimedJob } from "../job/claimed-job.ts";
import type { JobSpec } from "../job/job.ts";
import type { AnyTask } from "../job/task.ts";
import type { AnyTaskDeclaration } from "../job/task-declaration.ts";
import { type ClaimedExtras, ClaimedRow } from "../postgres/queries/claimed-row.ts";
import type { Clock } from "../runtime/clock.ts";
import { timeOf } from "./recorded-adds.ts";

/**
 * A job as its first claim answers it, without a database: what would be added
 * for this payload. Rejects as `addJob` does; one that is `asStored` is asked
 * neither by the schema nor by the kind of its task.
 */
export async function claimLoneJob(task: AnyTask, payload: unknown, order: LoneJobOrder): Promise<ClaimedJob> {
  const { spec, asStored, clock } = order;
  const declared = asStored ? asTaskOfAnything(task) : task;
  const prepared = await prepareJob({ task: declared, payload, spec });
  return new ClaimedJob(new ClaimedRow(toRow(prepared, order)), {
    workerId: "test",
    claimedAt: String(clock.now() * 1000),
    claimedAtUs: clock.now() * 1000,
    // Never too old to start.
    sentAt: Number.POSITIVE_INFINITY,
    taskIdentifiers: new Map([[TASK_ID, prepared.identifier]]),
  });
}

/** How a job is made. */
export interface LoneJobOrder {
  readonly spec: JobSpec | undefined;
  readonly attempt: number;
  readonly lastError: string | undefined;
  readonly asStored: boolean;
  readonly clock: Clock;
}

const TASK_ID = 1;

/** What a stored job is made of had been checked before. */
function asTaskOfAnything({ identifier, defaults }: AnyTask): AnyTaskDeclaration {
  return { kind: "single", identifier, defaults };
}

/** The columns of a claimed row, as PostgreSQL writes them. */
function toRow(prepared: PreparedJob, { attempt, lastError, clock }: LoneJobOrder): (string | null)[] {
  const { queueName, priority, maxAttempts, payload, jobKey, flags, timeoutMs } = prepared;
  const now = clock.now();
  const createdAt = String(now * 1000);
  const runAt = String(timeOf(prepared.runAt, now) * 1000);
  const extras: ClaimedExtras = {
    key: jobKey,
    flags: flags && Object.fromEntries(flags.map((flag) => [flag, true])),
    lastError: lastError ?? null,
    revision: 0,
    createdAt,
    updatedAt: createdAt,
    timeoutMs,
    recoveries: 0,
  };
  const queueId = queueName === null ? null : "1";
  const numbers = [priority ?? 0, runAt, attempt, maxAttempts ?? 25].map(String);
  return ["job", "1", String(TASK_ID), queueId, queueName, ...numbers, payload, JSON.stringify(extras)];
}
