import { toDate } from "../../job/row.ts";
import { readReport } from "../../job/worker-report.ts";
import type { Executor } from "../../postgres/driver.ts";
import { type JobFactsRecord, readJobFacts, type WorkerFactsRecord } from "../../postgres/queries/job-facts.ts";
import type { Schema } from "../../postgres/schema.ts";
import { toMetadata } from "../workers.ts";
import type { JobFacts, WorkerFacts } from "./facts.ts";
import type { JobReason } from "./reason.ts";
import { reasonsOf } from "./reasons.ts";

/** Says why a job does not run, or what has become of it. */
export async function explainJob(
  { executor, schema }: { readonly executor: Executor; readonly schema: Schema },
  id: string,
): Promise<JobExplanation> {
  const record = await readJobFacts(executor, schema, id);
  return { id, reasons: reasonsOf(toFacts(id, record)), asOf: toDate(record.now) };
}

export type { JobReason, JobReasonCode } from "./reason.ts";

/** Why a job does not run, or what has become of it. */
export interface JobExplanation {
  readonly id: string;
  /** At least one: everything that is in the way, what counts first on top. */
  readonly reasons: readonly JobReason[];
  /** By the database's clock. */
  readonly asOf: Date;
}

function toFacts(id: string, { now, job, workers, idleWorkers }: JobFactsRecord): JobFacts {
  return {
    id,
    now: toDate(now),
    job: job && {
      ...job,
      runAt: toDate(job.runAt),
      taskPausedUntil: job.taskPausedUntil === null ? null : toDate(job.taskPausedUntil),
      queuePausedUntil: job.queuePausedUntil === null ? null : toDate(job.queuePausedUntil),
    },
    workers: workers.map(toWorkerFacts),
    idleWorkers,
  };
}

function toWorkerFacts({ metadata: stored, beat, ...worker }: WorkerFactsRecord): WorkerFacts {
  const metadata = toMetadata(stored);
  const report = readReport(metadata, toDate(beat));
  // A worker of 0.1.0 has stored its tasks when it registered.
  const known = Array.isArray(metadata?.["tasks"])
    ? metadata["tasks"].filter((task) => typeof task === "string")
    : null;
  return { ...worker, report, tasks: known };
}
