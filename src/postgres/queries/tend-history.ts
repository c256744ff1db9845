import type { Executor } from "../driver.ts";
import type { Schema } from "../schema.ts";

/** Does the next thing that the history needs. What it does beside others stands at the function in `new-partitions.sql`. */
export async function tendHistory(
  { executor, schema, lost }: TendTarget,
  { atOnce, timeoutMs }: { readonly atOnce: boolean; readonly timeoutMs: number },
): Promise<TendAnswer> {
  // $1 although another has done so a moment ago
  const text = `select done, next_ms from ${schema.of("_howdah_tend_history_v1")}($1::pg_catalog.bool)`;
  const [[done = null, nextMs] = []] = (await executor.query({ text, values: [String(atOnce)], timeoutMs, lost })).rows;
  return { done, nextMs: Number(nextMs) };
}

/** Where the history is. */
export interface TendTarget {
  readonly executor: Executor;
  readonly schema: Schema;
  /** Aborted when the answer is not wanted any more, see `lost` of a query. */
  readonly lost?: AbortSignal | undefined;
}

/** What was done of it. */
export interface TendAnswer {
  /** `made _howdah_history_7_20300131`; null when there was nothing to do. */
  readonly done: string | null;
  /** In how long there may be something again. */
  readonly nextMs: number;
}
