import type { Cell, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import { jobColumns, jobNames, type JobRecord, toJobRecord } from "./job-columns.ts";
import type { SweepTarget } from "./sweep.ts";

/** Unlocks jobs of dead workers and tells the living. */
export async function recoverDead({ executor, schema }: SweepTarget, request: RecoverRequest): Promise<RecoverAnswer> {
  const { dead, delayMs, olderMs, quantity, verdicts, skip = [] } = request;
  const parallel = (cell: (verdict: JobVerdict) => string | number | null): string | null =>
    verdicts ? numberArray(verdicts.map((verdict) => cell(verdict) ?? "null")) : null;
  const text = `
select kind, id, worker, task, attempts, failed, state, message
from ${schema.of("_howdah_recover_v1")}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`;
  const { rows } = await executor.query({
    text,
    values: [
      textArray(dead),
      String(Math.round(delayMs)),
      olderMs === null ? null : String(Math.round(olderMs)),
      String(quantity),
      parallel(({ id }) => id),
      parallel(({ action }) => action),
      parallel(({ runAt }) => runAt),
      parallel(({ attempts }) => attempts),
      verdicts ? textArray(verdicts.map(({ message }) => message)) : null,
      skip.length > 0 ? numberArray(skip) : null,
    ],
  });
  const jobs = rows.filter(([kind]) => kind === "recovered");
  const refused = rows.filter(([kind]) => kind === "refused");
  return {
    jobs: jobs.map(toRecoveredJob),
    refused: refused.map(([, id, workerId, , , , state, message]) =>
      toRefusedRow("job", { id, workerId, state, message }),
    ),
    isDone: jobs.length + refused.length === rows.length,
  };
}

/** What becomes of one job, when that is not the usual. */
export interface JobVerdict {
  readonly id: string;
  readonly action: "default" | "reschedule" | "fail";
  /** For `reschedule`, in microseconds. */
  readonly runAt: string | null;
  readonly attempts: number | null;
  readonly message: string | null;
}

/** Which jobs are recovered, and how. */
export interface RecoverRequest {
  readonly dead: readonly string[];
  readonly delayMs: number;
  /** Only locks that are older, without a refund; `null` for the dead. */
  readonly olderMs: number | null;
  readonly quantity: number;
  /** Only these jobs; `undefined` for all. */
  readonly verdicts?: readonly JobVerdict[];
  /** Jobs to leave alone. Default: none. */
  readonly skip?: readonly string[];
}

/** A job that was returned. */
export interface RecoveredJob {
  readonly id: string;
  /** Who had held it. */
  readonly workerId: string;
  readonly task: string;
  readonly attempts: number;
  /** No attempt is left. */
  readonly failed: boolean;
}

/** A row of the dead that a trigger, constraint or policy keeps from being changed, and what PostgreSQL says about it. */
export interface RefusedRow {
  readonly kind: "job" | "queue" | "worker";
  readonly id: string;
  /** Who holds it. */
  readonly workerId: string;
  /** The SQLSTATE; `HWKPT` when it stayed as it was without an error. */
  readonly state: string;
  readonly message: string;
}

/** What a call has recovered. */
export interface RecoverAnswer {
  readonly jobs: readonly RecoveredJob[];
  /** These jobs cannot be returned. */
  readonly refused: readonly RefusedRow[];
  /** Nothing is left; otherwise there is more to do, or another session is at it. */
  readonly isDone: boolean;
}

/** Frees the queues of dead workers that hold none of their jobs any more. Returns how many, and which cannot be freed. */
export async function freeQueues(
  { executor, schema }: SweepTarget,
  dead: readonly string[],
  olderMs: number | null,
): Promise<{ readonly count: number; readonly refused: readonly RefusedRow[] }> {
  const text = `select id, worker, state, message from ${schema.of("_howdah_free_queues_v1")}($1, $2)`;
  const values = [textArray(dead), olderMs === null ? null : String(Math.round(olderMs))];
  const { rows } = await executor.query({ text, values });
  const refused = rows.flatMap(([id, workerId, state, message]) =>
    state === null ? [] : toRefusedRow("queue", { id, workerId, state, message }),
  );
  return { count: rows.length - refused.length, refused };
}

/** Takes workers off the register that hold nothing any more. */
export async function deleteStaleWorkers({ executor, schema }: SweepTarget, dead: readonly string[]): Promise<void> {
  const text = `select ${schema.of("delete_stale_workers")}($1)`;
  await executor.query({ text, values: [textArray(dead)] });
}

/** Notes how far the recovery of a worker has gone; 0 for one that was found alive after all. */
export async function noteSwept({ executor, schema }: SweepTarget, workerId: string, swept: number): Promise<void> {
  // $1 its id   $2 how far. Another sweeper may note the same at the same moment.
  const text = `update ${schema.of("_private_workers")} set _howdah_swept = $2::smallint where id operator(pg_catalog.=) $1::pg_catalog.text`;
  await executor.query({ text, values: [workerId, String(swept)] });
}

/** A holder of locks that is not registered. */
export interface Orphan {
  readonly id: string;
  /** It has the form of our ids. */
  readonly isOurs: boolean;
}

/** Looks for unregistered holders, unless a worker of this schema has done so within `intervalMs`. */
export async function findOrphans(
  { executor, schema }: SweepTarget,
  age: { readonly intervalMs: number; readonly oursMs: number; readonly foreignMs: number },
): Promise<readonly Orphan[]> {
  const text = `select id, is_ours from ${schema.of("_howdah_orphans_v1")}($1, $2, $3)`;
  const values = [age.intervalMs, age.oursMs, age.foreignMs].map((ms) => String(Math.round(ms)));
  const { rows } = await executor.query({ text, values });
  return rows.map(([id, isOurs]) => ({ id: id ?? "", isOurs: isOurs === "t" }));
}

/** Reads the jobs that these workers hold, whole, by id. */
export async function listHeldJobs(
  { executor, schema }: SweepTarget,
  workerIds: readonly string[],
  page: { readonly after: string; readonly limit: number },
): Promise<readonly JobRecord[]> {
  // $1 worker ids   $2 after this id   $3 how many
  const text = `
select ${jobColumns(schema)}
from ${schema.of("_private_jobs")} as job${jobNames(schema)}
where job.locked_by operator(pg_catalog.=) any($1::pg_catalog.text[]) and job.id operator(pg_catalog.>) $2::bigint
order by job.id limit $3::integer`;
  const values = [textArray(workerIds), page.after, String(page.limit)];
  return (await executor.query({ text, values })).rows.map(toJobRecord);
}

/** What was refused, as an answer has it. */
export function toRefusedRow(
  kind: RefusedRow["kind"],
  { id, workerId, state, message }: Readonly<Record<Exclude<keyof RefusedRow, "kind">, Cell | undefined>>,
): RefusedRow {
  return { kind, id: id ?? "", workerId: workerId ?? "", state: state ?? "", message: message ?? "" };
}

function toRecoveredJob([, id, worker, task, attempts, failed]: Row): RecoveredJob {
  return {
    id: id ?? "",
    workerId: worker ?? "",
    task: task ?? "",
    attempts: Number(attempts),
    failed: failed === "t",
  };
}
