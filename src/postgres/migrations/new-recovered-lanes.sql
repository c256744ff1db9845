-- What ends the locks of workers ends those of their lanes, too. These functions keep
-- their names: other implementations on the same schema and the previous release of
-- this one call them, and a lane that they did not free would stay locked. None of
-- them ends the lock of a queue that has rules.

set local search_path = pg_catalog, pg_temp;

-- Frees the lanes that dead workers hold: no lane of a queue of which they still hold
-- a job, and no lane of a pool while they hold the job or the lane of a queue that it
-- was for. A worker may have died twice before its last claim commits: that one is
-- found with the job. Answers the lanes. Does not wait; `older_ms` as in
-- _howdah_free_queues_v1.
--
--   beside a claim            it steps over what is locked here
--   beside a change of rules  it has the lanes locked: they are left for the next call
--   commit, answer lost       the next call finds nothing more to free
create function :"schema"._howdah_free_lanes_v1(dead text[], older_ms bigint default null)
returns table (owner_id integer, worker text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  owners integer[];
  numbers smallint[];
  holders text[];
  busy text[];
  lasts bigint[];
begin
  if not exists (select from :"schema"._howdah_lanes as held where held.locked_by = any(dead)) then
    return;
  end if;
  -- Once a queue: it is walked through to its end when there is no such job.
  busy := array(
    select holding.owner_id || ' ' || holding.locked_by
    from (
      select distinct held.owner_id, held.locked_by from :"schema"._howdah_lanes as held
      where held.locked_by = any(dead) and held.owner_id > 0
    ) as holding
    where exists (
      select from :"schema"._private_jobs as jobs
      where :{in_queue_index(jobs, holding.owner_id)} and jobs.locked_by = holding.locked_by
    )
  );
  :{lock_lanes_of_dead(held.owner_id > 0 and held.owner_id || ' ' || held.locked_by <> all(busy))}
  if owners is not null then
    :{end_lanes(owners, numbers)}
    return query select distinct freed.owner_id, freed.worker from unnest(owners, holders) as freed(owner_id, worker);
  end if;

  lasts := array(
    select held.job_id from :"schema"._howdah_lanes as held
    where held.locked_by = any(dead) and held.owner_id > 0 and held.job_id is not null
  );
  :{lock_lanes_of_dead(held.owner_id < 0 and coalesce(held.job_id, 0) <> all(lasts))}
  if owners is not null then
    :{end_lanes(owners, numbers)}
    return query select distinct freed.owner_id, freed.worker from unnest(owners, holders) as freed(owner_id, worker);
  end if;
end
$$;

-- Frees the queues and lanes that dead workers hold, but not those of which they
-- still hold a job. Answers the ids of the queues, and for each that a trigger or
-- constraint refuses why. Does not wait; `older_ms` as in _howdah_recover_v1, and so
-- is what happens when rows are refused.
--
--   beside a claim       it steps over what is locked here, and finds the queue
--                        free afterwards: the living are told
--   commit, answer lost  the next call finds nothing more to free
create or replace function :"schema"._howdah_free_queues_v1(dead text[], older_ms bigint)
returns table (id integer, worker text, state text, message text)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_column
declare
  queue_ids integer[];
  holders text[];
  part integer[];
  freed integer[] := '{}';
  written integer[];
  kept integer;
  trial integer := 0;
  lane_owners integer[];
  lane_holders text[];
begin
  select array_agg(locked.id), array_agg(locked.locked_by) into queue_ids, holders
  from (
    select queues.id, queues.locked_by from :"schema"._private_job_queues as queues
    where queues.locked_by = any(dead) and queues.locked_by <> :{holder_of_lanes()}
      and (older_ms is null or queues.locked_at < :{ms_ago(older_ms)})
      and not exists (
        select from :"schema"._private_jobs as jobs
        where :{in_queue_index(jobs, queues.id)} and jobs.locked_by = queues.locked_by
      )
    order by queues.id for update skip locked
  ) as locked;

  while queue_ids is not null loop
    :{try_to_unlock_queues()}
  end loop;

  select array_agg(lane.owner_id), array_agg(lane.worker) into lane_owners, lane_holders
  from :"schema"._howdah_free_lanes_v1(dead, older_ms) as lane;
  perform :"schema"._howdah_notify_lanes_v1('{}', freed, lane_owners);
  return query
  select held.id, held.worker, null::text, null::text from unnest(queue_ids, holders) as held(id, worker)
  where held.id = any(freed)
  union all
  select held.id, held.worker, null::text, null::text from unnest(lane_owners, lane_holders) as held(id, worker)
  where held.id > 0;
end
$$;

-- Tells about jobs, queues and lanes whose locks ended: of a pool no queue can be
-- named, so workers are told to look for any.
create function :"schema"._howdah_notify_lanes_v1(job_ids bigint[], freed_queues integer[], lane_owners integer[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform :"schema"._howdah_notify_freed_v1(job_ids, coalesce(freed_queues, '{}') || array(
    select distinct owner from unnest(lane_owners) as owner where owner > 0
  ));
  if exists (select from unnest(lane_owners) as owner where owner < 0) then
    perform :"schema"._howdah_notify_v1(1, now(), '{}');
  end if;
end
$$;

-- Who holds locks without being registered: ids of workers of ours whose
-- newest lock is older than `ours_ms`, others whose oldest one is older than
-- `foreign_ms`. Reads the whole table, so it answers nothing when a worker of
-- this schema has asked within `interval_ms`; null asks in any case.
create or replace function :"schema"._howdah_orphans_v1(interval_ms bigint, ours_ms bigint, foreign_ms bigint)
returns table (id text, is_ours boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if interval_ms is not null then
    -- A time in the future is one of before a clock was set back.
    update :"schema"._howdah_sweeper as sweeper set orphans_at = now()
    where sweeper.orphans_at < :{ms_ago(interval_ms)}
      or sweeper.orphans_at > now() + interval '1 minute';
    if not found then
      return;
    end if;
  end if;
  return query
  select holder.id, holder.is_ours
  from (
    select
      lock.id, lock.id ~ '^howdah_[0-9a-f]{18}$' as is_ours, max(lock.at) as newest, min(lock.at) as oldest
    from (
      select jobs.locked_by as id, jobs.locked_at as at
      from :"schema"._private_jobs as jobs where jobs.locked_by is not null
      union all
      select queues.locked_by, queues.locked_at
      from :"schema"._private_job_queues as queues where queues.locked_by <> :{holder_of_lanes()}
      union all
      select held.locked_by, held.locked_at
      from :"schema"._howdah_lanes as held where held.locked_by is not null
    ) as lock
    group by lock.id
  ) as holder
  where not exists (select from :"schema"._private_workers as worker where worker.id = holder.id)
    and case
      when holder.is_ours then holder.newest < :{ms_ago(ours_ms)}
      else holder.oldest < :{ms_ago(foreign_ms)}
    end
  order by holder.id;
end
$$;

-- Ends every lock of these workers, also of jobs that they still run: an
-- operator's word, outside of the promise that queues are serial and keep to their
-- rules.
create or replace function :"schema".force_unlock_workers(worker_ids text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  job_ids bigint[];
  queue_ids integer[];
  lane_owners integer[];
  lane_numbers smallint[];
  quantity bigint;
begin
  worker_ids := array_remove(worker_ids, :{holder_of_lanes()});
  :{lock_rows_held(_private_jobs, job_ids, for update)}
  with :{updated_jobs(job, :{unlocked_row()}, where job.id = any(job_ids), job.id)}
  select count(*) into quantity from updated;
  :{tell_of_failed(job_ids)}

  :{lock_rows_held(_private_job_queues, queue_ids, for update)}
  update :"schema"._private_job_queues as queue set :{unlocked_row()} where queue.id = any(queue_ids);

  :{lock_lanes_held(lane_owners, lane_numbers)}
  :{end_lanes(lane_owners, lane_numbers)}

  -- A worker that repeats a release asks for it. It is seen together with the rest,
  -- and comes last: a heartbeat waits for this row only, and not for what this call waits for.
  update :"schema"._private_workers as worker set _howdah_unlocked_at = now()
  where worker.id = any(array(
    select found.id from :"schema"._private_workers as found
    where found.id = any(worker_ids) order by found.id for update
  ));

  perform :"schema"._howdah_notify_lanes_v1(job_ids, queue_ids, lane_owners);
end
$$;

create or replace function :"schema".list_orphan_locked_workers(stale_threshold interval)
returns table (worker_id text)
language sql
set search_path = pg_catalog, pg_temp
as $$
  select holder.id
  from (
    select job.locked_by as id from :"schema"._private_jobs as job
    where job.locked_at < now() - list_orphan_locked_workers.stale_threshold
    union
    select queue.locked_by from :"schema"._private_job_queues as queue
    where queue.locked_at < now() - list_orphan_locked_workers.stale_threshold
    union
    select held.locked_by from :"schema"._howdah_lanes as held
    where held.locked_at < now() - list_orphan_locked_workers.stale_threshold
  ) as holder
  where holder.id is not null and holder.id <> :{holder_of_lanes()}
    and not exists (select from :"schema"._private_workers as worker where worker.id = holder.id)
$$;

-- Gives back what these workers held. Rows that someone else has locked at this
-- moment are left for the next call: nothing that recovers waits for users.
create or replace function :"schema".recover_dead_worker_jobs(
  worker_ids text[], recovery_delay interval default '00:00:00'
)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  job_ids bigint[];
  queue_ids integer[];
  lane_owners integer[];
  quantity bigint;
begin
  worker_ids := array_remove(worker_ids, :{holder_of_lanes()});
  :{lock_rows_held(_private_jobs, job_ids, for update skip locked)}

  :{record_deaths_by_call()}
  with :{updated_jobs(job, :{job_recovered_by_call(job)}, where job.id = any(job_ids), job.id)}
  select count(*) into quantity from updated;
  :{tell_of_failed(job_ids)}

  :{lock_rows_held(_private_job_queues, queue_ids, for update skip locked)}
  update :"schema"._private_job_queues as queue set :{unlocked_row()} where queue.id = any(queue_ids);

  lane_owners := array(select lane.owner_id from :"schema"._howdah_free_lanes_v1(worker_ids) as lane);
  perform :"schema"._howdah_notify_lanes_v1(job_ids, queue_ids, lane_owners);
  return coalesce(cardinality(job_ids), 0);
end
$$;

-- Workers that still hold something keep their rows, so that the next sweep
-- finds what recovery had to leave behind.
create or replace function :"schema".delete_stale_workers(worker_ids text[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  delete from :"schema"._private_workers as worker
  where worker.id = any(array(
      select found.id from :"schema"._private_workers as found
      where found.id = any(worker_ids) order by found.id for update
    ))
    and not exists (select from :"schema"._private_jobs as job where job.locked_by = worker.id)
    and not exists (select from :"schema"._private_job_queues as queue where queue.locked_by = worker.id)
    and not exists (select from :"schema"._howdah_lanes as held where held.locked_by = worker.id)
$$;
