-- The ends of jobs that are no release: a handler's own transaction, calls of people,
-- clean-up and recovery. What the task keeps becomes history in the statement that
-- deletes the job; who waits for its end is told when that commits; an attempt that
-- counts although its worker is dead is recorded. Beside other calls, and when an
-- answer is lost, each does what the function of the same name did before.

set local search_path = pg_catalog, pg_temp;

-- As _howdah_complete_v1, with what the handler has returned, as JSON; null: nothing.
create function :"schema"._howdah_complete_v2(
  job bigint, worker text, claim_times bigint[], within xid8, earlier xid8, result text default null
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{index_scans()}
set jit = off
as $$
declare
  completed bigint;
  awaited boolean;
begin
  if within is distinct from pg_current_xact_id() then
    raise exception 'A job is completed within a transaction, and none has begun.' using errcode = '25P01';
  end if;
  with :{deleted_jobs(jobs, jobs.id = job and :{held_by(jobs, worker, :{times_of(claim_times)})}, :{ended_columns(jobs)})},
  :{recorded_jobs('c', null, :{result_to_keep(result)}, null)}
  select deleted.id, deleted._howdah_awaited into completed, awaited from deleted;
  -- What this transaction has deleted it does not see: a row that is there belongs to others.
  if not found and (
    earlier is distinct from within
    or exists (select from :"schema"._private_jobs as jobs where jobs.id = job)
  ) then
    raise exception 'Job % does not belong to worker % any more.', job, worker using errcode = 'HWLST';
  end if;
  if awaited then
    perform :"schema"._howdah_notify_done_v1(array[job]);
  end if;
end
$$;

create or replace function :"schema".complete_jobs(job_ids bigint[]) returns setof :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  job_ids := :"schema"._howdah_lock_jobs_v1(job_ids);
  return query
  :{end_jobs_by_call(job.*, 'c', null)}
  select deleted.* from deleted :{after_all_told()} order by deleted.id;
end
$$;

-- Deletes jobs that no worker runs, as if they had never been added: their keys can be
-- added again. Answers what a client reads of a job, by id.
create function :"schema"._howdah_remove_jobs_v1(job_ids bigint[])
returns table (
  id bigint, job_queue_id integer, task_id integer, payload json, priority smallint, run_at timestamptz,
  attempts smallint, max_attempts smallint, last_error text, created_at timestamptz, updated_at timestamptz, key text,
  locked_at timestamptz, locked_by text, revision integer, flags jsonb, _howdah_timeout_ms integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  job_ids := :"schema"._howdah_forget_jobs_v1(job_ids);
  return query
  :{end_jobs_by_call(job.*, 'r', ended.last_error)}
  select
    deleted.id, deleted.job_queue_id, deleted.task_id, deleted.payload, deleted.priority, deleted.run_at,
    deleted.attempts, deleted.max_attempts, deleted.last_error, deleted.created_at, deleted.updated_at, deleted.key,
    deleted.locked_at, deleted.locked_by, deleted.revision, deleted.flags, deleted._howdah_timeout_ms
  from deleted :{after_all_told()} order by deleted.id;
end
$$;

create or replace function :"schema".permanently_fail_jobs(job_ids bigint[], error_message text default null)
returns setof :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  fresh bigint[];
begin
  job_ids := :"schema"._howdah_lock_jobs_v1(job_ids);
  fresh := array(
    select job.id from :"schema"._private_jobs as job where job.id = any(job_ids) and job.attempts < job.max_attempts
  );
  return query
  with :{updated_jobs(job, :{failed_job(job)}, where job.id = any(job_ids), job.*)}
  select * from updated order by updated.id;
  :{tell_of_failed(fresh)}
end
$$;

-- Deletes up to batch_size jobs that failed for good and returns how many.
-- Call it again while it returns batch_size.
create or replace function :"schema"._howdah_delete_exhausted_v1(batch_size integer default 1000) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  exhausted_ids bigint[];
  quantity integer;
begin
  exhausted_ids := array(
    select exhausted.id from :"schema"._private_jobs as exhausted
    where exhausted._howdah_exhausted
    order by exhausted.id
    limit batch_size
    for update skip locked
  );
  with :{deleted_jobs(job, job.id = any(exhausted_ids), :{ended_columns(job)})}, :{recorded_jobs(
    case when ended._howdah_cancelled is null then 'f' else 'x' end, null, null, ended.last_error
  )}
  select count(*) into quantity from deleted;
  return quantity;
end
$$;

-- As before, and an attempt that counts is recorded, once for each job that is unlocked.
create or replace function :"schema"._howdah_recover_v1(
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
  :{recover_in_trials(begin:{record_deaths()})}
  :{tell_of_failed(freed)}
  :{answer_of_recovery()}
  perform :"schema"._howdah_notify_freed_v1(freed, '{}');
end
$$;
