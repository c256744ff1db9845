-- Unique jobs: what becomes of an add whose key a job has already, and keys that
-- are kept for longer than their job.

set local search_path = pg_catalog, pg_temp;

-- Keys under which a job was added, and until when no other one is to be, whether or
-- not that one is still there. A row is written under the lock of its key. After its
-- time it counts for nothing, and is deleted by a later add or with a sample.
create table :"schema"._howdah_recent (
  key text not null,
  until timestamptz not null,
  job_id bigint not null,
  added_at timestamptz not null default now(),
  constraint _howdah_recent_pkey primary key (key)
);

create index _howdah_recent_until_idx on :"schema"._howdah_recent (until);

-- Deletes up to batch_size keys whose time is over, and returns how many. Those that
-- others have locked at this moment are left for the next call.
create function :"schema"._howdah_forget_recent_v1(batch_size integer default 1000) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  deleted integer;
begin
  delete from :"schema"._howdah_recent as recent
  where recent.key = any(array(
    select old.key from :"schema"._howdah_recent as old
    where old.until <= now()
    order by old.until
    limit batch_size
    for update skip locked
  ));
  get diagnostics deleted = row_count;
  return deleted;
end
$$;

-- Lets the keys of these jobs be added again that are kept for longer than their
-- jobs. Answers those of the jobs that may be deleted, and locks them.
create function :"schema"._howdah_forget_jobs_v1(job_ids bigint[]) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  job_ids := :"schema"._howdah_lock_jobs_v1(job_ids);
  delete from :"schema"._howdah_recent as recent
  where recent.key = any(array(
    select job.key from :"schema"._private_jobs as job where job.id = any(job_ids) and job.key is not null
  ));
  return job_ids;
end
$$;

-- Adds jobs of which each says by its rule what is to become of it when its key is
-- taken, and any without a rule among them, with or without a key: those are added
-- as by _howdah_add_keyed_jobs_v1, which stores all that is stored here. A rule is an
-- object, or null:
--
--   while       "waiting": a job that waits has the key, one that runs gives it up.
--               "unfinished": one that runs has it, too
--   otherwise   "keep": the job that has the key stays as it is. "replace": as by a
--               key, but one that runs is kept. "reject": nothing is stored at all
--   forMs       the key is taken for so long after a job was added, even when that
--               job has ended; null for no longer than the job is there
--   latestMs    a job that is replaced is due after so long at the latest, from the
--               first of the adds that have replaced each other; null for no limit
--   same        the payloads are equal, and their items are not to be joined
--
-- Of several with one key in one call each finds what those before it have made of
-- it. Answers, in the order given: ids, of the job that has the key now, and outcomes:
-- added, replaced, kept, or rejected: then nothing was stored, for none of them.
-- `times` says of one that was kept for the sake of a job that may have ended when
-- that one was added, in microseconds, as due_at is.
--
-- Runs with the rights of the schema's owner, for the same reason as
-- _howdah_add_keyed_jobs_v1: it looks at jobs that have one of these keys, and at no others.
--
--   beside another add or removal of one of the keys   one waits for the other's end,
--                                                      by the locks of keys
--   beside a claim or a release of such a job          waits for it. A job that is
--                                                      kept while it waits begins
--                                                      after this transaction has ended
--   beside a call that cancels or removes such a job   the first to lock its row: a job
--     by its id                                        that is gone keeps no key
--   in repeatable read                                 40001, when what it would find
--                                                      has changed since its snapshot
--   lost before the commit                             leaves everything as it was
--   lost after it                                      all are stored; adding again
--                                                      finds their keys taken
create function :"schema"._howdah_add_unique_jobs_v1(
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
  rules json,
  notify boolean,
  out ids bigint[],
  out outcomes text[],
  out times bigint[],
  out due_count bigint,
  out due_at bigint,
  out due_queue_ids integer[]
)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
:{adds_plan()}
as $$
#variable_conflict use_column
declare
  -- Which are written, and their ids.
  places bigint[];
  written bigint[];
  -- When each is due at the latest.
  limits timestamptz[];
  -- Which have a job that waits, whose payload is the same.
  same_places bigint[];
  -- Jobs that have run before: they are as new ones from now on.
  renewed bigint[];
