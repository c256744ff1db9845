-- Presence and recovery: who is registered, who looks alive, and what becomes of
-- the jobs of the dead. Who is dead is decided by the sweepers, which watch; here
-- is only what they see and do.
--
-- Jobs of a worker are found by reading the whole table: no index could be kept
-- on the column without making every claim slower. So nothing here but
-- _howdah_orphans_v1 looks at jobs before a worker is known to be dead.

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
--   what has the row locked           is not waited for: that may be its heartbeat,
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
-- and returns them. From then on their heartbeats are rejected. The rows are locked by id, as all do who lock several of them.
--
--   its heartbeat at the same moment  the first to have the row counts: then it lives,
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

-- Has constraints and constraint triggers on jobs that are put off to the commit
-- ask at once (true), or at the commit again (false): what refuses a row then
-- could not be told from the others. Changes nothing but for this transaction.
create function :"schema"._howdah_ask_deferred_v1(at_once boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  names constant text := (
    select string_agg(format('%I.%I', :'schema', deferred.conname), ', ') from pg_constraint as deferred
    where deferred.conrelid = to_regclass(format('%I._private_jobs', :'schema')) and deferred.condeferred
  );
begin
  if names is not null then
    execute format('set constraints %s %s', names, case when at_once then 'immediate' else 'deferred' end);
  end if;
end
$$;

-- Unlocks up to `quantity` jobs of dead workers, and tells the living of them.
--
--   dead             ids that no worker claims under any more
--   delay_ms         when a job without a queue runs: after half to all of it
--   older_ms         only locks that are older, and without a refund: for holders
--                    that may live; null for the dead
--   chosen           only these jobs; null for all. In parallel, for each:
--   actions          default, reschedule or fail
--   run_ats          microseconds, for reschedule
--   new_attempts     for reschedule; null: as if the attempt had not been
--   messages         the new last_error; null for the usual one
--   skip             jobs to leave alone: they were refused a moment ago
--
-- An attempt is given back, unless the job was removed or replaced while it ran,
-- or its handler had been called although its workers keep dying: then it counts
-- and the job waits as after a failure. A job in a queue keeps its place in it.
--
-- All are unlocked with one update. When that is refused, whatever a trigger or
-- constraint says (deferred ones are asked at once), but one of no rows is not,
-- then rows are to blame, and each is unlocked by itself; so are those that a
-- trigger keeps as they are without an error (HWKPT). What comes from outside, a
-- cancel or a timeout, ends the call, unless that was for a single job.
--
-- Answers one row for each job (recovered; failed when no attempt is left, or
-- refused, and why), then `left` if there is more to do, or nothing but `busy` if
-- another session is at it.
--
--   beside a claim or a release  does not wait: what others have locked at
--                                this moment is left for the next call. A release
--                                that comes later is refused by its fence
--   a trigger that waits         for a second at most: then its row is refused
--   two at once                  one of them is told `busy`
--   commit, answer lost          the next call finds what is left
--   the row is gone              the job was completed or removed
create function :"schema"._howdah_recover_v1(
  dead text[], delay_ms bigint, older_ms bigint, quantity integer,
  chosen bigint[] default null, actions text[] default null, run_ats bigint[] default null,
  new_attempts integer[] default null, messages text[] default null, skip bigint[] default null
)
returns table (
  kind text, id bigint, worker text, task text, attempts smallint, failed boolean, state text, message text
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_column
declare
  oldest constant timestamptz := case when older_ms is not null then :{ms_ago(older_ms)} end;
  found_ids bigint[];
  job_ids bigint[];
  holders text[];
  part bigint[];
  written bigint[];
  kept integer;
  freed bigint[] := '{}';
  refused bigint[] := '{}';
  states text[] := '{}';
  reasons text[] := '{}';
  why_state text;
  why text;
  raised_at text;
  -- 0: all of them; then, when that was refused: 1: none; 2: the first by itself; ...
  trial integer := 0;
begin
  :{find_jobs_of_dead()}

  :{recover_in_trials(begin)}

  :{answer_of_recovery()}
  perform :"schema"._howdah_notify_freed_v1(freed, '{}');
end
$$;

-- Frees the queues that dead workers hold, but not those of which they still
-- hold a job. Answers their ids, and for each that a trigger or constraint
-- refuses why. Does not wait; `older_ms` as above, and so is what happens when
-- rows are refused.
--
--   beside a claim       it steps over what is locked here, and finds the queue
--                        free afterwards: the living are told
--   commit, answer lost  the next call finds nothing more to free
create function :"schema"._howdah_free_queues_v1(dead text[], older_ms bigint)
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
begin
  select array_agg(locked.id), array_agg(locked.locked_by) into queue_ids, holders
  from (
    select queues.id, queues.locked_by from :"schema"._private_job_queues as queues
    where queues.locked_by = any(dead)
      and (older_ms is null or queues.locked_at < :{ms_ago(older_ms)})
      and not exists (
        select from :"schema"._private_jobs as jobs
        where :{in_queue_index(jobs, queues.id)} and jobs.locked_by = queues.locked_by
      )
    order by queues.id for update skip locked
  ) as locked;
  if queue_ids is null then
    return;
  end if;

  loop
    :{try_to_unlock_queues()}
  end loop;

  perform :"schema"._howdah_notify_freed_v1('{}', freed);
  return query
  select held.id, held.worker, null::text, null::text from unnest(queue_ids, holders) as held(id, worker)
  where held.id = any(freed);
end
$$;

-- Who holds locks without being registered: ids of workers of ours whose
-- newest lock is older than `ours_ms`, others whose oldest one is older than
-- `foreign_ms`. Reads the whole table, so it answers nothing when a worker of
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
      from :"schema"._private_job_queues as queues where queues.locked_by is not null
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
-- after `foreign_ms`. Answers a row `holder` for each of them, with the number of
-- its jobs, and a row `job`, `queue` or `worker` for each row that a trigger or
-- constraint refuses to have changed, with its id and why: that holds up no
-- others. `dry_run` only tells. Nothing when a sweep is under way elsewhere. Reads
-- all jobs for each worker that only its flags may save.
create function :"schema"._howdah_sweep_v1(
  threshold_ms bigint, held_ms bigint, resilient_ms bigint, flags text[],
  foreign_ms bigint, delay_ms bigint, dry_run boolean
)
returns table (kind text, worker_id text, jobs bigint, id text, state text, message text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  dead text[];
  strangers text[];
  holder text;
begin
  if not :{try_sweep_lock()} then
    return;
  end if;
  dead := array(
    select worker.id
    from :"schema"._private_workers as worker
    join :"schema"._howdah_workers_v1() as seen on seen.id = worker.id
    where worker._howdah_swept > 0 or case
      when seen.lock = 'held' then worker.last_heartbeat_at < :{ms_ago(held_ms)}
      when worker.last_heartbeat_at >= :{ms_ago(threshold_ms)} then false
      when seen.lock = 'lost' or worker.last_heartbeat_at < :{ms_ago(resilient_ms)} then true
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
    select
      'holder'::text, given.id,
      (select count(*) from :"schema"._private_jobs as held where held.locked_by = given.id),
      null::text, null::text, null::text
    from unnest(dead || strangers) as given(id);
    return;
  end if;

  -- One that cannot be declared dead goes on beating, so it keeps what it holds.
  foreach holder in array dead loop
    begin
      update :"schema"._private_workers as worker set _howdah_swept = greatest(worker._howdah_swept, 1)
      where worker.id = holder;
    exception when others or assert_failure then
      dead := array_remove(dead, holder);
      return query select 'worker'::text, holder, null::bigint, holder, sqlstate, sqlerrm;
    end;
  end loop;

  return query
  with answered as materialized (
    select job.kind, job.worker, job.id, job.state, job.message
    from :"schema"._howdah_recover_v1(dead, delay_ms, null, 2147483646) as job
    union all
    select job.kind, job.worker, job.id, job.state, job.message
    from :"schema"._howdah_recover_v1(strangers, delay_ms, foreign_ms, 2147483646) as job
  )
  select 'holder'::text, given.id, count(answered.worker), null::text, null::text, null::text
  from unnest(dead || strangers) as given(id)
  left join answered on answered.worker = given.id and answered.kind = 'recovered'
  group by given.id
  union all
  select 'job'::text, answered.worker, null::bigint, answered.id::text, answered.state, answered.message
  from answered where answered.kind = 'refused';

  return query
  select 'queue'::text, freed.worker, null::bigint, freed.id::text, freed.state, freed.message
  from :"schema"._howdah_free_queues_v1(dead, null) as freed where freed.state is not null
  union all
  select 'queue'::text, freed.worker, null::bigint, freed.id::text, freed.state, freed.message
  from :"schema"._howdah_free_queues_v1(strangers, foreign_ms) as freed where freed.state is not null;

  foreach holder in array dead loop
    begin
      perform :"schema".delete_stale_workers(array[holder]);
    exception when others or assert_failure then
      return query select 'worker'::text, holder, null::bigint, holder, sqlstate, sqlerrm;
    end;
  end loop;
end
$$;
