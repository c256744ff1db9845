import type { Executor } from "../../driver.ts";
import { textArray } from "../../literal.ts";
import type { Schema } from "../../schema.ts";

/** Deletes up to `limit` jobs that failed for good and are not locked. Returns how many. */
export function deleteExhausted(target: CleanUpTarget, limit: number): Promise<number> {
  // $1 limit
  return removed(target, "_howdah_delete_exhausted_v1($1)", [String(limit)]);
}

/** Where to clean up. */
export interface CleanUpTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/**
 * Deletes up to `limit` tasks that no job uses, except those to keep. Returns
 * how many. Adds wait for it; it gives up after a second of waiting for them (55P03).
 */
export function cleanUpTasks(target: CleanUpTarget, keep: readonly string[], limit: number): Promise<number> {
  // $1 identifiers to keep   $2 limit
  return removed(target, "_howdah_clean_up_tasks_v1($1, $2)", [textArray(keep), String(limit)]);
}

/** Deletes up to `limit` queues that are unlocked and that no job uses; otherwise as {@link cleanUpTasks}. */
export function cleanUpQueues(target: CleanUpTarget, limit: number): Promise<number> {
  // $1 limit
  return removed(target, "_howdah_clean_up_queues_v1($1)", [String(limit)]);
}

async function removed({ executor, schema }: CleanUpTarget, call: string, values: string[]): Promise<number> {
  const { rows } = await executor.query({ text: `select ${schema.quoted}.${call}`, values });
  return Number(rows[0]?.[0]);
}