begin
  due_count := 0;
  perform :"schema"._howdah_lock_keys_v1(job_keys);
  perform :"schema"._howdah_ensure_names_v1(identifiers, queue_names);
  perform from (
    select job.id from :"schema"._private_jobs as job where job.key = any(job_keys) order by job.id for update
  ) as locked;

  with :{judged_adds()}
  select
    array_agg(decided.holder order by decided.position),
    array_agg(
      case
        when decided.writes and (decided.is_waiting or decided.position > decided.first_writer) then 'replaced'
        when decided.writes then 'added'
        when decided.otherwise = 'reject' then 'rejected'
        else 'kept'
      end order by decided.position
    ),
    array_agg(
      case when decided.holder = decided.recent_id then :"schema"._howdah_us(decided.recent_at) end
      order by decided.position
    ),
    array_agg(decided.position order by decided.position) filter (where decided.is_written),
    array_agg(
      case when decided.is_waiting and decided.attempts = 0 then decided.created_at else now() end
        + decided.latest_ms * interval '1 millisecond'
      order by decided.position
    ),
    array_agg(decided.position) filter (where decided.is_same and decided.is_waiting),
    array_agg(decided.stored_id) filter (
      where decided.is_written and decided.is_waiting and decided.attempts > 0 and decided.latest_ms is not null
    )
  into ids, outcomes, times, places, limits, same_places, renewed
  from decided;

  if 'rejected' = any(outcomes) or places is null then
    return;
  end if;

  select jobs.ids, jobs.due_count, :"schema"._howdah_us(jobs.due_at), jobs.due_queue_ids
  into written, due_count, due_at, due_queue_ids
  from (
    :{adds_to_write()}
  ) as given
  cross join lateral :"schema"._howdah_add_keyed_jobs_v1(
    given.identifiers, given.payloads, given.queue_names, given.run_ats, given.max_attempts, given.job_keys,
    given.priorities, given.flag_sets, given.modes, given.timeouts
  ) as jobs;

  for number in 1 .. cardinality(places) loop
    ids[places[number]] := written[number];
  end loop;
  for number in 1 .. cardinality(ids) loop
    if ids[number] is null then
      -- Another one of this call has its key.
      ids[number] := (select job.id from :"schema"._private_jobs as job where job.key = job_keys[number]);
    end if;
  end loop;

  if renewed is not null then
    update :"schema"._private_jobs as job set created_at = now() where job.id = any(renewed);
  end if;

  :{keep_keys_of_added()};
  -- Who adds to the table takes from it. In repeatable read that could fail for a row of others.
  if found and current_setting('transaction_isolation') = 'read committed' then
    perform :"schema"._howdah_forget_recent_v1(2 * cardinality(places));
  end if;

  :{notify_of_due()}
end
$$;

revoke execute on function :"schema"._howdah_add_unique_jobs_v1 from public;

-- As before, and a key that is kept for longer than its job can be added again, also
-- when that job is gone already.
create or replace function :"schema".remove_job(job_key text) returns :"schema"._private_jobs
language plpgsql strict
set search_path = pg_catalog, pg_temp
as $$
declare
  job :"schema"._private_jobs;
  deleted_id bigint;
  awaited boolean;
begin
  perform :"schema"._howdah_lock_keys_v1(array[job_key]);
  select * into job from :"schema"._private_jobs as stored where stored.key = job_key for update;
  delete from :"schema"._howdah_recent as recent where recent.key = job_key;
  if job.id is null then
    return null;
  end if;

  if :{unlocked_or_forgotten(job)} then
    with :{deleted_jobs(stored, stored.id = job.id, :{ended_columns(stored)})},
    :{recorded_jobs('r', null, null, ended.last_error)}
    select deleted.id, deleted._howdah_awaited into deleted_id, awaited from deleted;
    if awaited then
      perform :"schema"._howdah_notify_done_v1(array[deleted_id]);
    end if;
    perform pg_notify('jobs:insert', format(
      '{"r":%s,"count":-1,"schema":%s}', random(), to_json(:'schema'::text)
    ));
    return job;
  end if;

  :{detach_jobs(stored, stored.id = job.id)}
  returning * into job;
  return job;
end
$$;

-- As before, and the keys of what was cancelled can be added again.
create or replace function :"schema"._howdah_cancel_jobs_v1(job_ids bigint[], reason text)
returns table (id bigint, signalled boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  running bigint[];
begin
  perform from (
    select job.id from :"schema"._private_jobs as job where job.id = any(job_ids) order by job.id for update
  ) as locked;

  delete from :"schema"._howdah_recent as recent
  where recent.key = any(array(
    select job.key from :"schema"._private_jobs as job
    where job.id = any(job_ids) and job.key is not null and (job.locked_at is not null or job.attempts < job.max_attempts)
  ));

  :{cancel_and_record_jobs()}
end
$$;
