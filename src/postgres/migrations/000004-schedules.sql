-- Jobs that recur. Entries of a crontab live in the code of the workers; what is
-- stored of them is the ledger that all implementations share,
-- _private_known_crontabs. Schedules that are made at run time live here.
--
-- Every tick is added by the statement that marks it in a ledger: both happen or
-- neither, and of all workers that try one is first. Ledger rows are locked
-- before everything else, in the order of their ids.

set local search_path = pg_catalog, pg_temp;

create table :"schema"._howdah_schedules (
  id text not null,
  task text not null,
  expression text not null,
  time_zone text not null,
  -- How far back to look for missed ticks, and which of them to add.
  fill_ms bigint not null default 0,
  missed text not null default 'all',
  payload json not null default '{}'::json,
  queue_name text,
  max_attempts integer,
  job_key text,
  job_key_mode text,
  priority integer,
  flags jsonb,
  timeout_ms integer,
  -- Earlier ticks do not belong to the schedule as it is now.
  since timestamptz not null default now(),
  last_tick timestamptz,
  -- Both null: not paused. Without an end: until it is resumed.
  paused_at timestamptz,
  paused_until timestamptz,
  -- When a worker that runs and knows the task last said so.
  task_seen_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Another one after every change that workers have to know of.
  version uuid not null default gen_random_uuid(),
  constraint _howdah_schedules_pkey primary key (id),
  constraint _howdah_schedules_id_check check (length(id) between 1 and 128),
  constraint _howdah_schedules_missed_check check (missed in ('skip', 'once', 'all')),
  constraint _howdah_schedules_fill_check check (fill_ms >= 0)
);

-- Keeps version, updated_at and since true, with each change of a schedule.
create function :"schema"._howdah_schedule_changed() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if (old.expression, old.time_zone) is distinct from (new.expression, new.time_zone) then
    new.since := greatest(new.since, now());
  end if;
  if row(
    old.task, old.expression, old.time_zone, old.fill_ms, old.missed, old.payload::text, old.queue_name,
    old.max_attempts, old.job_key, old.job_key_mode, old.priority, old.flags, old.since, old.paused_at, old.paused_until,
    old.timeout_ms
  ) is distinct from row(
    new.task, new.expression, new.time_zone, new.fill_ms, new.missed, new.payload::text, new.queue_name,
    new.max_attempts, new.job_key, new.job_key_mode, new.priority, new.flags, new.since, new.paused_at, new.paused_until,
    new.timeout_ms
  ) then
    new.version := gen_random_uuid();
    new.updated_at := now();
  end if;
  return new;
end
$$;

create trigger _howdah_schedule_changed before update on :"schema"._howdah_schedules
for each row execute function :"schema"._howdah_schedule_changed();

-- Tells workers to read the schedules again.
create function :"schema"._howdah_schedules_notify() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('howdah:schedules', :'schema');
  return null;
end
$$;

create trigger _howdah_schedules_notify
after insert or delete or update of
  task, expression, time_zone, fill_ms, missed, payload, queue_name, max_attempts, job_key, job_key_mode, priority,
  flags, timeout_ms, since, paused_at, paused_until
on :"schema"._howdah_schedules
for each statement execute function :"schema"._howdah_schedules_notify();

-- A schedule as our clients read it.
create type :"schema"._howdah_schedule_v1 as (
  id text,
  task text,
  expression text,
  time_zone text,
  fill_ms bigint,
  missed text,
  payload json,
  queue_name text,
  max_attempts integer,
  job_key text,
  job_key_mode text,
  priority integer,
  flags jsonb,
  timeout_ms integer,
  since timestamptz,
  last_tick timestamptz,
  paused_at timestamptz,
  paused_until timestamptz,
  task_seen_at timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  version uuid
);

