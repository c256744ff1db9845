import type { Executor } from "../driver.ts";
import { numberArray } from "../literal.ts";
import type { Schema } from "../schema.ts";

/**
 * Notes that jobs are awaited, and answers what became of those that have ended,
 * or are not known. What this does beside others stands at `_howdah_await_v1`.
 */
export async function awaitJobs({ executor, schema }: AwaitTarget, jobIds: readonly string[]): Promise<EndedJob[]> {
  // $1 job ids
  const text = `select id, state, result, error, task from ${schema.of("_howdah_await_v1")}($1::pg_catalog.int8[])`;
  const { rows } = await executor.query({ name: "howdah_await_1", text, values: [numberArray(jobIds)] });
  return rows.map(([id, state, result = null, error = null, task = null]) => ({
    id: id ?? "",
    state: STATES[state ?? ""] ?? "unknown",
    result,
    error,
    task,
  }));
}

/** The channel on which clients are told which awaited jobs have ended. */
export const DONE_CHANNEL = "howdah:done";

/** Where jobs are awaited. */
export interface AwaitTarget {
  readonly executor: Executor;
  readonly schema: Schema;
}

/** What became of a job. */
export interface EndedJob {
  readonly id: string;
  readonly state: EndedState;
  /** What its handler returned, as JSON. */
  readonly result: string | null;
  /** Why it failed or was cancelled, or why its result is missing. */
  readonly error: string | null;
  /** Its task; null when that is not known. */
  readonly task: string | null;
}

/** `unknown`: there is no such job, and nothing is kept of it. */
export type EndedState = "completed" | "failed" | "cancelled" | "removed" | "unknown";

const STATES: Readonly<Record<string, EndedState>> = {
  c: "completed",
  f: "failed",
  x: "cancelled",
  r: "removed",
};

/** Reads which jobs a notification says have ended; none for one of another schema. */
export function readDone(payload: string, schemaName: string): readonly string[] {
  try {
    const { schema, ids } = JSON.parse(payload) as { readonly schema?: unknown; readonly ids?: unknown };
    return schema === schemaName && Array.isArray(ids) ? ids.map(String) : [];
  } catch {
    // Anyone may notify.
    return [];
  }
}
