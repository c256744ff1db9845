import type { Executor, Row } from "../driver.ts";
import { numberArray, textArray } from "../literal.ts";
import { quoteLiteral, type Schema } from "../schema.ts";

/** What a statement of a sweeper needs. What it does concurrently with others is described at its function in `000005-recovery.sql`. */
export interface SweepTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** How far the recovery of a worker has gone. */
export const SWEPT = { no: 0, declared: 1, jobsRecovered: 2, queuesFreed: 3 } as const;

/** A registered worker as it looks from outside. */
export interface WorkerSighting {
  readonly workerId: string;
  /** Its last heartbeat in microseconds. */
  readonly beat: string;
  readonly lock: "held" | "lost" | "none";
  /** One of {@link SWEPT}. */
  readonly swept: number;
  /** The process that it runs in, as it was stored. */
  readonly process: string | null;
  /** Its lock was recorded on this server, since it was started. */
  readonly isSameServer: boolean;
}

/** All registered workers, and what tells one server from another, or from itself after a restart. */
export interface WorkerSightings {
  readonly server: string;
  /** Queues may have to be compared with the rules that are stored for them. */
  readonly hasRules: boolean;
  /** Attempts may be recorded of jobs that are gone. */
  readonly hasAttempts: boolean;
  readonly workers: readonly WorkerSighting[];
}

/** Looks at all registered workers. */
export async function lookAtWorkers({ executor, schema }: SweepTarget, timeoutMs: number): Promise<WorkerSightings> {
  const text = `select worker.*, null, ${whatToSweep(schema)} from ${schema.of("_howdah_workers_v1")}() as worker`;
  const { rows } = await executor.query({ name: "howdah_workers_1", text, timeoutMs });
  return readSightings(rows);
}

/** Whether rules of queues were ever stored, and whether attempts are, which no row is read for. */
export function whatToSweep(schema: Schema): string {
  const attempts = quoteLiteral(schema.of("_howdah_attempts"));
  return `(select state.revision operator(pg_catalog.>) 0 from ${schema.of("_howdah_rules_state")} as state),
  pg_catalog.pg_relation_size(${attempts}::pg_catalog.regclass) operator(pg_catalog.>) 0`;
}

/** Reads what `_howdah_workers_v1` answered, one column of the caller, and {@link whatToSweep}. */
export function readSightings(rows: readonly Row[]): WorkerSightings {
  const workers = rows.map(([id, beat, lock, swept, , process = null, same]) => ({
    workerId: id ?? "",
    beat: beat ?? "",
    lock: lock as WorkerSighting["lock"],
    swept: Number(swept),
    process,
    isSameServer: same === "t",
  }));
  return { server: rows[0]?.[4] ?? "", hasRules: rows[0]?.[8] === "t", hasAttempts: rows[0]?.[9] === "t", workers };
}

/**
 * Notes that workers are absent. Returns for how long each has been, in
 * milliseconds, in looks of several processes.
 */
export async function noteAbsences(
  { executor, schema }: SweepTarget,
  seen: readonly Pick<WorkerSighting, "workerId" | "beat">[],
  { longestGapMs, timeoutMs }: { readonly longestGapMs: number; readonly timeoutMs: number },
): Promise<ReadonlyMap<string, number>> {
  // $1 worker ids   $2 their heartbeats in microseconds   $3 longest gap
  const text = `select id, absent_ms from ${schema.of("_howdah_note_absence_v1")}($1::text[], $2::bigint[], $3::bigint)`;
  const ids = textArray(seen.map(({ workerId }) => workerId));
  const values = [ids, numberArray(seen.map(({ beat }) => beat)), String(Math.round(longestGapMs))];
  const { rows } = await executor.query({ text, values, timeoutMs });
  return new Map(rows.map(([id, absentMs]) => [id ?? "", Number(absentMs)]));
}

/** Declares workers dead that have not beaten since they were seen. Returns those that are declared now. */
export async function declareDead(
  { executor, schema }: SweepTarget,
  seen: readonly Pick<WorkerSighting, "workerId" | "beat">[],
): Promise<ReadonlySet<string>> {
  // $1 worker ids   $2 their heartbeats in microseconds
  const text = `select id from ${schema.of("_howdah_declare_dead_v1")}($1, $2)`;
  const values = [textArray(seen.map(({ workerId }) => workerId)), numberArray(seen.map((worker) => worker.beat))];
  const { rows } = await executor.query({ text, values });
  return new Set(rows.map(([id]) => id ?? ""));
}

/** Whether a worker holds a job with one of these flags. */
export async function holdsFlags(
  { executor, schema }: SweepTarget,
  workerId: string,
  flags: readonly string[],
): Promise<boolean> {
  const text = `select ${schema.of("_howdah_holds_flags_v1")}($1, $2)`;
  const { rows } = await executor.query({ text, values: [workerId, textArray(flags)] });
  return rows[0]?.[0] === "t";
}
