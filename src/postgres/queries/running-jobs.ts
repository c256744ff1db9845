import type { Schema } from "../schema.ts";

/**
 * Tables for the `with recursive` of a statement: `level`, the priorities of the
 * jobs without a queue, `told`, what workers have said with their last
 * heartbeats, and `held`, the jobs that are locked, as far as they are found
 * without reading all jobs. No index can say which jobs are locked, because
 * claims would have to write it. But workers say which jobs they run, and for
 * what they did not say yet, or cannot (workers of 0.1.0 and of other
 * implementations, jobs that wait in memory), claims begin at the head, or with
 * what has just been announced, and those of a queue lock it:
 *
 *   said by a worker  whatever of it is still locked
 *   without a queue   the first of each priority, and the last that are due
 *   in a queue        the first of each locked queue; the first and the last
 *                     that are due of all
 */
export function heldJobs(schema: Schema): string {
  const jobs = schema.of("_private_jobs");
  const lockedOf = (source: string): string => `
    select job.id, job.task_id, job.job_queue_id, job.run_at, job.locked_by
    from (${source}) as job where job.locked_at is not null`;
  const columns = "job.id, job.task_id, job.job_queue_id, job.run_at, job.locked_by, job.locked_at";
  const plain = `select ${columns} from ${jobs} as job
    where ${PLAIN} and job.priority operator(pg_catalog.=) level.priority`;
  const queued = `select ${columns} from ${jobs} as job where ${QUEUED}`;
  const due = "and job.run_at operator(pg_catalog.<=) pg_catalog.now()";
  const said = `select ${columns} from ${jobs} as job where job.id operator(pg_catalog.=) any (array(
    select running.id from told cross join lateral pg_catalog.unnest(told.running) as running(id)
  ))`;
  return `${levels(schema)},
${told(schema)},
held as materialized (
  ${lockedOf(said)}
  union
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

/**
 * A table `told`: the workers that say with each heartbeat how many jobs they
 * hold, and which of them run. Others may store anything as metadata, so what
 * has another form counts as nothing.
 */
function told(schema: Schema): string {
  const id = "running.value operator(pg_catalog.->>) 'id'";
  return `told as materialized (
  select worker.id, worker.last_heartbeat_at,
    case when worker.metadata operator(pg_catalog.->>) 'locked' operator(pg_catalog.~) '^[0-9]{1,9}$'
      then (worker.metadata operator(pg_catalog.->>) 'locked')::pg_catalog.int4 else 0 end as locked,
    array(
      select case when ${id} operator(pg_catalog.~) '^[0-9]{1,18}$' then (${id})::pg_catalog.int8 end
      from pg_catalog.jsonb_array_elements(worker.metadata operator(pg_catalog.->) 'running') as running(value)
    ) as running
  from ${schema.of("_private_workers")} as worker
  where worker._howdah_swept operator(pg_catalog.=) 0
    and pg_catalog.jsonb_typeof(worker.metadata operator(pg_catalog.->) 'running') operator(pg_catalog.=) 'array'
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
