-- Presence and recovery: who is registered, who looks alive, and what becomes of
-- the jobs of the dead. Who is dead is decided by the sweepers, which watch; here
-- is only what they see and do.
--
-- Jobs of a worker are found by reading the whole table: no index could be kept
-- on the column without making every claim slower. So nothing here but
-- _howdah_orphans_v1 looks at jobs before somebody is known to be dead.

set local search_path = pg_catalog, pg_temp;

-- When a worker last looked for locks of workers that are not registered: one
-- row. It has a key as every table has, because a publication for all tables
-- refuses updates of a table without one.
create table :"schema"._howdah_sweeper (
  id boolean not null default true,
  orphans_at timestamptz not null default '-infinity',
  constraint _howdah_sweeper_pkey primary key (id),
  constraint _howdah_sweeper_id_check check (id)
);

insert into :"schema"._howdah_sweeper default values;

-- Every registered worker: its last heartbeat, whether its session's lock is
-- held, lost or not there to be watched (none), how far its recovery has gone,
-- since when this server runs, its process, and whether its lock was recorded on
-- this server since then. Locks nothing and reads two small lists.
create function :"schema"._howdah_workers_v1()
returns table (id text, beat bigint, lock text, swept smallint, server bigint, process text, same boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    worker.id,
    :"schema"._howdah_us(worker.last_heartbeat_at),
    case
      when worker._howdah_lock_key is null then 'none'
      when held.pid is null then 'lost'
      else 'held'
    end,
    worker._howdah_swept,
    :"schema"._howdah_us(pg_postmaster_start_time()),
    worker._howdah_process,
    worker._howdah_lock_key is distinct from 0 and worker._howdah_lock_server is not distinct from pg_postmaster_start_time()
  from :"schema"._private_workers as worker
  left join pg_locks as held on
    held.locktype = 'advisory' and held.granted and held.objsubid = 2 and held.classid = 1752135524
    and held.database = (select oid from pg_database where datname = current_database())
    and held.objid = worker._howdah_lock_key::oid and held.pid = worker._howdah_lock_pid
$$;

-- Notes that workers are absent that have not beaten since they were seen, and
-- returns for how long they have been so: what their rows say, and the time since
-- a look last noted it, but not more than `longest_gap_ms` of that. It is counted
-- in the row because a process that keeps dying looks for a moment only.
--
--   whoever has the row locked        is not waited for: that may be its heartbeat,
--                                     or another sweeper that notes the same. The
--                                     next look counts from what they have left
--   its heartbeat before              another heartbeat than the one that was seen
--                                     is no absence, and begins it anew
--   commit, answer lost               the next look counts from here
create function :"schema"._howdah_note_absence_v1(worker_ids text[], beats bigint[], longest_gap_ms bigint)
returns table (id text, absent_ms integer)
language sql
set search_path = pg_catalog, pg_temp
as $$
  update :"schema"._private_workers as worker
  set
    _howdah_absent_ms = case
      when worker._howdah_absent_beat = worker.last_heartbeat_at then least(
        worker._howdah_absent_ms + greatest(0, least(
          longest_gap_ms, extract(epoch from now() - worker._howdah_absent_until) * 1000
        )),
        2147483647
      )
      else 0
    end,
    _howdah_absent_until = now(),
    _howdah_absent_beat = worker.last_heartbeat_at
  where worker.id = any(array(
    select found.id
    from :"schema"._private_workers as found
    join unnest(worker_ids, beats) as seen(id, beat) on seen.id = found.id
    where :"schema"._howdah_us(found.last_heartbeat_at) = seen.beat
    order by found.id for update of found skip locked
  ))
  returning worker.id, worker._howdah_absent_ms
$$;

-- Declares workers dead whose heartbeat is still the one that the sweeper saw,
-- and returns them. From then on they beat in vain. The rows are locked by id, as all do who lock several of them.
--
--   its heartbeat at the same moment  whoever has the row first: then it lives,
--                                     or its heartbeat finds itself swept
--   another sweeper                   one of the two gets the id as an answer
--   commit, answer lost               the next look finds it declared
create function :"schema"._howdah_declare_dead_v1(worker_ids text[], beats bigint[]) returns table (id text)
language sql
set search_path = pg_catalog, pg_temp
as $$
  update :"schema"._private_workers as worker
  set _howdah_swept = 1
  where worker.id = any(array(
    select found.id
    from :"schema"._private_workers as found
    join unnest(worker_ids, beats) as seen(id, beat) on seen.id = found.id
    where found._howdah_swept = 0 and :"schema"._howdah_us(found.last_heartbeat_at) = seen.beat
    order by found.id for update of found
  ))
  returning worker.id
$$;

-- Unlocks up to `quantity` jobs of dead workers, and tells the living of them.
--
--   dead             ids that nobody claims under any more
--   delay_ms         when a job without a queue runs: after half to all of it
--   older_ms         only locks that are older, and without a refund: for holders
--                    that may live; null for the dead
--   chosen           only these jobs; null for all. In parallel, for each:
--   actions          default, reschedule or fail
--   run_ats          microseconds, for reschedule
--   new_attempts     for reschedule; null: as if the attempt had not been
--   messages         the new last_error; null for the usual one
--
-- An attempt is given back, unless the job was removed or replaced while it ran,
-- or its handler had been called although its workers keep dying: then it counts
-- and the job waits as after a failure. A job in a queue keeps its place in it.
--
-- Answers one row for each job (recovered; failed when no attempt is left), then
-- `left` if there is more to do, or nothing but `busy` if somebody else is at it.
--
--   beside a claim or a release  waits for nobody: what is locked by anybody at
--                                this moment is left for the next call. A release
--                                that comes later is refused by its fence
--   two at once                  one of them is told `busy`
--   commit, answer lost          the next call finds what is left
--   the row is gone              somebody has completed or removed the job
create function :"schema"._howdah_recover_v1(
  dead text[], delay_ms bigint, older_ms bigint, quantity integer,
  chosen bigint[] default null, actions text[] default null, run_ats bigint[] default null,
  new_attempts integer[] default null, messages text[] default null
)
returns table (kind text, id bigint, worker text, task text, attempts smallint, failed boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  oldest constant timestamptz := case when older_ms is not null then now() - older_ms * interval '1 millisecond' end;
  found_ids bigint[];
  job_ids bigint[];
begin
  if not pg_try_advisory_xact_lock(1752135525, hashtext(:'schema')) then
    return query select 'busy'::text, null::bigint, null::text, null::text, null::smallint, null::boolean;
    return;
  end if;

  found_ids := array(
    select jobs.id from :"schema"._private_jobs as jobs
    where jobs.locked_by = any(dead)
      and (oldest is null or jobs.locked_at < oldest)
      and (chosen is null or jobs.id = any(chosen))
    order by jobs.id limit quantity + 1
  );
  job_ids := array(
    select jobs.id from :"schema"._private_jobs as jobs
    where jobs.id = any(found_ids[:quantity]) and jobs.locked_by = any(dead)
      and (oldest is null or jobs.locked_at < oldest)
    order by jobs.id for update skip locked
  );

  return query
  with updated as (
    update :"schema"._private_jobs as jobs
    set
      attempts = case
        when change.new_attempts is not null and not jobs._howdah_detached then change.new_attempts
        when jobs._howdah_detached or oldest is not null then jobs.attempts
        when change.action = 'reschedule' then greatest(0, jobs.attempts - 1)
        when change.action = 'fail' or jobs._howdah_recoveries < 0 then jobs.attempts
        else greatest(0, jobs.attempts - 1)
      end,
      run_at = case
        when change.action = 'reschedule' then :"schema"._howdah_at(change.run_at)
        when change.action = 'fail' or jobs._howdah_recoveries < 0
          then greatest(jobs.run_at, now()) + exp(least(jobs.attempts, 10)) * interval '1 second'
        when jobs.job_queue_id is not null or delay_ms = 0 then jobs.run_at
        else greatest(jobs.run_at, now() + delay_ms * (0.5 + random() / 2) * interval '1 millisecond')
      end,
      last_error = coalesce(
        jobs._howdah_cancelled,
        change.message,
        case
          when jobs._howdah_recoveries < 0 then format(
            'The worker died while it ran this job; %s had died with it before', abs(jobs._howdah_recoveries::integer)
          )
          else 'Job recovered after worker interruption'
        end
      ),
      locked_at = null,
      locked_by = null,
      updated_at = now(),
      _howdah_recoveries = least(abs(jobs._howdah_recoveries::integer) + 1, 32767)
    from (
      select job.id, job.locked_by, given.action, given.run_at, given.new_attempts, given.message
      from :"schema"._private_jobs as job
      left join unnest(chosen, actions, run_ats, new_attempts, messages)
        as given(id, action, run_at, new_attempts, message) on given.id = job.id
      where job.id = any(job_ids)
    ) as change
    where jobs.id = change.id
    returning jobs.id, change.locked_by, jobs.task_id, jobs.attempts, jobs._howdah_exhausted
  )
  select 'recovered'::text, updated.id, updated.locked_by, tasks.identifier, updated.attempts, updated._howdah_exhausted
  from updated
  left join :"schema"._private_tasks as tasks on tasks.id = updated.task_id;

  if cardinality(job_ids) < cardinality(found_ids) then
    return query select 'left'::text, null::bigint, null::text, null::text, null::smallint, null::boolean;
  end if;
  perform :"schema"._howdah_notify_freed_v1(job_ids, '{}');
end
$$;

-- Frees the queues that dead workers hold, but not those of which they still
-- hold a job, and returns how many. Waits for nobody; `older_ms` as above.
--
--   beside a claim       it steps over what is locked here, and finds the queue
--                        free afterwards: the living are told
--   commit, answer lost  the next call finds nothing more to free
create function :"schema"._howdah_free_queues_v1(dead text[], older_ms bigint) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  queue_ids integer[];
begin
  queue_ids := array(
    select queues.id from :"schema"._private_job_queues as queues
    where queues.locked_by = any(dead)
      and (older_ms is null or queues.locked_at < now() - older_ms * interval '1 millisecond')
      and not exists (
        select from :"schema"._private_jobs as jobs
        where jobs.job_queue_id = queues.id and not jobs._howdah_exhausted and jobs.locked_by = queues.locked_by
      )
    order by queues.id for update skip locked
  );
  update :"schema"._private_job_queues as queues set locked_at = null, locked_by = null
  where queues.id = any(queue_ids);
  perform :"schema"._howdah_notify_freed_v1('{}', queue_ids);
  return cardinality(queue_ids);
end
$$;

-- Whoever holds locks without being registered: ids of workers of ours whose
-- newest lock is older than `ours_ms`, others whose oldest one is older than
-- `foreign_ms`. Reads the whole table, so it answers nothing when somebody of
-- this schema has asked within `interval_ms`; null asks in any case.
create function :"schema"._howdah_orphans_v1(interval_ms bigint, ours_ms bigint, foreign_ms bigint)
returns table (id text, is_ours boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if interval_ms is not null then
    -- A time in the future is one of before a clock was set back.
    update :"schema"._howdah_sweeper as sweeper set orphans_at = now()
    where sweeper.orphans_at < now() - interval_ms * interval '1 millisecond'
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
      from :"schema"._private_job_queues as queues where queues.locked_by is not null
    ) as lock
    group by lock.id
  ) as holder
  where not exists (select from :"schema"._private_workers as worker where worker.id = holder.id)
    and case
      when holder.is_ours then holder.newest < now() - ours_ms * interval '1 millisecond'
      else holder.oldest < now() - foreign_ms * interval '1 millisecond'
    end
  order by holder.id;
end
$$;

-- The jobs among those of `worker` that carry one of these flags, if there are
-- any: such a worker is given more time. Reads the whole table.
create function :"schema"._howdah_holds_flags_v1(worker text, flags text[]) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from :"schema"._private_jobs as jobs
    where jobs.locked_by = worker
      and exists (select from unnest($2) as flag(name) where jobs.flags -> flag.name = 'true'::jsonb)
  )
