-- The public SQL interface (docs/reference/sql.md), and the functions behind
-- the client. Names, argument names, types and defaults of the public ones are
-- shared with other implementations and never change; there are no overloads.
--
-- Every function resolves names in pg_catalog only and qualifies the rest, so
-- that no search_path of a caller reaches inside. All run with the rights of
-- the caller, except for the two that look for a job by its key in order to add
-- one: they say so, and only roles that they are granted to may call them.
--
-- No function that our code calls answers with the row type of a table, or
-- depends on what columns there are beside those that it names. A session keeps
-- plans, and after a column was added (by a user, or by the migration of a later
-- release) a plan that was made for the old row type fails until the session
-- ends. The public functions of the shared interface answer with rows of
-- _private_jobs, and select them from the table itself.
--
-- What waits for locks takes them in one order: key locks by number, new
-- task rows and then new queue rows by name, job rows by id, queue rows by id,
-- rows of workers by id.

set local search_path = pg_catalog, pg_temp;

-- Tells the workers of this schema about jobs that are due. Other
-- implementations read count and ignore the rest; r keeps PostgreSQL from
-- folding equal notifications of one transaction into one.
--
-- With job_ids, these are the jobs, and none of them is in a queue: a worker that
-- has nothing else to look for need not search for them.
create function :"schema"._howdah_notify_v1(
  job_count bigint, at timestamptz, queue_ids integer[], job_ids bigint[] default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('jobs:insert', format(
    '{"r":%s,"count":%s,"schema":%s,"at":%s,"queues":%s%s}',
    random(), job_count, to_json(:'schema'::text), :"schema"._howdah_us(at),
    array_to_json(coalesce(queue_ids[1:50], '{}')),
    ',"ids":' || array_to_json(job_ids)
  ));
end
$$;

-- Tells about those of the jobs that are due soon, if there are any. What is
-- due later than two seconds from now is found by polling.
create function :"schema"._howdah_notify_jobs_v1(job_ids bigint[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select :"schema"._howdah_notify_v1(
    count(*), min(job.run_at), array_agg(distinct job.job_queue_id) filter (where job.job_queue_id is not null)
  )
  from :"schema"._private_jobs as job
  where job.id = any(job_ids) and job.is_available and job.run_at <= :{soon(clock_timestamp())}
  having count(*) > 0
$$;

-- Tells about jobs and queues whose locks ended. The count is the number of
-- jobs, or of queues if only these were locked: each may let one job start.
create function :"schema"._howdah_notify_freed_v1(job_ids bigint[], freed_queues integer[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select :"schema"._howdah_notify_v1(
    case when freed.jobs > 0 then freed.jobs else cardinality(freed_queues) end,
    coalesce(freed.run_at, now()),
    array(select unnest(freed_queues) union select unnest(freed.queue_ids))
  )
  from (
    select
      count(*) as jobs,
      min(job.run_at) as run_at,
      array_agg(distinct job.job_queue_id) filter (where job.job_queue_id is not null) as queue_ids
    from :"schema"._private_jobs as job
    where job.id = any(job_ids) and job.is_available and job.run_at <= :{soon(clock_timestamp())}
  ) as freed
  where freed.jobs > 0 or cardinality(freed_queues) > 0
$$;

-- Makes everyone else who adds or removes a job with one of these keys wait for
-- the end of this transaction. The server's lock table has room for some
-- thousand entries: a call with more keys than fit well shuts out all keyed
-- adds of the schema with a single lock.
create function :"schema"._howdah_lock_keys_v1(keys text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  every_key constant bigint := hashtextextended(:'schema', 0);
  numbers bigint[];
begin
  select array_agg(distinct hashtextextended(key, every_key)) into numbers
  from unnest(keys) as key where key is not null;
  if cardinality(numbers) > 500 then
    perform pg_advisory_xact_lock(every_key);
  else
    perform pg_advisory_xact_lock_shared(every_key);
    perform pg_advisory_xact_lock(number) from (
      select number from unnest(numbers) as number order by number
    ) as sorted;
  end if;
end
$$;

-- Makes sure that these tasks and queues have rows, and that they keep them
-- until the end of this transaction: the inserts take a lock on their tables
-- even when nothing is missing, and clean-up waits for it. Names that are there
-- are not inserted again, because every try would use up an id.
create function :"schema"._howdah_ensure_names_v1(identifiers text[], queue_names text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into :"schema"._private_tasks (identifier)
  select name from unnest(identifiers) as name
  group by name
  having not exists (select from :"schema"._private_tasks as task where task.identifier = name)
  order by name collate "C"
  on conflict do nothing;

  insert into :"schema"._private_job_queues (queue_name)
  select name from unnest(queue_names) as name
  where name is not null
  group by name
  having not exists (select from :"schema"._private_job_queues as queue where queue.queue_name = name)
  order by name collate "C"
  on conflict do nothing;

  -- In repeatable read, a row that this transaction sees may have been cleaned
  -- up since its snapshot. Inserting it once more under its old id does nothing
  -- while it is there, and puts it back when it is gone. In that case the
  -- transaction sees both, which is why every look-up of an id has a limit.
  if current_setting('transaction_isolation') <> 'read committed' then
    insert into :"schema"._private_tasks (id, identifier) overriding system value
    select task.id, task.identifier from :"schema"._private_tasks as task
    where task.identifier = any(identifiers)
    order by task.identifier collate "C"
    on conflict do nothing;

    insert into :"schema"._private_job_queues (id, queue_name) overriding system value
    select queue.id, queue.queue_name from :"schema"._private_job_queues as queue
    where queue.queue_name = any(queue_names)
    order by queue.queue_name collate "C"
    on conflict do nothing;
  end if;
end
$$;

-- The items of both arrays. Goes through jsonb, as in the other
-- implementations; what that cannot hold is refused, because keeping only one
-- of the two arrays would lose work.
create function :"schema"._howdah_merge_v1(stored json, added json) returns json
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  return (stored::jsonb || added::jsonb)::json;
exception
  when data_exception or program_limit_exceeded then
    raise exception using
      errcode = 'HWMRG',
      message = 'The stored payload and the added one are arrays that cannot be merged',
      detail = sqlerrm,
      hint = 'jsonb holds no NUL character (U+0000), no half of a surrogate pair and no number out of the range of numeric.';
end
$$;

-- A set of flags as the object in which it is stored, null for none.
create function :"schema"._howdah_flag_set_v1(flags text[]) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select jsonb_object_agg(flag, true) from unnest(flags) as flag);
end
$$;

-- What is said when triggers keep jobs at these places from being stored.
create function :"schema"._howdah_dropped_v1(places bigint[]) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format(
    'A trigger on the jobs table has kept %s from being stored, so nothing is.',
    case
      when cardinality(places) = 0 then 'a job without a key'
      else (
        select string_agg(format('jobs[%s]', place), ', ' order by position)
        from unnest(places[1:20]) with ordinality as dropped(place, position)
      ) || case when cardinality(places) > 20 then format(' and %s more', cardinality(places) - 20) else '' end
    end
  );
end
$$;

-- Adds or updates jobs that have keys, and any without among them, and answers
-- with their ids in the order given; otherwise like
-- _howdah_add_jobs_without_keys_v1. Workers are not notified yet.
--
-- Runs with the rights of the schema's owner: who adds by key has to lock and
-- change waiting jobs, and end the attempts of running ones, but only those that
-- have one of these keys. With rights on the table a producer could change any.
--
--   beside another add or removal of one of the keys   one waits for the other's
--                                                      end, by the locks of keys
--   beside a claim or a release of such a job          waits for it; what is then
--                                                      locked gives up its key
--   lost before the commit                             leaves everything as it was
--   lost after it                                      all are stored; adding again
--                                                      finds those that still wait
create function :"schema"._howdah_add_keyed_jobs_v1(
  identifiers text[],
  payloads json[],
  queue_names text[],
  run_ats timestamptz[],
  max_attempts integer[],
  job_keys text[],
  priorities integer[],
  flag_sets jsonb[],
  job_key_modes text[],
  timeouts integer[],
  out ids bigint[],
  out due_count bigint,
  out due_at timestamptz,
  out due_queue_ids integer[]
)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
declare
  written_keys text[];
  soon constant timestamptz := :{soon(clock_timestamp())};
begin
  if exists (
    select from unnest(job_keys, job_key_modes) as spec(key, mode)
    where spec.key is not null and spec.mode not in ('replace', 'preserve_run_at')
  ) then
    raise exception using
      errcode = 'GWBKM',
      message = 'Invalid job_key_mode value, expected ''replace'' or ''preserve_run_at''.';
  end if;
  perform :"schema"._howdah_lock_keys_v1(job_keys);
  perform :"schema"._howdah_ensure_names_v1(identifiers, queue_names);

  perform from (
    select job.id from :"schema"._private_jobs as job where job.key = any(job_keys) order by job.id for update
  ) as locked;

  -- A job that runs, or that has no attempt left, gives up its key.
  :{detach_jobs(job, job.key = any(job_keys) and not job.is_available)};

  with written as (
    insert into :"schema"._private_jobs as job
      (task_id, job_queue_id, payload, priority, run_at, max_attempts, key, flags, _howdah_timeout_ms)
    select
      :{task_id(spec.identifier)},
      :{queue_id(spec.queue_name)},
      case
        when json_typeof(stored.payload) = 'array' and json_typeof(spec.payload) = 'array'
        then :"schema"._howdah_merge_v1(stored.payload, spec.payload)
        else coalesce(spec.payload, '{}')
      end,
      coalesce(spec.priority, 0),
      case
        when stored.attempts = 0 and spec.mode = 'preserve_run_at' then stored.run_at
        else coalesce(spec.run_at, now())
      end,
      coalesce(spec.max_attempts, 25),
      spec.key,
      spec.flags,
      spec.timeout
    from unnest(
      identifiers, payloads, queue_names, run_ats, max_attempts, job_keys, priorities, flag_sets, job_key_modes,
      timeouts
    ) with ordinality
      as spec(identifier, payload, queue_name, run_at, max_attempts, key, priority, flags, mode, timeout, position)
    left join :"schema"._private_jobs as stored on stored.key = spec.key
    order by spec.position
    on conflict (key) do update set
      task_id = excluded.task_id,
      job_queue_id = excluded.job_queue_id,
      payload = excluded.payload,
      priority = excluded.priority,
      run_at = excluded.run_at,
      max_attempts = excluded.max_attempts,
      flags = excluded.flags,
      attempts = 0,
      last_error = null,
      revision = job.revision + 1,
      updated_at = now(),
      _howdah_recoveries = 0,
      _howdah_timeout_ms = excluded._howdah_timeout_ms
    where job.locked_at is null
    returning job.id, job.run_at, job.job_queue_id, job.key
  )
  select
    array_agg(written.id),
    array_agg(written.key) filter (where written.key is not null),
    count(*) filter (where written.run_at <= soon),
    min(written.run_at) filter (where written.run_at <= soon),
    array_agg(written.job_queue_id) filter (where written.job_queue_id is not null and written.run_at <= soon)
  into ids, written_keys, due_count, due_at, due_queue_ids
  from written;

  -- What is missing met a row that was inserted without our key locks and is
  -- locked already: the caller may try again. Otherwise a trigger of a user has
  -- kept it from being written. Everything is taken back.
  if coalesce(cardinality(ids), 0) < cardinality(identifiers) then
    if not exists (
      select from :"schema"._private_jobs as job where job.key = any(job_keys) and job.locked_at is not null
    ) then
      raise exception using
        errcode = 'HWDRP',
        message = :"schema"._howdah_dropped_v1(array(
          select spec.position - 1 from unnest(job_keys) with ordinality as spec(key, position)
          where spec.key <> all(coalesce(written_keys, '{}'))
          order by spec.position
        ));
    end if;
    raise exception using
      errcode = 'GWNOR',
      message = format('Unable to schedule job for key "%s"', (
        select coalesce(min(job.key), '<null>') from :"schema"._private_jobs as job
        where job.key = any(job_keys) and job.locked_at is not null
      ));
  end if;
end
$$;

-- What unsafe_dedupe does with a job that is there, whatever its state: it counts
-- one more revision. Answers its id, or null when there is none. With the rights
-- of the schema's owner, and beside others, as _howdah_add_keyed_jobs_v1.
create function :"schema"._howdah_touch_keyed_job_v1(job_key text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  found_id bigint;
begin
  perform :"schema"._howdah_lock_keys_v1(array[job_key]);
  update :"schema"._private_jobs as stored
  set revision = stored.revision + 1, updated_at = now()
  where stored.key = job_key
  returning stored.id into found_id;
  return found_id;
end
$$;

revoke execute on function :"schema"._howdah_add_keyed_jobs_v1 from public;
revoke execute on function :"schema"._howdah_touch_keyed_job_v1 from public;

-- Jobs as they are stored, in the order of their ids: for each a list of texts,
-- with what a client reads of a job, its queue, and whether it is due. A payload
-- that is the one given at its place is left out. When an after trigger has
-- removed one of them: HWDRP, with the places; without `given`, which one caller
-- of a single job leaves out, null.
create function :"schema"._howdah_stored_jobs_v1(job_ids bigint[], given json[] default null) returns json
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
declare
  stored json;
  found_count bigint;
begin
  select json_agg(json_build_array(
      job.id::text,
      task.identifier,
      queue.queue_name,
      case when given[wanted.position]::text is distinct from job.payload::text then job.payload::text end,
      job.priority::text,
      :"schema"._howdah_us(job.run_at)::text,
      job.attempts::text,
      job.max_attempts::text,
      job.last_error,
      :"schema"._howdah_us(job.created_at)::text,
      :"schema"._howdah_us(job.updated_at)::text,
      job.key,
      job.revision::text,
      job.flags::text,
      :"schema"._howdah_us(job.locked_at)::text,
      job.locked_by,
      case
        when job.locked_at is not null then 'running'
        when job.attempts >= job.max_attempts then 'failed'
        when job.run_at > now() then 'scheduled'
        else 'ready'
      end,
      job._howdah_timeout_ms::text,
      job.job_queue_id::text,
      case when job.run_at <= :{soon(now())} then 't' else 'f' end
    ) order by wanted.position), count(*)
  into stored, found_count
  from unnest(job_ids) with ordinality as wanted(id, position)
  join :"schema"._private_jobs as job on job.id = wanted.id
  left join :"schema"._private_tasks as task on task.id = job.task_id
  left join :"schema"._private_job_queues as queue on queue.id = job.job_queue_id;
  -- The answer is read by place.
  if given is not null and found_count < cardinality(job_ids) then
    raise exception using
      errcode = 'HWDRP',
      message = :"schema"._howdah_dropped_v1(array(
        select wanted.position - 1 from unnest(job_ids) with ordinality as wanted(id, position)
        where not exists (select from :"schema"._private_jobs as job where job.id = wanted.id)
        order by wanted.position
      ));
  end if;
  return stored;
end
$$;

-- Adds one job for each payload and tells in one row, in that order, what the
-- caller cannot know about them: a fraction of the work that whole rows are.
-- There is one identifier for all jobs or one for each. The other arrays may be
-- null, which takes the defaults. None of the jobs has a key. Times are
-- microseconds; run_times is null when run_ats is, unless patience_ms is given,
-- and stored_flags is a list of flag sets, null when none was given. Unless
-- notify is true the caller tells the workers of those that are due, after its
-- commit.
--
-- Where the jobs table has a trigger that may change what is inserted, stored has
-- the jobs as they are if all_or_none, see _howdah_stored_jobs_v1. With it a trigger
-- that skips one of them takes all back: HWDRP, with the places.
--
-- With patience_ms these are adds of strangers that share a statement, and none
-- of them may suffer for another: it waits at most so long for a lock of others
-- (55P03), and stores all of them or none (HWALN) even if a trigger skips a row.
-- The caller then adds each of them alone. What such a statement may wait for:
--
--   a name whose row was cleaned up, and that another transaction just adds
--   clean-up, which shuts out all adds for a moment, or a migration
--   whatever triggers and unique indexes of users wait for
--
-- Beside others of its kind it does not wait. A connection that ends before
-- the commit leaves nothing, one that ends after it leaves all of the jobs; the
-- caller cannot tell the one from the other.
create function :"schema"._howdah_add_jobs_without_keys_v1(
  identifiers text[],
  payloads json[],
  queue_names text[],
  run_ats timestamptz[],
  max_attempts integer[],
  priorities integer[],
  flag_sets jsonb[],
  timeouts integer[],
  notify boolean,
  patience_ms integer default null,
  all_or_none boolean default false,
  out ids bigint[],
  out created_at bigint,
  out run_times bigint[],
  out stored_flags json,
  out due_count bigint,
  out due_at bigint,
  out due_queue_ids integer[],
  out stored json
)
language plpgsql
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
#variable_conflict use_column
declare
  with_times constant boolean := run_ats is not null or patience_ms is not null;
  with_flags constant boolean := flag_sets is not null;
  only_task integer;
  dropped bigint[] := '{}';
  -- By the clock: the transaction may have been open for long.
  soon constant timestamptz := :{soon(clock_timestamp())};
begin
  if patience_ms is not null then
    perform set_config('lock_timeout', patience_ms::text, true);
  end if;

  perform :"schema"._howdah_ensure_names_v1(identifiers, queue_names);
  -- Most jobs that come together are of one task, which is looked up once.
  if cardinality(identifiers) = 1 then
    select task.id into only_task from :"schema"._private_tasks as task where task.identifier = identifiers[1] limit 1;
  end if;

  -- Nothing here is distinct or ordered: PostgreSQL would sort the jobs for it,
  -- and the ids would not be in the order given.
  with added as (
    insert into :"schema"._private_jobs as job
      (task_id, job_queue_id, payload, priority, run_at, max_attempts, flags, _howdah_timeout_ms)
    select
      coalesce(
        only_task,
        :{task_id(spec.identifier)}
      ),
      case
        when spec.queue_name is not null
        then :{queue_id(spec.queue_name)}
      end,
      :{with_defaults(spec.payload, spec.priority, spec.run_at, spec.max_attempts)},
      spec.flags,
      spec.timeout
    from unnest(identifiers, payloads, queue_names, run_ats, max_attempts, priorities, flag_sets, timeouts)
      with ordinality
      as spec(identifier, payload, queue_name, run_at, max_attempts, priority, flags, timeout, position)
    order by spec.position
    returning job.id, job.job_queue_id, job.run_at, job.created_at, job.flags
  )
  select
    array_agg(added.id),
    :"schema"._howdah_us(min(added.created_at)),
    array_agg(:"schema"._howdah_us(added.run_at)) filter (where with_times),
    json_agg(added.flags) filter (where with_flags),
    count(*) filter (where added.run_at <= soon),
    :"schema"._howdah_us(min(added.run_at)),
    array_agg(added.job_queue_id)
      filter (where added.job_queue_id is not null and added.run_at <= soon)
  into ids, created_at, run_times, stored_flags, due_count, due_at, due_queue_ids
  from added;

  if patience_ms is not null and cardinality(ids) is distinct from cardinality(payloads) then
    raise exception using
      errcode = 'HWALN',
      message = 'A trigger has kept one of the jobs from being stored: each has to be added alone';
  end if;

  if all_or_none and cardinality(ids) is distinct from cardinality(payloads) then
    -- All of it is taken back in a moment; until then each of them is tried alone.
    for place in 1 .. cardinality(payloads) loop
      insert into :"schema"._private_jobs
        (task_id, job_queue_id, payload, priority, run_at, max_attempts, flags, _howdah_timeout_ms)
      values (
        coalesce(
          only_task,
          :{task_id(identifiers[place])}
        ),
        :{queue_id(queue_names[place])},
        :{with_defaults(payloads[place], priorities[place], run_ats[place], max_attempts[place])},
        flag_sets[place],
        timeouts[place]
      );
      if not found then
        dropped := dropped || (place - 1)::bigint;
      end if;
    end loop;
    raise exception using errcode = 'HWDRP', message = :"schema"._howdah_dropped_v1(dropped);
  end if;

  -- Row triggers that come before an insert; a look costs less than comparing what was stored.
  if all_or_none and exists (
    select from pg_trigger as trigger
    where trigger.tgrelid = to_regclass(format('%I._private_jobs', :'schema'))
      and trigger.tgtype & 7 = 7 and trigger.tgenabled <> 'D'
  ) then
    if patience_ms is not null and (
      select count(*) from :"schema"._private_jobs as job where job.id = any (ids)
    ) < cardinality(ids) then
      raise exception using
        errcode = 'HWALN',
        message = 'A trigger has removed one of the jobs again: each has to be added alone';
    end if;
    stored := :"schema"._howdah_stored_jobs_v1(ids, payloads);
  end if;

  if notify and due_count > 0 then
    perform :"schema"._howdah_notify_v1(
      due_count, :"schema"._howdah_at(due_at), array(select distinct id from unnest(due_queue_ids) as id)
    );
  end if;
end
$$;

-- Adds one job for each position of the arrays and answers their ids in that
-- order. An array may be null or shorter than identifiers: what is missing is
-- null, and null takes the default. A flag set is an object like {"flag": true}.
-- With a key, job_key_modes says replace (also null) or preserve_run_at. Timeouts
-- are milliseconds. Unless notify is true the caller tells the workers, after its
-- commit.
create function :"schema"._howdah_add_job_ids_v1(
  identifiers text[],
  payloads json[],
  queue_names text[],
  run_ats timestamptz[],
  max_attempts integer[],
  job_keys text[],
  priorities integer[],
  flag_sets jsonb[],
  job_key_modes text[],
  notify boolean default true,
  timeouts integer[] default null
) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  added record;
begin
  if exists (select from unnest(job_keys) as key where key is not null) then
    select jobs.ids, jobs.due_count, jobs.due_at, jobs.due_queue_ids into added
    from :"schema"._howdah_add_keyed_jobs_v1(
      identifiers, payloads, queue_names, run_ats, max_attempts, job_keys, priorities, flag_sets, job_key_modes,
      timeouts
    ) as jobs;
    if notify and added.due_count > 0 then
      perform :"schema"._howdah_notify_v1(
        added.due_count, added.due_at, array(select distinct id from unnest(added.due_queue_ids) as id)
      );
    end if;
    return added.ids;
  end if;

  return (
    select stored.ids
    from :"schema"._howdah_add_jobs_without_keys_v1(
      -- When all jobs are of one task, as most are that come together, it is looked up once.
      case
        when identifiers = array_fill(identifiers[1], array[cardinality(identifiers)]) then identifiers[1:1]
        else identifiers
      end,
      payloads, queue_names, run_ats, max_attempts, priorities, flag_sets, timeouts, notify
    ) as stored
  );
end
$$;

-- A job as our clients read it.
create type :"schema"._howdah_job_v1 as (
  id bigint,
  job_queue_id integer,
  payload json,
  priority integer,
  run_at timestamptz,
  attempts integer,
  max_attempts integer,
  last_error text,
  created_at timestamptz,
  updated_at timestamptz,
  key text,
  revision integer,
  flags jsonb,
  locked_at timestamptz,
  locked_by text,
  _howdah_timeout_ms integer,
  -- Whether it may be another one than was given.
  is_changed boolean
);

-- The same with the jobs, as they were stored, instead of their ids.
create function :"schema"._howdah_add_jobs_v1(
  identifiers text[],
  payloads json[],
  queue_names text[],
  run_ats timestamptz[],
  max_attempts integer[],
  job_keys text[],
  priorities integer[],
  flag_sets jsonb[],
  job_key_modes text[],
  notify boolean default true,
  timeouts integer[] default null
) returns setof :"schema"._howdah_job_v1
language plpgsql
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
declare
  added_ids constant bigint[] := :"schema"._howdah_add_job_ids_v1(
    identifiers, payloads, queue_names, run_ats, max_attempts, job_keys, priorities, flag_sets, job_key_modes, notify,
    timeouts
  );
begin
  return query
  select
    job.id, job.job_queue_id, job.payload, job.priority::integer, job.run_at, job.attempts::integer,
    job.max_attempts::integer, job.last_error, job.created_at, job.updated_at, job.key, job.revision, job.flags,
    job.locked_at, job.locked_by, job._howdah_timeout_ms::integer, true
  from unnest(added_ids) with ordinality as added(id, position)
  join :"schema"._private_jobs as job on job.id = added.id
  order by added.position;
end
$$;

-- add_job with a switch: unless notify is true the caller tells the workers,
-- after its commit.
create function :"schema"._howdah_add_job_v1(
  identifier text,
  payload json,
  queue_name text,
  run_at timestamptz,
  max_attempts integer,
  job_key text,
  priority integer,
  flags text[],
  job_key_mode text,
  notify boolean default true,
  timeout_ms integer default null
) returns :"schema"._howdah_job_v1
language plpgsql
set search_path = pg_catalog, pg_temp
:{add_plan()}
as $$
#variable_conflict use_variable
declare
  job :"schema"._howdah_job_v1;
begin
  :{add_one_by_key()}

  -- What _howdah_ensure_names_v1 does, for one name of each kind.
  :{ensure_task(_howdah_add_job_v1.identifier)}
  if queue_name is not null then
    insert into :"schema"._private_job_queues (queue_name)
    select queue_name
    where not exists (
      select from :"schema"._private_job_queues as queue where queue.queue_name = _howdah_add_job_v1.queue_name
    )
    on conflict do nothing;
  end if;
  if current_setting('transaction_isolation') <> 'read committed' then
    perform :"schema"._howdah_ensure_names_v1(array[identifier], array[queue_name]);
  end if;

  :{store_one_without_key()}
end
$$;

-- Adds a job without key, queue and flags, as most are: what _howdah_add_job_v1
-- does, with a quarter less work. Answers what the caller cannot know: id, run_at
-- and created_at in microseconds, 1 if the job is due now or will be in two
-- seconds, otherwise 0, its queue, and 0, as an array; the whole job as
-- _howdah_stored_jobs_v1 does if a trigger has changed it; null if a trigger has
-- kept it from being stored.
--
--   beside clean-up         as any insert of a task, also one that inserts
--                           nothing: one of the two waits for the other, and a
--                           task that was removed meanwhile is added again
--   two at once             do not wait, but for a new task that another
--                           transaction just adds
--   lost before the commit  nothing is stored
--   lost after it           it is stored and announced; the caller cannot tell
create function :"schema"._howdah_add_plain_job_v1(
  identifier text,
  payload json,
  run_at timestamptz,
  max_attempts integer,
  priority integer,
  timeout_ms integer,
  notify boolean
) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
:{add_plan()}
as $$
#variable_conflict use_variable
declare
  stored bigint[];
  told text;
  job :"schema"._howdah_job_v1;
begin
  -- What an older snapshot shows may be gone; the other function sees to that.
  if current_setting('transaction_isolation') <> 'read committed' then
    job := :"schema"._howdah_add_job_v1(
      identifier, payload, null, run_at, max_attempts, null, priority, null, 'replace', notify, timeout_ms
    );
    stored := array[
      job.id, :"schema"._howdah_us(job.run_at), :"schema"._howdah_us(job.created_at),
      (job.run_at <= :{soon(clock_timestamp())})::integer, job.job_queue_id, job.is_changed::integer
    ];
    return case when stored[6] = 1 then :"schema"._howdah_stored_jobs_v1(stored[1:1])::text else stored::text end;
  end if;

  :{ensure_task(_howdah_add_plain_job_v1.identifier)}

  insert into :"schema"._private_jobs as added (task_id, payload, priority, run_at, max_attempts, _howdah_timeout_ms)
  values (
    -- Null, which is refused, should the task be gone again.
    :{task_id(_howdah_add_plain_job_v1.identifier)},
    :{with_defaults(payload, priority, run_at, max_attempts)},
    timeout_ms
  )
  returning array[
    added.id,
    :"schema"._howdah_us(added.run_at),
    (extract(epoch from added.created_at) * 1000000)::bigint,
    (added.run_at <= :{soon(clock_timestamp())})::integer,
    added.job_queue_id,
    (
      added.job_queue_id is not null
      or added.flags is not null
      or :{differs(added, _howdah_add_plain_job_v1.identifier)}
    )::integer
  ]
  into stored;

  if notify and stored[4] = 1 and stored[5] is not null then
    -- A trigger has put it into a queue.
    perform :"schema"._howdah_notify_v1(1, :"schema"._howdah_at(stored[2]), array[stored[5]::integer]);
  elsif notify and stored[4] = 1 then
    -- What _howdah_notify_v1 says, without a call of it.
    told := pg_notify('jobs:insert',
      '{"r":' || random() || ',"count":1,"schema":' || to_json(:'schema'::text) || ',"at":' || stored[2]
      || ',"queues":[],"ids":[' || stored[1] || ']}');
  end if;
  return case when stored[6] = 1 then :"schema"._howdah_stored_jobs_v1(stored[1:1])::text else stored::text end;
end
$$;

create function :"schema".add_job(
  identifier text,
  payload json default null,
  queue_name text default null,
  run_at timestamptz default null,
  max_attempts integer default null,
  job_key text default null,
  priority integer default null,
  flags text[] default null,
  job_key_mode text default 'replace'
) returns :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
:{add_plan()}
as $$
declare
  added constant bigint := (:"schema"._howdah_add_job_v1(
    identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, job_key_mode
  )).id;
  job :"schema"._private_jobs;
begin
  select stored.* into job from :"schema"._private_jobs as stored where stored.id = added;
  return job;
end
$$;

-- No specs add no jobs and notify no worker: the others send an empty text then,
-- which is no JSON.
create function :"schema".add_jobs(specs :"schema".job_spec[], job_key_preserve_run_at boolean default false)
returns setof :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
declare
  added_ids bigint[];
begin
  if coalesce(cardinality(specs), 0) = 0 then
    return;
  end if;
  added_ids := (
    select :"schema"._howdah_add_job_ids_v1(
      given.identifiers,
      given.payloads,
      given.queue_names,
      given.run_ats,
      given.max_attempts,
      given.job_keys,
      given.priorities,
      given.flag_sets,
      case when job_key_preserve_run_at then array_fill('preserve_run_at'::text, array[cardinality(specs)]) end
    )
    from (
      select
        array_agg(spec.identifier order by spec.position) as identifiers,
        array_agg(spec.payload order by spec.position) as payloads,
        array_agg(spec.queue_name order by spec.position) as queue_names,
        array_agg(spec.run_at order by spec.position) as run_ats,
        array_agg(spec.max_attempts::integer order by spec.position) as max_attempts,
        array_agg(spec.job_key order by spec.position) as job_keys,
        array_agg(spec.priority::integer order by spec.position) as priorities,
        array_agg(
          case when spec.flags is not null then :"schema"._howdah_flag_set_v1(spec.flags) end order by spec.position
        ) as flag_sets
      from unnest(specs) with ordinality
        as spec(identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, position)
    ) as given
  );
  return query
  select job.*
  from unnest(added_ids) with ordinality as added(id, position)
  join :"schema"._private_jobs as job on job.id = added.id
  order by added.position;
end
$$;

-- Locks those of the jobs that these calls may change, in the order of their
-- ids: unlocked ones, and ones whose lock is so old that no worker can still mean it.
create function :"schema"._howdah_lock_jobs_v1(job_ids bigint[]) returns bigint[]
language sql
set search_path = pg_catalog, pg_temp
as $$
  select array_agg(locked.id) from (
    select job.id from :"schema"._private_jobs as job
    where job.id = any(job_ids) and (:{unlocked_or_forgotten(job)})
    order by job.id
    for update
  ) as locked
$$;

create function :"schema".reschedule_jobs(
  job_ids bigint[],
  run_at timestamptz default null,
  priority integer default null,
  attempts integer default null,
  max_attempts integer default null
) returns setof :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  quantity bigint;
begin
  job_ids := :"schema"._howdah_lock_jobs_v1(job_ids);

  with :{updated_jobs(job, :{rescheduled_job(job)}, where job.id = any(job_ids), job.id)}
  select count(*) into quantity from updated;

  perform :"schema"._howdah_notify_jobs_v1(job_ids);
  return query
  select job.* from :"schema"._private_jobs as job where job.id = any(job_ids) order by job.id;
end
$$;

-- Ends every lock of these workers, also of jobs that they still run: an
-- operator's word, outside of the promise that queues are serial.
create function :"schema".force_unlock_workers(worker_ids text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  job_ids bigint[];
  queue_ids integer[];
  quantity bigint;
begin
  :{lock_rows_held(_private_jobs, job_ids, for update)}
  with :{updated_jobs(job, :{unlocked_row()}, where job.id = any(job_ids), job.id)}
  select count(*) into quantity from updated;

  :{lock_rows_held(_private_job_queues, queue_ids, for update)}
  update :"schema"._private_job_queues as queue set :{unlocked_row()} where queue.id = any(queue_ids);

  -- A worker that repeats a release asks for it. It is seen together with the rest,
  -- and comes last: a heartbeat waits for this row only, and not for what this call waits for.
  update :"schema"._private_workers as worker set _howdah_unlocked_at = now()
  where worker.id = any(array(
    select found.id from :"schema"._private_workers as found
    where found.id = any(worker_ids) order by found.id for update
  ));

  perform :"schema"._howdah_notify_freed_v1(job_ids, queue_ids);
end
$$;

create function :"schema".worker_heartbeat(worker_id text, metadata json default null) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into :"schema"._private_workers as worker (id, last_heartbeat_at, started_at, metadata)
  values (worker_heartbeat.worker_id, now(), now(), worker_heartbeat.metadata::jsonb)
  on conflict (id) do update set
    last_heartbeat_at = excluded.last_heartbeat_at,
    metadata = coalesce(excluded.metadata, worker.metadata)
$$;

create function :"schema".worker_deregister(worker_id text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  delete from :"schema"._private_workers as worker where worker.id = worker_deregister.worker_id
$$;

create function :"schema".list_stale_workers(stale_threshold interval) returns table (worker_id text)
language sql
set search_path = pg_catalog, pg_temp
as $$
  select worker.id from :"schema"._private_workers as worker
  where worker.last_heartbeat_at < now() - list_stale_workers.stale_threshold
$$;

create function :"schema".list_orphan_locked_workers(stale_threshold interval) returns table (worker_id text)
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
  ) as holder
  where holder.id is not null
    and not exists (select from :"schema"._private_workers as worker where worker.id = holder.id)
$$;

-- Gives back what these workers held. Rows that someone else has locked at this
-- moment are left for the next call: nothing that recovers waits for users.
create function :"schema".recover_dead_worker_jobs(worker_ids text[], recovery_delay interval default '00:00:00')
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  job_ids bigint[];
  queue_ids integer[];
  quantity bigint;
begin
  :{lock_rows_held(_private_jobs, job_ids, for update skip locked)}

  with :{updated_jobs(job, :{job_recovered_by_call(job)}, where job.id = any(job_ids), job.id)}
  select count(*) into quantity from updated;

  :{lock_rows_held(_private_job_queues, queue_ids, for update skip locked)}
  update :"schema"._private_job_queues as queue set :{unlocked_row()} where queue.id = any(queue_ids);

  perform :"schema"._howdah_notify_freed_v1(job_ids, queue_ids);
  return coalesce(cardinality(job_ids), 0);
end
$$;

-- Workers that still hold something keep their rows, so that the next sweep
-- finds what recovery had to leave behind.
create function :"schema".delete_stale_workers(worker_ids text[]) returns void
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
$$;

-- Deletes up to batch_size tasks that no job uses and that are not to be kept,
-- and returns how many. Call it again while it returns batch_size. Adds wait
-- until the transaction ends; it gives up after waiting a second for them (55P03).
create function :"schema"._howdah_clean_up_tasks_v1(keep text[], batch_size integer default 1000) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
  unused integer[];
  deleted integer;
begin
  :{delete_unused(_private_tasks, :{unused_task(candidate)})}
end
$$;

-- Deletes up to batch_size queues that no job uses, no worker holds and that are not
-- paused, and returns how many; otherwise like _howdah_clean_up_tasks_v1. Exhausted jobs are asked
-- for apart, because each half has an index and the whole has none.
create function :"schema"._howdah_clean_up_queues_v1(batch_size integer default 1000) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set lock_timeout = '1s'
as $$
declare
  unused integer[];
  deleted integer;
begin
  :{delete_unused(_private_job_queues, :{unused_queue(candidate)})}
end
$$;

-- True inside of the transaction with this id; otherwise raises 25P01, before the
-- statement that asks has done anything. Statements of an application's
-- transaction ask so when they are sent: none may have begun, or it has ended
-- meanwhile, and the connection may even be in the next one, which then fails.
create function :"schema"._howdah_within_v1(transaction_id xid8) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if transaction_id is distinct from pg_current_xact_id() then
    raise exception 'The statement is not part of the transaction that it was meant for.' using errcode = '25P01';
  end if;
  return true;
end
$$;
