-- How the jobs did over time: a sample every ten seconds, taken by any one worker,
-- and what the handlers of each task did in each minute.

set local search_path = pg_catalog, pg_temp;

-- One row for each ten seconds, each minute and each ten minutes, `resolution` in
-- seconds, `at` its beginning. Averages of the samples in it, weighted by their
-- number, but for the longest waits and the numbers of changed rows, which count
-- from when the statistics of the table were last reset.
create table :"schema"._howdah_samples (
  resolution smallint not null,
  at timestamptz not null,
  samples integer not null,
  taken_at timestamptz not null,
  ready double precision not null,
  scheduled double precision not null,
  running double precision not null,
  failed double precision not null,
  workers double precision not null,
  slots double precision not null,
  busy double precision not null,
  dead_rows double precision not null,
  oldest_due_ms double precision,
  oldest_snapshot_ms double precision,
  took_ms double precision not null,
  inserted bigint not null,
  updated bigint not null,
  deleted bigint not null,
  -- The tasks and queues whose oldest due jobs are the oldest: name, jobs, age in
  -- milliseconds. Not kept beyond the ten seconds.
  top json,
  constraint _howdah_samples_pkey primary key (resolution, at),
  constraint _howdah_samples_resolution_check check (resolution in (10, 60, 600))
);

-- What the handlers of a task did in the minute that begins at this time, of all
-- workers. Bucket n counts runs of less than 2^(n-1) milliseconds that are in none
-- before it, the last one all others. `waits` are the same of the time from when
-- attempts were due to their start; of many, some stand for the others.
create table :"schema"._howdah_task_samples (
  at timestamptz not null,
  task text not null,
  completed bigint not null,
  failed bigint not null,
  run_ms double precision not null,
  buckets bigint[] not null,
  waits bigint[] not null default '{}',
  constraint _howdah_task_samples_pkey primary key (at, task)
);

-- Divides a part of the jobs into those that are due and those that are due
-- later. Both were counted up to 10,001; `total` is what their index has, and
-- `share` the share of those that are due in a sample, where both are more.
create function :"schema"._howdah_divide_v1(
  due bigint, later bigint, total double precision, share double precision,
  out all_due double precision, out all_later double precision
)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select
    case
      when due <= 10000 then due
      when later <= 10000 then greatest(due, total - later)
      else greatest(due, total * coalesce(share, 0.5))
    end,
    case
      when later <= 10000 then later
      when due <= 10000 then greatest(later, total - due)
      else greatest(later, total * (1 - coalesce(share, 0.5)))
    end
$$;

-- How many rows an index of the schema has: as many on a page as when they were last
-- counted, on the pages that it has now.
create function :"schema"._howdah_index_rows_v1(index_name text) returns double precision
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_relation_size(index.oid) / current_setting('block_size')::double precision * index.reltuples / index.relpages
  from pg_class as index
  where index.oid = to_regclass(format('%I.%I', :'schema', index_name)) and index.reltuples > 0 and index.relpages > 0
$$;

