-- Changes of many jobs by a filter, which go on from where they stand when the
-- process that carries them out has ended.

set local search_path = pg_catalog, pg_temp;

-- A row is locked by the process that carries out the next batch, until that batch and
-- the progress in it commit together: any number of processes can carry out
-- the same operation, one batch after another.
create table :"schema"._howdah_operations (
  id bigint generated always as identity (sequence name :"schema"._howdah_operations_id_seq),
  action text not null,
  -- Which jobs, as the client's statements take it.
  filter json not null,
  -- What becomes of them, as far as the action leaves that open.
  change json not null,
  -- Jobs with a larger id were added later and are left alone.
  newest_id bigint not null,
  state text not null default 'running',
  -- How far it came: which of the ways that the filter takes, and the last id on it.
  way smallint not null default 0,
  after_id bigint not null default 0,
  matched bigint not null default 0,
  changed bigint not null default 0,
  signalled bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint _howdah_operations_pkey primary key (id),
  constraint _howdah_operations_action_check check (action in ('retry', 'reschedule', 'complete', 'fail', 'cancel', 'remove')),
  constraint _howdah_operations_state_check check (state in ('running', 'paused', 'stopped', 'done'))
);

alter table :"schema"._howdah_operations set (fillfactor = 50);

-- Lets jobs run again from their first attempt, and answers those that it has changed.
--
--   most_attempts   how many attempts they get; null: as many as before
--   spread_ms       each runs at a random time within it from now; 0: at once
--
-- Beside others it does what reschedule_jobs does: jobs that a worker runs are left
-- alone, and rows that others hold are waited for in the order of their ids.
create function :"schema"._howdah_retry_jobs_v1(job_ids bigint[], most_attempts integer, spread_ms bigint)
returns setof :"schema"._private_jobs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  quantity bigint;
begin
  job_ids := :"schema"._howdah_lock_jobs_v1(job_ids);

  with :{updated_jobs(job, :{retried_job(job)}, where job.id = any(job_ids), job.id)}
  select count(*) into quantity from updated;

  perform :"schema"._howdah_notify_jobs_v1(job_ids);
  return query
  select job.* from :"schema"._private_jobs as job where job.id = any(job_ids) order by job.id;
end
$$;
