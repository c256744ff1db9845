import type { Row } from "../driver.ts";
import type { Schema } from "../schema.ts";

/** A finished job. Times are microseconds since 1970. */
export interface FinishedRecord {
  readonly id: string;
  readonly finishedAt: string;
  readonly task: string;
  readonly queueName: string | null;
  readonly state: FinishedStateName;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly priority: number;
  readonly createdAt: string;
  readonly runAt: string;
  readonly startedAt: string | null;
  readonly workerId: string | null;
  readonly key: string | null;
  /** JSON; null when it is not kept. */
  readonly payload: string | null;
  /** JSON; null when there is none, or it is not kept. */
  readonly result: string | null;
  readonly error: string | null;
}

/** How a job can have ended. */
export type FinishedStateName = "completed" | "failed" | "cancelled" | "removed";

/** How each is stored. */
export const FINISHED_CODES: Readonly<Record<FinishedStateName, string>> = {
  completed: "c",
  failed: "f",
  cancelled: "x",
  removed: "r",
};

const STATE_NAMES = new Map(Object.entries(FINISHED_CODES).map(([name, code]) => [code, name as FinishedStateName]));

/** What to select of the row `job` to get a finished job, as {@link toFinishedRecord} reads it. */
export function finishedColumns(schema: Schema): string {
  const us = schema.of("_howdah_us");
  return `job.id::pg_catalog.text, ${us}(job.finished_at), job.id::pg_catalog.text as last_id, job.task, job.queue_name,
  job.state::pg_catalog.text, job.attempts, job.max_attempts, job.priority, ${us}(job.created_at), ${us}(job.run_at),
  ${us}(job.started_at), job.worker, job.key, job.payload, job.result, job.error`;
}

/** Reads a row with the columns of {@link finishedColumns}. */
export function toFinishedRecord([
  id,
  finishedAt,
  ,
  task,
  queueName = null,
  state,
  attempts,
  maxAttempts,
  priority,
  createdAt,
  runAt,
  startedAt = null,
  workerId = null,
  key = null,
  payload = null,
  result = null,
  error = null,
]: Row): FinishedRecord {
  return {
    id: id ?? "",
    finishedAt: finishedAt ?? "0",
    task: task ?? "",
    queueName,
    state: STATE_NAMES.get(state ?? "") ?? "completed",
    attempts: Number(attempts),
    maxAttempts: Number(maxAttempts),
    priority: Number(priority),
    createdAt: createdAt ?? "0",
    runAt: runAt ?? "0",
    startedAt,
    workerId,
    key,
    payload,
    result,
    error,
  };
}