-- Counts for a sample, each through an index and up to a limit, whatever the size of
-- the table. Which jobs run is what workers say of themselves, so those of other
-- implementations count as due.
create function :"schema"._howdah_sample_counts_v1(
  out ready double precision, out scheduled double precision, out running double precision, out failed double precision,
  out workers double precision, out slots double precision, out busy double precision, out oldest_due_ms double precision
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set jit = off
as $$
declare
  plain_due bigint;
  plain_later bigint;
  queued_due bigint;
  queued_later bigint;
  share_of_plain double precision;
  share_of_queued double precision;
  oldest timestamptz;
  pages double precision := greatest(1, pg_relation_size(to_regclass(format('%I._private_jobs', :'schema')))
    / current_setting('block_size')::double precision);
begin
  with recursive level(priority) as (
    (select job.priority from :"schema"._private_jobs as job where :{in_ready_index(job)} order by job.priority limit 1)
    union all
    select (
      select job.priority from :"schema"._private_jobs as job
      where :{in_ready_index(job)} and job.priority > level.priority order by job.priority limit 1
    ) from level where level.priority is not null
  )
  select
    (select count(*) from (
      select from level cross join lateral (
        select from :"schema"._private_jobs as job
        where :{in_ready_index(job)} and job.priority = level.priority and job.run_at <= now() limit 10001
      ) as job limit 10001
    ) as job),
    (select count(*) from (
      select from level cross join lateral (
        select from :"schema"._private_jobs as job
        where :{in_ready_index(job)} and job.priority = level.priority and job.run_at > now() limit 10001
      ) as job limit 10001
    ) as job),
    (select min(job.run_at) from level cross join lateral (
      select head.run_at from (
        select job.run_at, job.locked_at from :"schema"._private_jobs as job
        where :{in_ready_index(job)} and job.priority = level.priority and job.run_at <= now()
        order by job.run_at, job.id limit 1000
      ) as head where head.locked_at is null order by head.run_at limit 1
    ) as job)
  into plain_due, plain_later, oldest;

  select
    (select count(*) from (
      select from :"schema"._private_jobs as job where :{in_due_index(job)} and job.run_at <= now() limit 10001
    ) as job),
    (select count(*) from (
      select from :"schema"._private_jobs as job where :{in_due_index(job)} and job.run_at > now() limit 10001
    ) as job),
    (select count(*) from (
      select from :"schema"._private_jobs as job where job._howdah_exhausted limit 10001
    ) as job),
    least(oldest, (select min(head.run_at) from (
      select job.run_at, job.locked_at from :"schema"._private_jobs as job
      where :{in_due_index(job)} and job.run_at <= now() order by job.run_at, job.id limit 1000
    ) as head where head.locked_at is null))
  into queued_due, queued_later, failed, oldest;

  if least(plain_due, plain_later) > 10000 or least(queued_due, queued_later) > 10000 then
    select
      avg((job.run_at <= now())::integer) filter (where :{in_ready_index(job)}),
      avg((job.run_at <= now())::integer) filter (where :{in_due_index(job)})
    into share_of_plain, share_of_queued
    from :"schema"._private_jobs as job tablesample system (least(100, 50000 / pages));
  end if;

  select plain.all_due + queued.all_due, plain.all_later + queued.all_later into ready, scheduled
  from
    :"schema"._howdah_divide_v1(
      plain_due, plain_later, coalesce(:"schema"._howdah_index_rows_v1('_howdah_ready'), plain_due + plain_later),
      share_of_plain
    ) as plain,
    :"schema"._howdah_divide_v1(
      queued_due, queued_later, coalesce(:"schema"._howdah_index_rows_v1('_howdah_due'), queued_due + queued_later),
      share_of_queued
    ) as queued;
  if failed > 10000 then
    failed := greatest(failed, coalesce(:"schema"._howdah_index_rows_v1('_howdah_failed'), 0));
  end if;

  select
    count(*) filter (where not said.is_retired), coalesce(sum(said.slots), 0), coalesce(sum(said.busy), 0),
    coalesce(sum(said.locked), 0)
  into workers, slots, busy, running
  from (
    select
      coalesce(worker.metadata -> 'isRetired' = 'true', false) as is_retired,
      :"schema"._howdah_said_v1(worker.metadata -> 'concurrency') as slots,
      :"schema"._howdah_said_v1(worker.metadata -> 'busy') as busy,
      :"schema"._howdah_said_v1(worker.metadata -> 'locked') as locked
    from :"schema"._private_workers as worker
    where worker._howdah_swept = 0 and worker.last_heartbeat_at > now() - interval '1 minute'
  ) as said;
  ready := greatest(0, ready - running);
  oldest_due_ms := extract(epoch from now() - oldest) * 1000;
end
$$;

-- A number that a worker has said of itself. Others may store anything there.
create function :"schema"._howdah_said_v1(said jsonb) returns double precision
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select case when jsonb_typeof(said) = 'number' then least(1000000000, greatest(0, said::numeric))::double precision else 0 end
$$;

-- The fifty tasks, and the fifty queues, whose oldest due jobs are the oldest, among
-- the first due jobs of each priority and those of all queues.
create function :"schema"._howdah_sample_top_v1() returns json
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set max_parallel_workers_per_gather = 0
set jit = off
as $$
begin
  return (
    with recursive level(priority) as (
      (select job.priority from :"schema"._private_jobs as job where :{in_ready_index(job)} order by job.priority limit 1)
      union all
      select (
        select job.priority from :"schema"._private_jobs as job
        where :{in_ready_index(job)} and job.priority > level.priority order by job.priority limit 1
      ) from level where level.priority is not null
    ), head as materialized (
      (select job.* from level cross join lateral (
        select job.task_id, job.job_queue_id, job.run_at from :"schema"._private_jobs as job
        where :{in_ready_index(job)} and job.priority = level.priority and job.run_at <= now()
        order by job.run_at, job.id limit 1000
      ) as job limit 3000)
      union all
      (select job.task_id, job.job_queue_id, job.run_at from :"schema"._private_jobs as job
        where :{in_due_index(job)} and job.run_at <= now()
        order by job.run_at, job.id limit 3000)
    ), task as (
      select head.task_id as id, count(*) as jobs, min(head.run_at) as oldest from head group by head.task_id
      order by 3 limit 50
    ), queue as (
      select head.job_queue_id as id, count(*) as jobs, min(head.run_at) as oldest from head
      where head.job_queue_id is not null group by head.job_queue_id order by 3 limit 50
    )
    select json_build_object(
      'tasks', coalesce((
        select json_agg(json_build_array(
          named.identifier, task.jobs, round(extract(epoch from now() - task.oldest) * 1000)
        ) order by task.oldest)
        from task join :"schema"._private_tasks as named on named.id = task.id
      ), '[]'),
      'queues', coalesce((
        select json_agg(json_build_array(
          named.queue_name, queue.jobs, round(extract(epoch from now() - queue.oldest) * 1000)
        ) order by queue.oldest)
        from queue join :"schema"._private_job_queues as named on named.id = queue.id
      ), '[]')
    )
  );
end
$$;

-- Takes the sample of the present ten seconds, if that was not done, and returns in
-- how long there may be another one to take. Then it joins the samples of minutes,
-- and of ten minutes, that are over, and deletes a few of the oldest; and keys of
-- unique jobs whose time is over.
--
-- Samples take a twentieth of the time at most: the next one is not taken before
-- twenty times what the last one took has passed.
--
-- Beside another call: one takes the sample, the other learns of it and waits for
-- nothing. A caller that dies takes its transaction along, and the next one, in
-- the same ten seconds or later, takes a sample. When the clock was set back, the
-- samples that lie in the future now are taken anew as their time comes.
create function :"schema"._howdah_sample_v1(out taken boolean, out next_ms double precision)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  slot constant timestamptz := date_bin('10 seconds', now(), timestamptz 'epoch');
  started constant timestamptz := clock_timestamp();
  last record;
  counts record;
  worst json;
begin
  taken := false;
  next_ms := extract(epoch from slot + interval '10 seconds' - now()) * 1000;
  select sample.at, sample.taken_at + sample.took_ms * interval '20 milliseconds' as rested_at into last
  from :"schema"._howdah_samples as sample
  where sample.resolution = 10 and sample.at <= slot and sample.taken_at <= now()
  order by sample.at desc limit 1;
  if last.at = slot or not pg_try_advisory_xact_lock(1752135526, hashtext(:'schema')) then
    return;
  elsif last.rested_at > now() then
    next_ms := extract(epoch from last.rested_at - now()) * 1000;
    return;
  end if;
  select * into counts from :"schema"._howdah_sample_counts_v1();
  -- Before the time is taken that all of it took.
  worst := :"schema"._howdah_sample_top_v1();
  insert into :"schema"._howdah_samples as sample
  select
    10, slot, 1, now(), counts.ready, counts.scheduled, counts.running, counts.failed,
    counts.workers, counts.slots, counts.busy, pg_stat_get_dead_tuples(jobs.id), counts.oldest_due_ms,
    (
      select max(extract(epoch from now() - session.xact_start) * 1000) from pg_stat_activity as session
      where session.backend_xmin is not null and session.backend_type = 'client backend'
        and session.datname = current_database() and session.pid <> pg_backend_pid()
    ),
    extract(epoch from clock_timestamp() - started) * 1000,
    pg_stat_get_tuples_inserted(jobs.id), pg_stat_get_tuples_updated(jobs.id), pg_stat_get_tuples_deleted(jobs.id),
    worst
  from (select to_regclass(format('%I._private_jobs', :'schema'))::oid as id) as jobs
  on conflict (resolution, at) do update set
    (
      samples, taken_at, ready, scheduled, running, failed, workers, slots, busy, dead_rows, oldest_due_ms,
      oldest_snapshot_ms, took_ms, inserted, updated, deleted, top
    ) = (
      excluded.samples, excluded.taken_at, excluded.ready, excluded.scheduled, excluded.running, excluded.failed,
      excluded.workers, excluded.slots, excluded.busy, excluded.dead_rows, excluded.oldest_due_ms,
      excluded.oldest_snapshot_ms, excluded.took_ms, excluded.inserted, excluded.updated, excluded.deleted, excluded.top
    )
  where sample.taken_at > now();
  -- Another call has committed it since the first look.
  if not found then
    return;
  end if;
  taken := true;
  perform :"schema"._howdah_join_samples_v1(10, 60);
  perform :"schema"._howdah_join_samples_v1(60, 600);
  perform :"schema"._howdah_forget_samples_v1();
  perform :"schema"._howdah_forget_recent_v1();
  perform :"schema"._howdah_sweep_notes_v1();
end
$$;

-- Joins the samples of one resolution in those of a longer one, for every time that is
-- over and comes after the last one that was joined; not further back than a day.
-- Only the worker that takes samples calls it.
create function :"schema"._howdah_join_samples_v1(short_resolution integer, long_resolution integer) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into :"schema"._howdah_samples
  select
    long_resolution, sample.long_at, sum(sample.samples), max(sample.taken_at),
    sum(sample.ready * sample.samples) / sum(sample.samples),
    sum(sample.scheduled * sample.samples) / sum(sample.samples),
    sum(sample.running * sample.samples) / sum(sample.samples),
    sum(sample.failed * sample.samples) / sum(sample.samples),
    sum(sample.workers * sample.samples) / sum(sample.samples),
    sum(sample.slots * sample.samples) / sum(sample.samples),
    sum(sample.busy * sample.samples) / sum(sample.samples),
    sum(sample.dead_rows * sample.samples) / sum(sample.samples),
    max(sample.oldest_due_ms), max(sample.oldest_snapshot_ms), max(sample.took_ms),
    (array_agg(sample.inserted order by sample.at desc))[1],
    (array_agg(sample.updated order by sample.at desc))[1],
    (array_agg(sample.deleted order by sample.at desc))[1],
    null
  from (
    select sample.*, date_bin(long_resolution * interval '1 second', sample.at, timestamptz 'epoch') as long_at
    from :"schema"._howdah_samples as sample
    where sample.resolution = short_resolution
      and sample.at >= greatest(now() - interval '1 day', (
        select long.at + long_resolution * interval '1 second' from :"schema"._howdah_samples as long
        where long.resolution = long_resolution and long.at <= now() order by long.at desc limit 1
      ))
      and sample.at < date_bin(long_resolution * interval '1 second', now(), timestamptz 'epoch')
  ) as sample
  group by sample.long_at
  on conflict (resolution, at) do nothing
$$;

-- Deletes a few samples whose time is over: ten seconds are kept for a day, minutes for
-- two weeks, ten minutes for 400 days, and what handlers did for a week.
create function :"schema"._howdah_forget_samples_v1() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  delete from :"schema"._howdah_samples as sample
  where (sample.resolution, sample.at) in (
    select old.resolution, old.at
    from (values (10, interval '1 day'), (60, interval '14 days'), (600, interval '400 days')) as kept(resolution, age)
    cross join lateral (
      select long.resolution, long.at from :"schema"._howdah_samples as long
      where long.resolution = kept.resolution and long.at < now() - kept.age order by long.at limit 100
    ) as old
  );
  delete from :"schema"._howdah_task_samples as sample
  where (sample.at, sample.task) in (
    select old.at, old.task from :"schema"._howdah_task_samples as old
    where old.at < now() - interval '7 days' order by old.at limit 500
  )
$$;
