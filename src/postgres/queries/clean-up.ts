import type { Executor } from "../driver.ts";
import { textArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/** Where to clean up. */
export interface CleanUpTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** Deletes jobs that failed for good and are not locked. Returns how many. */
export function deleteExhausted(target: CleanUpTarget): Promise<number> {
  return removed(target, "_howdah_delete_exhausted_v1", "");
}

/** Deletes tasks that no job uses, except those with an identifier to keep. Returns how many. */
export function cleanUpTasks(target: CleanUpTarget, keep: readonly string[]): Promise<number> {
  // $1 identifiers to keep
  return removed(target, "_howdah_clean_up_tasks_v1", "$1::text[]", textArray(keep));
}

/** Deletes queues that are unlocked and that no job uses. Returns how many. */
export function cleanUpQueues(target: CleanUpTarget): Promise<number> {
  return removed(target, "_howdah_clean_up_queues_v1", "");
}

async function removed(
  { executor, schema }: CleanUpTarget,
  ...[name, parameters, value]: [name: string, parameters: string, value?: string]
): Promise<number> {
  const text = `select ${schema.of(name)}(${parameters})`;
  const { rows } = await executor.query({ text, ...(value === undefined ? {} : { values: [value] }) });
  return Number(rows[0]?.[0]);
}
