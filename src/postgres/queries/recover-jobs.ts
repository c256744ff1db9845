import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/**
 * Gives back every job and queue that is locked under `workerId` and returns
 * how many jobs that were. Scans the table: no index could be kept on the
 * column without making every claim slower.
 *
 * Only for ids that nobody claims under any more. May be repeated.
 */
export async function recoverJobs(executor: Executor, schema: Schema, workerId: string): Promise<number> {
  const text = `select ${schema.of("recover_dead_worker_jobs")}($1::text[])`;
  const { rows } = await executor.query({ text, values: [textArray([workerId])] });
  return Number(rows[0]?.[0] ?? 0);
}