-- Stores a schedule, or changes the one that has this id. A pause stays, and so
-- does the ledger; ticks from before a change of the expression are forgotten.
create function :"schema"._howdah_upsert_schedule_v1(
  id text,
  task text,
  expression text,
  time_zone text,
  fill_ms bigint,
  missed text,
  payload json,
  queue_name text,
  max_attempts integer,
  job_key text,
  job_key_mode text,
  priority integer,
  flags jsonb,
  timeout_ms integer default null
) returns :"schema"._howdah_schedule_v1
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into :"schema"._howdah_schedules as stored (
    id, task, expression, time_zone, fill_ms, missed, payload,
    queue_name, max_attempts, job_key, job_key_mode, priority, flags, timeout_ms
  )
  values (
    _howdah_upsert_schedule_v1.id, _howdah_upsert_schedule_v1.task, _howdah_upsert_schedule_v1.expression,
    _howdah_upsert_schedule_v1.time_zone, _howdah_upsert_schedule_v1.fill_ms, _howdah_upsert_schedule_v1.missed,
    _howdah_upsert_schedule_v1.payload, _howdah_upsert_schedule_v1.queue_name,
    _howdah_upsert_schedule_v1.max_attempts, _howdah_upsert_schedule_v1.job_key,
    _howdah_upsert_schedule_v1.job_key_mode, _howdah_upsert_schedule_v1.priority, _howdah_upsert_schedule_v1.flags,
    _howdah_upsert_schedule_v1.timeout_ms
  )
  on conflict (id) do update set
    task = excluded.task,
    expression = excluded.expression,
    time_zone = excluded.time_zone,
    fill_ms = excluded.fill_ms,
    missed = excluded.missed,
    payload = excluded.payload,
    queue_name = excluded.queue_name,
    max_attempts = excluded.max_attempts,
    job_key = excluded.job_key,
    job_key_mode = excluded.job_key_mode,
    priority = excluded.priority,
    flags = excluded.flags,
    timeout_ms = excluded.timeout_ms
  returning
    :{schedule_columns(stored)}
$$;

-- Adds no ticks before until, or none at all without it. A pause that is over
-- leaves its mark in since before a new one begins.
create function :"schema"._howdah_pause_schedule_v1(id text, until timestamptz)
returns setof :"schema"._howdah_schedule_v1
language sql
set search_path = pg_catalog, pg_temp
as $$
  update :"schema"._howdah_schedules as stored
  set
    since = case when stored.paused_until <= now() then greatest(stored.since, stored.paused_until) else stored.since end,
    paused_at = case
      when stored.paused_at is null or stored.paused_until <= now() then now()
      else stored.paused_at
    end,
    paused_until = _howdah_pause_schedule_v1.until
  where stored.id = _howdah_pause_schedule_v1.id
  returning
    :{schedule_columns(stored)}
$$;

-- Ends a pause. What was due during it stays undone.
create function :"schema"._howdah_resume_schedule_v1(id text) returns setof :"schema"._howdah_schedule_v1
language sql
set search_path = pg_catalog, pg_temp
as $$
  update :"schema"._howdah_schedules as stored
  set
    since = case
      when stored.paused_at is null then stored.since
      else greatest(stored.since, least(now(), stored.paused_until))
    end,
    paused_at = null,
    paused_until = null
  where stored.id = _howdah_resume_schedule_v1.id
  returning
    :{schedule_columns(stored)}
$$;

