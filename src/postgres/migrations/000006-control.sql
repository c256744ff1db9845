-- Control of what is stored and of what runs: jobs are cancelled, queues and
-- tasks are paused. What is decided stands in the rows; notifications on
-- howdah:control only make workers look at them sooner.

set local search_path = pg_catalog, pg_temp;

-- Tells workers that something was paused or resumed.
create function :"schema"._howdah_notify_pauses_v1() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select pg_notify('howdah:control', json_build_object('schema', :'schema')::text)
$$;

-- No job of this queue is claimed until then, or until it is resumed. The
-- queue need not exist. Jobs that run go on. Returns the end of the pause.
--
-- A claim that has locked the queue at this moment is waited for; its jobs go
-- back when the worker learns of the pause. Of two calls the one that commits
-- last counts. May be repeated. The row cannot go before this transaction ends,
-- and clean-up spares it while the pause lasts.
create function :"schema"._howdah_pause_queue_v1(queue_name text, until timestamptz default null)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  pause_end timestamptz;
begin
  perform :"schema"._howdah_ensure_names_v1('{}', array[queue_name]);
  update :"schema"._private_job_queues as queue
  set _howdah_paused_until = coalesce(until, 'infinity')
  where queue.queue_name = _howdah_pause_queue_v1.queue_name
  returning queue._howdah_paused_until into pause_end;
  perform :"schema"._howdah_notify_pauses_v1();
  return pause_end;
end
$$;

-- Ends the pause of this queue and tells workers to look at it. True when it
-- was paused; without a row there is nothing to do. May be repeated.
create function :"schema"._howdah_resume_queue_v1(queue_name text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  resumed record;
begin
  select queue.id, queue._howdah_paused_until > now() as was_paused into resumed
  from :"schema"._private_job_queues as queue
  where queue.queue_name = _howdah_resume_queue_v1.queue_name and queue._howdah_paused_until is not null
  for update;
  if not found then
    return false;
  end if;
  update :"schema"._private_job_queues as queue set _howdah_paused_until = null where queue.id = resumed.id;
  perform :"schema"._howdah_notify_v1(1, now(), array[resumed.id]);
  perform :"schema"._howdah_notify_pauses_v1();
  return resumed.was_paused;
end
$$;

-- The same for a task, by its identifier. A claim that began before the commit
-- may take jobs of the task; they go back when the worker learns of the pause.
create function :"schema"._howdah_pause_task_v1(identifier text, until timestamptz default null)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  pause_end timestamptz;
begin
  insert into :"schema"._howdah_paused_tasks as paused (identifier, paused_until)
  values (_howdah_pause_task_v1.identifier, coalesce(until, 'infinity'))
  on conflict on constraint _howdah_paused_tasks_pkey do update set paused_until = excluded.paused_until
  returning paused.paused_until into pause_end;
  -- What is over would cost every claim a look. Who has such a row locked is about to change it.
  delete from :"schema"._howdah_paused_tasks as paused
  where paused.identifier = any(array(
    select over.identifier from :"schema"._howdah_paused_tasks as over
    where over.paused_until <= now()
    for update skip locked
  ));
  perform :"schema"._howdah_notify_pauses_v1();
  return pause_end;
end
$$;

-- Ends the pause of this task. True when it was paused. May be repeated.
create function :"schema"._howdah_resume_task_v1(identifier text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  was_paused boolean;
begin
  delete from :"schema"._howdah_paused_tasks as paused
  where paused.identifier = _howdah_resume_task_v1.identifier
  returning paused.paused_until > now() into was_paused;
  if found then
    perform :"schema"._howdah_notify_pauses_v1();
  end if;
  return coalesce(was_paused, false);
end
$$;

-- What a worker has to know: everything that is paused, who has locked these
-- jobs, and which of them were cancelled since. Told apart by `kind`:
--   q   a paused queue: its id, its name, and the end of the pause
--   t   a paused task: its identifier, and the end of the pause
--   c   a cancelled job: its id, the reason, and the claim that it ran under:
--       worker and time
--   l   a locked job: its id, and the claim that it is locked by. One that is
--       gone or not locked is not told, nor one whose queue its worker has lost
--   a   once: the time of this answer. What was claimed later has seen all that
--       is told here
-- Times are microseconds.
create function :"schema"._howdah_control_v1(job_ids bigint[])
returns table (kind text, id bigint, name text, at bigint, worker text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
as $$
#variable_conflict use_column
begin
  return query
  select 'q', queue.id::bigint, queue.queue_name, :"schema"._howdah_us(queue._howdah_paused_until), null::text
  from :"schema"._private_job_queues as queue
  where queue._howdah_paused_until is not null and queue._howdah_paused_until > now()
  union all
  select 't', null, paused.identifier, :"schema"._howdah_us(paused.paused_until), null
  from :"schema"._howdah_paused_tasks as paused
  where paused.paused_until > now()
  union all
  select 'c', job.id, job._howdah_cancelled, :"schema"._howdah_us(job.locked_at), job.locked_by
  from :"schema"._private_jobs as job
  where job.id = any(job_ids) and job._howdah_cancelled is not null and job.locked_at is not null
  union all
  select 'l', job.id, null, :"schema"._howdah_us(job.locked_at), job.locked_by
  from :"schema"._private_jobs as job
  left join :"schema"._private_job_queues as queue on queue.id = job.job_queue_id
  where job.id = any(job_ids) and job.locked_at is not null
    and (job.job_queue_id is null or queue.locked_by = job.locked_by)
  union all
  select 'a', null, null, :"schema"._howdah_us(clock_timestamp()), null;
end
$$;
