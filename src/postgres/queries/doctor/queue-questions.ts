import { idleSessions } from "../idle-workers.ts";
import type { Questions } from "./questions.ts";
import type { QueueFacts } from "./queue-facts.ts";

/** Questions about jobs, queues and workers: each looks at a bounded number of rows, through an index. */
export const QUEUE_QUESTIONS: Questions<QueueFacts> = {
  workers: (of, schema) => `
    select (select json_agg(worker) from (
      select id, ${since("last_heartbeat_at")} as "silentSeconds", _howdah_swept as swept, _howdah_lock_key is not null as "hasLock"
      from ${of("_private_workers")} order by last_heartbeat_at limit 1000
    ) as worker) as workers, (select count(*) from (${idleSessions(schema)}) as idle) as idle`,

  oldestDue: (of) => `
    with recursive ${levels(of("_private_jobs"))}
    select
      (select ${WAITING_JOB} from level cross join lateral (
        ${waiting(of("_private_jobs"), `${PLAIN} and priority = level.priority`, SINCE)} limit 1
      ) as job order by job.since limit 1) as plain,
      (select ${WAITING_JOB} from (
        ${waiting(of("_private_jobs"), QUEUED, SINCE)} limit 1
      ) as job) as queued`,

  lockedQueues: (of) => `
    select (select json_agg(found) from (
      select queue.queue_name as name, coalesce(queue.locked_by, '') as holder, ${since("queue.locked_at")} as "lockedSeconds",
        worker.id is null as "isHolderGone", ${since("worker.last_heartbeat_at")} as "holderSilentSeconds"
      from (select * from ${of("_private_job_queues")} limit 50000) as queue
      left join ${of("_private_workers")} as worker on worker.id = queue.locked_by
      where queue.locked_at is not null and queue.locked_by <> '_howdah_lanes' order by queue.locked_at limit 20
    ) as found) as queues`,

  unknownTasks: (of, schema) => `
    with recursive ${levels(of("_private_jobs"))},
    alive as materialized (
      select metadata from ${of("_private_workers")}
      where _howdah_swept = 0 and last_heartbeat_at > now() - interval '1 minute'
    ),
    head as materialized (
      select job.* from level cross join lateral (
        ${waiting(of("_private_jobs"), `${PLAIN} and priority = level.priority`, HEAD)}
      ) as job
      union all
      ${waiting(of("_private_jobs"), QUEUED, HEAD)}
    )
    select
      (select json_agg(found) from (
        select task.identifier as task, count(*) as jobs, ${since("min(head.run_at)")} as seconds
        from head join ${of("_private_tasks")} as task on task.id = head.task_id group by 1 order by 2 desc, 1 limit 100
      ) as found) as due,
      case when exists (select from alive) then coalesce((
        select json_agg(distinct name) from alive,
          jsonb_array_elements_text(case when jsonb_typeof(metadata -> 'tasks') = 'array' then metadata -> 'tasks' else '[]' end) as name
      ), '[]') end as known,
      exists (select from alive where jsonb_typeof(metadata -> 'tasks') is distinct from 'array')
        or exists (${idleSessions(schema)}) as "isOpen"`,

  pauses: (of) => `
    select (select json_agg(found) from (
      select 'task' as kind, identifier as name, paused_until::text as until
      from ${of("_howdah_paused_tasks")} where paused_until > now()
      union all
      select 'queue', queue_name, _howdah_paused_until::text
      from ${of("_private_job_queues")} where _howdah_paused_until is not null and _howdah_paused_until > now()
      limit 100
    ) as found) as pauses`,

  failed: (of) => `
    with newest as materialized (
      select split_part(coalesce(last_error, ''), E'\\n', 1) as error
      from ${of("_private_jobs")} where _howdah_exhausted order by id desc limit 1000
    ), top as (select error, count(*) as jobs from newest group by 1 order by 2 desc, 1 limit 1)
    select (select count(*) from (select from ${of("_private_jobs")} where _howdah_exhausted limit 10001) as job) as counted,
      (select left(error, 200) from top) as top, (select jobs from top) as "topJobs"`,

  orphans: (of) => `
    select count(*) as jobs from (
      select task_id, job_queue_id from ${of("_private_jobs")} order by id limit 5000
    ) as job
    where not exists (select from ${of("_private_tasks")} as task where task.id = job.task_id)
      or (job.job_queue_id is not null
        and not exists (select from ${of("_private_job_queues")} as queue where queue.id = job.job_queue_id))`,

  farFuture: (of) => `
    with recursive ${levels(of("_private_jobs"))}
    select (select json_agg(found) from (
      select job.id::text as id, job.run_at::text as "runAt" from level cross join lateral (
        select id, run_at from ${of("_private_jobs")}
        where ${PLAIN} and priority = level.priority order by run_at desc, id desc limit 1
      ) as job where job.run_at > now() + interval '1 year' limit 10
    ) as found) as jobs`,

  unusedQueues: (of) => `
    select count(*) as queues from (
      select from (select id from ${of("_private_job_queues")} order by id limit 20000) as queue
      where not exists (
          select from ${of("_private_jobs")} as job
          where job.job_queue_id = queue.id and not job._howdah_exhausted
        )
      limit 1001
    ) as queue`,

  payloads: (of) => `
    select count(*) filter (where length > 100000) as large, max(length) as longest from (
      select octet_length(payload::text) as length from ${of("_private_jobs")} order by id desc limit 500
    ) as job`,

  poison: (of) => `
    select (select json_agg(found.id) from (
      select job.id::text as id from (
        select id, _howdah_recoveries from ${of("_private_jobs")} order by id limit 20000
      ) as job where abs(job._howdah_recoveries) >= 2 limit 10
    ) as found) as ids`,
};

/** Seconds since a time. */
const since = (time: string): string => `extract(epoch from clock_timestamp() - ${time})`;

const PLAIN = "job_queue_id is null and not _howdah_exhausted";
const QUEUED = "job_queue_id is not null and not _howdah_exhausted";

/** The priorities of the jobs without a queue, one probe of the index for each. */
function levels(jobs: string): string {
  return `level(priority) as (
      (select priority from ${jobs} where ${PLAIN} order by priority limit 1)
      union all
      select (select job.priority from ${jobs} as job where ${PLAIN} and job.priority > level.priority order by job.priority limit 1)
      from level where level.priority is not null
    )`;
}

/** The first due jobs that pass a condition, as far as no worker has claimed them: these columns. */
function waiting(
  jobs: string,
  where: string,
  { columns, limit }: { readonly columns: string; readonly limit: number },
) {
  return `
      select ${columns} from (
        select * from ${jobs} where ${where} and run_at <= now() order by run_at, id limit ${limit}
      ) as job where locked_at is null`;
}

/** Of the oldest job: past at most 3,000 that are claimed. */
const SINCE = { columns: "id, greatest(run_at, created_at) as since", limit: 3_000 };

const WAITING_JOB = `json_build_object('id', job.id::text, 'seconds', ${since("job.since")})`;

/** Of the jobs near the head. */
const HEAD = { columns: "task_id, run_at", limit: 300 };
