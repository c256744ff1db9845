-- Bulk adds that cost less, and that answer ids only.

set local search_path = pg_catalog, pg_temp;

-- Tries to add each of these jobs alone, as _howdah_add_jobs_without_keys_v2 does
-- together, and answers the places of those that a trigger keeps from being
-- stored. The caller takes all of it back.
create function :"schema"._howdah_dropped_places_v1(
  identifiers text[],
  payloads json[],
  queue_names text[],
  run_ats timestamptz[],
  max_attempts integer[],
  priorities integer[],
  flag_sets jsonb[],
  timeouts integer[]
) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
declare
  dropped bigint[] := '{}';
begin
  for place in 1 .. cardinality(payloads) loop
    insert into :"schema"._private_jobs
      (task_id, job_queue_id, payload, priority, run_at, max_attempts, flags, _howdah_timeout_ms)
    values (
      :{task_id(identifiers[case when cardinality(identifiers) = 1 then 1 else place end])},
      :{queue_id(queue_names[place])},
      :{with_defaults(payloads[place], priorities[place], run_ats[place], max_attempts[place])},
      flag_sets[place],
      timeouts[place]
    );
    if not found then
      dropped := dropped || (place - 1)::bigint;
    end if;
  end loop;
  return dropped;
end
$$;

-- Adds one job for each payload, all of them or none, and tells in one row, in that
-- order, what the caller cannot know about them: a fraction of the work that whole
-- rows are. There is one identifier for all jobs or one for each. The other arrays
-- may be null, which takes the defaults. None of the jobs has a key. Times are
-- microseconds; run_times is null when run_ats is, and stored_flags is a list of
-- flag sets, null when none was given. Unless notify is true the caller tells the
-- workers of those that are due, after its commit.
--
-- A trigger that keeps one of the jobs from being stored, or removes it after
-- another has changed it, takes all back: HWDRP, with the places. Where the jobs
-- table has a trigger that may change what is inserted, stored has the jobs as they
-- are, see _howdah_stored_jobs_v1. With ids_only all that is left out but the ids
-- and what is due.
--
-- With patience_ms these are adds of callers that share a statement, and none of
-- them may suffer for another: it waits at most that long for a lock of others
-- (55P03), and where a trigger drops a job all of it is taken back without a look
-- at which (HWALN). The caller then adds each of them alone.
--
--   beside an add of the same new task or queue   waits for its end
--   beside any other add, a claim, a release      does not wait
--   beside clean-up, or a migration               waits for its end
--   lost before the commit                        leaves nothing
--   lost after it                                 all are stored; the caller cannot
--                                                 tell the one from the other
create function :"schema"._howdah_add_jobs_without_keys_v2(
  identifiers text[],
  payloads json[],
  queue_names text[],
  run_ats timestamptz[],
  max_attempts integer[],
  priorities integer[],
  flag_sets jsonb[],
  timeouts integer[],
  notify boolean,
  patience_ms integer,
  ids_only boolean,
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
  with_times constant boolean := run_ats is not null and not ids_only;
  with_flags constant boolean := flag_sets is not null and not ids_only;
  is_changed boolean;
  -- By the clock: the transaction may have been open for long.
  soon constant timestamptz := :{soon(clock_timestamp())};
begin
  if patience_ms is not null then
    perform set_config('lock_timeout', patience_ms::text, true);
  end if;
  perform :"schema"._howdah_ensure_names_v1(identifiers, queue_names);

  :{insert_of_arrays()};

  -- Row triggers that come before an insert; a look costs less than comparing what was stored.
  is_changed := exists (
    select from pg_trigger as trigger
    where trigger.tgrelid = to_regclass(format('%I._private_jobs', :'schema'))
      and trigger.tgtype & 7 = 7 and trigger.tgenabled <> 'D'
  );
  if cardinality(ids) is distinct from cardinality(payloads) or is_changed and (
    select count(*) from :"schema"._private_jobs as job where job.id = any (ids)
  ) < cardinality(ids) then
    :{refuse_dropped_jobs()}
  end if;
  if is_changed and not ids_only then
    stored := :"schema"._howdah_stored_jobs_v1(ids, payloads);
  end if;

  :{notify_of_due()}
end
$$;

-- Adds or updates jobs that have keys, and any without among them, and answers the
-- ids in the order given, with a key that of the job that has it now; otherwise, and
-- beside others, as _howdah_add_keyed_jobs_v1. due_at is in microseconds. A trigger
-- that keeps one of the jobs from being stored, or removes it again, takes all back:
-- HWDRP, with the places.
create function :"schema"._howdah_add_keyed_job_ids_v1(
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
  notify boolean,
  out ids bigint[],
  out due_count bigint,
  out due_at bigint,
  out due_queue_ids integer[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
#variable_conflict use_column
begin
  select jobs.ids, jobs.due_count, :"schema"._howdah_us(jobs.due_at), jobs.due_queue_ids
  into ids, due_count, due_at, due_queue_ids
  from :"schema"._howdah_add_keyed_jobs_v1(
    identifiers, payloads, queue_names, run_ats, max_attempts, job_keys, priorities, flag_sets, job_key_modes,
    timeouts
  ) as jobs;

  if (select count(*) from :"schema"._private_jobs as job where job.id = any (ids)) < cardinality(ids) then
    -- Says which.
    perform :"schema"._howdah_stored_jobs_v1(ids, payloads);
  end if;

  :{notify_of_due()}
end
$$;
