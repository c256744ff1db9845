import type { Schema } from "../schema.ts";

/**
 * Two tables for the `with recursive` of a statement: `level`, the priorities of
 * the jobs without a queue, and `held`, the ids of the jobs that are locked, as
 * far as they are found without reading all jobs. No index can say which jobs
 * are locked, because claims would have to write it; but claims begin at the
 * head, or with what has just been announced, and those of a queue lock it:
 *
 *   without a queue   the first of each priority, and the last that are due
 *   in a queue        the first of each locked queue; the first and the last
 *                     that are due of all
 *
 * `is_complete` says that those were all there are: then nothing is missed.
 */
export function heldJobs(schema: Schema): string {
  const jobs = schema.of("_private_jobs");
  const lockedOf = (source: string): string => `
    select job.id, job.task_id, job.job_queue_id, job.run_at
    from (${source}) as job where job.locked_at is not null`;
  const columns = "job.id, job.task_id, job.job_queue_id, job.run_at, job.locked_at";
  const plain = `select ${columns} from ${jobs} as job
    where ${PLAIN} and job.priority operator(pg_catalog.=) level.priority`;
  const queued = `select ${columns} from ${jobs} as job where ${QUEUED}`;
  const due = "and job.run_at operator(pg_catalog.<=) pg_catalog.now()";
  return `${levels(schema)},
held as materialized (
  select job.* from level cross join lateral (${lockedOf(`${plain} order by job.run_at, job.id limit ${HEAD}`)}) as job
  union
  select job.* from level cross join lateral (${lockedOf(`${plain} ${due} order by job.run_at desc, job.id desc limit ${TAIL}`)}) as job
  union
  ${lockedOf(`${queued} order by job.run_at, job.id limit ${HEAD}`)}
  union
  ${lockedOf(`${queued} ${due} order by job.run_at desc, job.id desc limit ${TAIL}`)}
  union
  select job.* from (
    select queue.id from (select id, locked_at from ${schema.of("_private_job_queues")} limit ${QUEUES}) as queue
    where queue.locked_at is not null limit ${LOCKED_QUEUES}
  ) as queue cross join lateral (${lockedOf(`select ${columns} from ${jobs} as job
    where job.job_queue_id operator(pg_catalog.=) queue.id and not job._howdah_exhausted
    order by job.priority, job.run_at, job.id limit ${CHAIN}`)}) as job
)`;
}

/** The priorities of the jobs without a queue that may still run, one probe of the index for each. */
export function levels(schema: Schema): string {
  const jobs = schema.of("_private_jobs");
  return `level(priority) as (
  (select job.priority from ${jobs} as job where ${PLAIN} order by job.priority limit 1)
  union all
  select (
    select job.priority from ${jobs} as job
    where ${PLAIN} and job.priority operator(pg_catalog.>) level.priority order by job.priority limit 1
  ) from level where level.priority is not null
)`;
}

/** Is every job that is not in `held` known not to be locked? An expression that needs `level`. */
export function heldIsComplete(schema: Schema): string {
  const jobs = schema.of("_private_jobs");
  return `(
  (select coalesce(pg_catalog.max(counted.jobs), 0) from level cross join lateral (
    select pg_catalog.count(*) as jobs from (
      select from ${jobs} as job where ${PLAIN} and job.priority operator(pg_catalog.=) level.priority limit ${HEAD}
    ) as job
  ) as counted) operator(pg_catalog.<) ${HEAD}
  and (select pg_catalog.count(*) from (select from ${jobs} as job where ${QUEUED} limit ${HEAD}) as job) operator(pg_catalog.<) ${HEAD}
)`;
}

/** Jobs without a queue that may still run, as their index has them. */
export const PLAIN = "job.job_queue_id is null and not job._howdah_exhausted";

/** Jobs in queues that may still run, as their index has them. */
export const QUEUED = "job.job_queue_id is not null and not job._howdah_exhausted";

/** How many of the first jobs of a priority are looked at. */
const HEAD = 3_000;

/** How many of the last jobs that are due are looked at. */
const TAIL = 1_000;

/** How many queues are looked at, and how many locked ones. */
const QUEUES = 50_000;
const LOCKED_QUEUES = 5_000;

/** How many jobs a worker claims of one queue, at most, for its jobs to be found. */
const CHAIN = 100;
