import type { HistoryTarget } from "./history.ts";

/** Returns the newest failed attempts of a job, in their order. */
export async function listAttempts(
  { executor, schema }: HistoryTarget,
  id: string,
  limit: number,
): Promise<AttemptRecord[]> {
  const us = schema.of("_howdah_us");
  // $1 job id   $2 limit
  const text = `select ${us}(attempt.at), attempt.attempt, attempt.worker, ${us}(attempt.started_at), attempt.error, attempt.stack
from ${schema.of("_howdah_attempts")} as attempt
where attempt.job_id operator(pg_catalog.=) $1::bigint order by attempt.at desc, attempt.attempt desc limit $2::int`;
  const { rows } = await executor.query({ name: "list_attempts", text, values: [id, String(limit)] });
  return rows.toReversed().map(([at, number, workerId = null, startedAt = null, error = null, stack = null]) => ({
    at: at ?? "0",
    attempt: Number(number),
    workerId,
    startedAt,
    error,
    stack,
  }));
}

/**
 * Deletes failed attempts of jobs that are gone, a number of jobs at a time, if no worker has in this time. Returns how
 * many. What it does beside others stands at the function.
 */
export async function sweepAttempts({ executor, schema }: HistoryTarget, intervalMs: number): Promise<number> {
  const text = `select ${schema.of("_howdah_sweep_attempts_v1")}($1)`;
  const { rows } = await executor.query({ text, values: [String(Math.round(intervalMs))] });
  return Number(rows[0]?.[0]);
}

/** A failed attempt. Times are microseconds since 1970. */
export interface AttemptRecord {
  readonly at: string;
  readonly attempt: number;
  readonly workerId: string | null;
  readonly startedAt: string | null;
  readonly error: string | null;
  readonly stack: string | null;
}
