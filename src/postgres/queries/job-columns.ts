import type { Row } from "../driver.ts";
import type { Schema } from "../schema.ts";

/**
 * What to select to get a whole job, as {@link toJobRecord} reads it. The row of
 * the job is called `job`; `jobNames` brings the row of its task and of its queue.
 * Without payloads these are null, and not read.
 */
export function jobColumns(schema: Schema, withPayload = true): string {
  const us = schema.of("_howdah_us");
  return `
  job.id, coalesce(task.identifier, ''), queue.queue_name, ${withPayload ? "job.payload" : "null"}, job.priority, ${us}(job.run_at),
  job.attempts, job.max_attempts, job.last_error, ${us}(job.created_at), ${us}(job.updated_at),
  job.key, job.revision, job.flags, ${us}(job.locked_at), job.locked_by, ${jobState}, job._howdah_timeout_ms`;
}

/** How many columns these are. */
export const WHOLE_JOB_COLUMNS = 18;

/** A stored job. Times are microseconds since 1970. */
export interface JobRecord {
  readonly id: string;
  readonly task: string | null;
  readonly queueName: string | null;
  /** JSON; null when it is the one that was given. */
  readonly payload: string | null;
  readonly priority: number;
  readonly runAt: string;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly key: string | null;
  readonly revision: number;
  /** A JSON object whose keys they are; null for none. */
  readonly flags: string | null;
  readonly lockedAt: string | null;
  readonly lockedBy: string | null;
  readonly state: JobStateName;
  readonly timeoutMs: number | null;
  /** What its handler has said last; only where it was asked for, and there is one. */
  readonly progress?: { readonly value: string; readonly at: string };
}

/** Reads a row with the columns of {@link jobColumns}. */
export function toJobRecord([
  id,
  task,
  queueName,
  payload,
  priority,
  runAt,
  attempts,
  maxAttempts,
  lastError,
  createdAt,
  updatedAt,
  key,
  revision,
  flags,
  lockedAt,
  lockedBy,
  state,
  timeoutMs,
]: Row): JobRecord {
  return {
    id: id ?? "",
    task: task ?? null,
    queueName: queueName ?? null,
    payload: payload ?? null,
    priority: Number(priority),
    runAt: runAt ?? "",
    attempts: Number(attempts),
    maxAttempts: Number(maxAttempts),
    lastError: lastError ?? null,
    createdAt: createdAt ?? "",
    updatedAt: updatedAt ?? "",
    key: key ?? null,
    revision: Number(revision),
    flags: flags ?? null,
    lockedAt: lockedAt ?? null,
    lockedBy: lockedBy ?? null,
    state: state as JobStateName,
    timeoutMs: timeoutMs == null ? null : Number(timeoutMs),
  };
}

/** The states that a job can be in. */
export type JobStateName = "running" | "failed" | "scheduled" | "ready";

/** When a row called `job` is in a state. Exactly one of them is true. */
export const stateConditions: Readonly<Record<JobStateName, string>> = {
  running: "job.locked_at is not null",
  failed: "job.locked_at is null and job.attempts operator(pg_catalog.>=) job.max_attempts",
  scheduled:
    "job.locked_at is null and job.attempts operator(pg_catalog.<) job.max_attempts and job.run_at operator(pg_catalog.>) pg_catalog.now()",
  ready:
    "job.locked_at is null and job.attempts operator(pg_catalog.<) job.max_attempts and job.run_at operator(pg_catalog.<=) pg_catalog.now()",
};

/** The state of the row called `job`. */
export const jobState = `case ${Object.entries(stateConditions)
  .map(([state, condition]) => `when ${condition} then '${state}'`)
  .join(" ")} end`;

/**
 * Brings `task` and `queue` to a `job`. Outer joins, because a job whose task
 * was deleted has to be seen, too.
 */
export function jobNames(schema: Schema): string {
  return `
left join ${schema.of("_private_tasks")} as task on task.id operator(pg_catalog.=) job.task_id
left join ${schema.of("_private_job_queues")} as queue on queue.id operator(pg_catalog.=) job.job_queue_id`;
}
