import type { Schema } from "../schema.ts";

/** Expressions for what is not always selected from the tables. */
export interface JobColumnSources {
  readonly task: string;
  readonly queue: string;
  readonly payload: string;
}

const FROM_TABLES: JobColumnSources = {
  task: "coalesce(task.identifier, '')",
  queue: "queue.queue_name",
  payload: "job.payload",
};

/**
 * What to select to get a whole job, in the order in which `toJob` reads it.
 * The row of the job is called `job`; by default `jobNames` brings the row of
 * its task and of its queue. Times are microseconds since 1970.
 */
export function jobColumns(schema: Schema, { task, queue, payload }: JobColumnSources = FROM_TABLES): string {
  const us = schema.of("_howdah_us");
  return `
  job.id, ${task}, ${queue}, ${payload}, job.priority, ${us}(job.run_at),
  job.attempts, job.max_attempts, job.last_error, ${us}(job.created_at), ${us}(job.updated_at),
  job.key, job.revision, job.flags, ${us}(job.locked_at), job.locked_by, ${jobState}, job._howdah_timeout_ms`;
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
const jobState = `case ${Object.entries(stateConditions)
  .map(([state, condition]) => `when ${condition} then '${state}'`)
  .join(" ")} end`;

/**
 * Brings `task` and `queue` to a `job`. Outer joins, because a job whose task
 * somebody deleted shall still be seen.
 */
export function jobNames(schema: Schema): string {
  return `
left join ${schema.of("_private_tasks")} as task on task.id operator(pg_catalog.=) job.task_id
left join ${schema.of("_private_job_queues")} as queue on queue.id operator(pg_catalog.=) job.job_queue_id`;
}