-- Adds the job of one tick and returns its id. Workers are not notified yet. HWDRP when a
-- trigger keeps it from being stored.
create function :"schema"._howdah_add_tick_job_v1(
  task text,
  payload json,
  queue_name text,
  tick timestamptz,
  max_attempts integer,
  job_key text,
  priority integer,
  flags jsonb,
  job_key_mode text,
  timeout_ms integer
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  added constant bigint := (:"schema"._howdah_add_job_ids_v1(
    array[task], array[payload], array[queue_name], array[tick], array[max_attempts], array[job_key],
    array[priority], array[flags], array[job_key_mode], false, array[timeout_ms]
  ))[1];
begin
  if added is null then
    raise exception using errcode = 'HWDRP', message = 'A trigger on the jobs table has kept the job from being stored.';
  end if;
  return added;
end
$$;

-- Locks what the jobs of several ticks need, all at once and in the order in
-- which everybody does.
create function :"schema"._howdah_prepare_ticks_v1(tasks text[], queue_names text[], job_keys text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from unnest(job_keys) as key where key is not null) then
    perform :"schema"._howdah_lock_keys_v1(job_keys);
  end if;
  perform :"schema"._howdah_ensure_names_v1(tasks, queue_names);
  perform from (
    select job.id from :"schema"._private_jobs as job where job.key = any(job_keys) order by job.id for update
  ) as locked;
end
$$;

-- Adds the ticks of crontab entries that no worker has added yet, and returns a row
-- for each position, in order: the id of the job, or null when another worker
-- was first. Ticks are microseconds since 1970, those of one entry ascending. A
-- tick without a payload is marked and gets no job; run_ats replaces the time of
-- the tick where it is not null.
-- Another worker with the same ticks waits for the marks and finds them done. A
-- connection that dies before the commit leaves neither mark nor job; one that
-- dies after it leaves both, and who asks again finds the marks. A mark that
-- is deleted meanwhile gives no job, as when another worker was first. When
-- one job is refused, or dropped by a trigger (HWDRP), nothing of it all is marked.
create function :"schema"._howdah_add_cron_ticks_v1(
  identifiers text[],
  ticks bigint[],
  tasks text[],
  payloads json[],
  queue_names text[],
  max_attempts integer[],
  job_keys text[],
  priorities integer[],
  flag_sets jsonb[],
  job_key_modes text[],
  timeouts integer[] default null,
  run_ats timestamptz[] default null
) returns table (job_id bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  wanted record;
  added bigint[];
begin
  insert into :"schema"._private_known_crontabs (identifier, known_since)
  select given.identifier, :"schema"._howdah_at(min(given.tick))
  from unnest(identifiers, ticks) as given(identifier, tick)
  group by given.identifier
  order by given.identifier collate "C"
  on conflict do nothing;

  perform from (
    select known.identifier from :"schema"._private_known_crontabs as known
    where known.identifier = any(identifiers)
    order by known.identifier collate "C"
    for update
  ) as locked;

  perform :"schema"._howdah_prepare_ticks_v1(tasks, queue_names, job_keys);

  for wanted in
    select *, :"schema"._howdah_at(given.tick) as tick_at
    from unnest(
      identifiers, ticks, tasks, payloads, queue_names, max_attempts, job_keys, priorities, flag_sets, job_key_modes,
      timeouts, run_ats
    ) with ordinality as given(
      identifier, tick, task, payload, queue_name, max_attempts, job_key, priority, flags, job_key_mode, timeout_ms,
      run_at, position
    )
    order by given.position
  loop
    job_id := null;
    update :"schema"._private_known_crontabs as known
    set last_execution = wanted.tick_at
    where known.identifier = wanted.identifier
      and (known.last_execution is null or known.last_execution < wanted.tick_at);
    if found and wanted.payload is not null then
      :{add_wanted_tick()}
    end if;
    return next;
  end loop;
  perform :"schema"._howdah_notify_jobs_v1(added);
end
$$;

-- The same for stored schedules: the caller sends how their jobs are stored, as
-- it has read that with the version. The second column says changed when the
-- schedule is another one than the caller knows, or gone; the caller then has to
-- look again.
create function :"schema"._howdah_add_schedule_ticks_v1(
  ids text[],
  versions uuid[],
  ticks bigint[],
  tasks text[],
  payloads json[],
  queue_names text[],
  max_attempts integer[],
  job_keys text[],
  priorities integer[],
  flag_sets jsonb[],
  job_key_modes text[],
  timeouts integer[] default null,
  run_ats timestamptz[] default null
) returns table (job_id bigint, changed boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  wanted record;
  schedule record;
  added bigint[];
begin
  perform from (
    select stored.id from :"schema"._howdah_schedules as stored
    where stored.id = any(ids)
    order by stored.id collate "C"
    for update
  ) as locked;

  perform :"schema"._howdah_prepare_ticks_v1(tasks, queue_names, job_keys);

  for wanted in
    select *, :"schema"._howdah_at(given.tick) as tick_at
    from unnest(
      ids, versions, ticks, tasks, payloads, queue_names, max_attempts, job_keys, priorities, flag_sets, job_key_modes,
      timeouts, run_ats
    ) with ordinality as given(
      id, version, tick, task, payload, queue_name, max_attempts, job_key, priority, flags, job_key_mode, timeout_ms,
      run_at, position
    )
    order by given.position
  loop
    job_id := null;
    select stored.since, stored.last_tick, stored.paused_at, stored.paused_until
    into schedule
    from :"schema"._howdah_schedules as stored
    where stored.id = wanted.id and stored.version = wanted.version;
    changed := not found;
    if not changed
      and wanted.tick_at >= schedule.since
      and (schedule.last_tick is null or schedule.last_tick < wanted.tick_at)
      and (schedule.paused_at is null or schedule.paused_until <= wanted.tick_at)
    then
      update :"schema"._howdah_schedules as stored set last_tick = wanted.tick_at where stored.id = wanted.id;
      if wanted.payload is not null then
        :{add_wanted_tick()}
      end if;
    end if;
    return next;
  end loop;
  perform :"schema"._howdah_notify_jobs_v1(added);
end
$$;