$$;

-- One sweep at the word of an operator: recovers what workers hold that have been
-- silent for longer than `threshold_ms`, or `held_ms` if their session still holds
-- its lock, or `resilient_ms` if they have no session to be watched by and hold a
-- job with one of the `flags`; and what unregistered holders hold: ours after `threshold_ms`, others
-- after `foreign_ms`. Answers each of them with the number of its jobs. `dry_run`
-- only tells. Nothing when a sweep is under way elsewhere. Reads all jobs for each
-- worker that only its flags may save.
create function :"schema"._howdah_sweep_v1(
  threshold_ms bigint, held_ms bigint, resilient_ms bigint, flags text[],
  foreign_ms bigint, delay_ms bigint, dry_run boolean
)
returns table (worker_id text, jobs bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  dead text[];
  strangers text[];
begin
  if not pg_try_advisory_xact_lock(1752135525, hashtext(:'schema')) then
    return;
  end if;
  dead := array(
    select worker.id
    from :"schema"._private_workers as worker
    join :"schema"._howdah_workers_v1() as seen on seen.id = worker.id
    where worker._howdah_swept > 0 or case
      when seen.lock = 'held' then worker.last_heartbeat_at < now() - held_ms * interval '1 millisecond'
      when worker.last_heartbeat_at >= now() - threshold_ms * interval '1 millisecond' then false
      when seen.lock = 'lost' or worker.last_heartbeat_at < now() - resilient_ms * interval '1 millisecond' then true
      else not :"schema"._howdah_holds_flags_v1(worker.id, flags)
    end
    order by worker.id
    for update of worker skip locked
  );
  select
    dead || coalesce(array_agg(orphan.id) filter (where orphan.is_ours), '{}'),
    coalesce(array_agg(orphan.id) filter (where not orphan.is_ours), '{}')
  into dead, strangers
  from :"schema"._howdah_orphans_v1(null, threshold_ms, foreign_ms) as orphan;

  if dry_run then
    return query
    select holder.id, (select count(*) from :"schema"._private_jobs as held where held.locked_by = holder.id)
    from unnest(dead || strangers) as holder(id);
    return;
  end if;

  update :"schema"._private_workers as worker set _howdah_swept = greatest(worker._howdah_swept, 1)
  where worker.id = any(dead);
  return query
  with recovered as materialized (
    select job.worker from :"schema"._howdah_recover_v1(dead, delay_ms, null, 2147483646) as job
    where job.kind = 'recovered'
    union all
    select job.worker from :"schema"._howdah_recover_v1(strangers, delay_ms, foreign_ms, 2147483646) as job
    where job.kind = 'recovered'
  )
  select holder.id, count(recovered.worker)
  from unnest(dead || strangers) as holder(id)
  left join recovered on recovered.worker = holder.id
  group by holder.id;
  perform :"schema"._howdah_free_queues_v1(dead, null);
  perform :"schema"._howdah_free_queues_v1(strangers, foreign_ms);
  perform :"schema".delete_stale_workers(dead);
end
$$;
