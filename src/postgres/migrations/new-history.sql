-- What finished jobs were, for the tasks that keep it, and what failed attempts threw.
-- docs/internals/history.md explains what is written when.

set local search_path = pg_catalog, pg_temp;

-- What is kept of the finished jobs of a task, as the worker said that registered it
-- last: the calls that end jobs without a worker know it from here.
--
--   _howdah_keep            for how many days: 1, 7, 30 or 365; null: nothing
--   _howdah_keep_payload    also the payload
--   _howdah_keep_result     also what the handler returned
--   _howdah_dead_letter     the task that gets a job when one of this task has failed
--                           for good; null: none
alter table :"schema"._private_tasks
  add column _howdah_keep smallint,
  add column _howdah_keep_payload boolean not null default false,
  add column _howdah_keep_result boolean not null default false,
  add column _howdah_dead_letter text;

-- Finished jobs. A job is in this table or in that of the jobs, never in both: the
-- statement that deletes it there inserts it here. Retention drops partitions.
create table :"schema"._howdah_history (
  -- For how many days: 1, 7, 30 or 365.
  keep smallint not null,
  finished_at timestamptz not null,
  id bigint not null,
  task text not null,
  queue_name text,
  -- c completed, f failed for good, x cancelled, r removed. One byte, without padding.
  -- squawk-ignore ban-char-field
  state "char" not null,
  attempts smallint not null,
  max_attempts smallint not null,
  priority smallint not null,
  created_at timestamptz not null,
  run_at timestamptz not null,
  -- Of the last attempt; null when there was none, or the worker did not say.
  started_at timestamptz,
  worker text,
  key text,
  payload json,
  result json,
  -- Why it failed or was cancelled; of a completed job why its result is missing.
  error text,
  constraint _howdah_history_pkey primary key (keep, finished_at, id)
) partition by list (keep);

create table :"schema"._howdah_history_1 partition of :"schema"._howdah_history
  for values in (1) partition by range (finished_at);
create table :"schema"._howdah_history_7 partition of :"schema"._howdah_history
  for values in (7) partition by range (finished_at);
create table :"schema"._howdah_history_30 partition of :"schema"._howdah_history
  for values in (30) partition by range (finished_at);
create table :"schema"._howdah_history_365 partition of :"schema"._howdah_history
  for values in (365) partition by range (finished_at);

-- Take what belongs to no other partition, so that no release fails for want of one.
create table :"schema"._howdah_history_1_rest partition of :"schema"._howdah_history_1 default;
create table :"schema"._howdah_history_7_rest partition of :"schema"._howdah_history_7 default;
create table :"schema"._howdah_history_30_rest partition of :"schema"._howdah_history_30 default;
create table :"schema"._howdah_history_365_rest partition of :"schema"._howdah_history_365 default;

create index _howdah_history_id_idx on :"schema"._howdah_history (id);
create index _howdah_history_key_idx on :"schema"._howdah_history (key, finished_at) where key is not null;
-- What is kept for a day is awaited rather than searched.
create index _howdah_history_7_task_idx on :"schema"._howdah_history_7 (task, finished_at);
create index _howdah_history_30_task_idx on :"schema"._howdah_history_30 (task, finished_at);
create index _howdah_history_365_task_idx on :"schema"._howdah_history_365 (task, finished_at);

-- Failed attempts, of every task: each for as long as its job, or the history of it.
-- Those of jobs that are gone are deleted by the workers that sweep.
create table :"schema"._howdah_attempts (
  job_id bigint not null,
  at timestamptz not null,
  attempt smallint not null,
  worker text,
  started_at timestamptz,
  error text,
  stack text,
  constraint _howdah_attempts_pkey primary key (job_id, at, attempt)
);

-- Tells the clients that wait for the ends of these jobs. A notification holds 8,000 bytes.
create function :"schema"._howdah_notify_done_v1(job_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  for place in 1 .. coalesce(cardinality(job_ids), 0) by 200 loop
    perform pg_notify('howdah:done', json_build_object(
      'schema', :'schema', 'ids', array(select given.id::text from unnest(job_ids[place:place + 199]) as given(id))
    )::text);
  end loop;
end
$$;

-- What follows when these jobs, whose rows are locked by this transaction, have failed
-- for good with the statement before. Called once for each that fails, in the
-- transaction in which it does.
create function :"schema"._howdah_failed_for_good_v1(job_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
:{index_scans()}
as $$
begin
  perform :"schema"._howdah_notify_done_v1(array(
    select job.id from :"schema"._private_jobs as job
    where job.id = any(job_ids) and job._howdah_awaited
    order by job.id
  ));
  perform :"schema"._howdah_add_letters_v1(job_ids);
end
$$;

-- When attempts were last compared with the jobs there are, and up to which job.
alter table :"schema"._howdah_sweeper
  add column attempts_at timestamptz not null default '-infinity',
  add column attempts_after bigint not null default 0;

-- Deletes the attempts of the next `quantity` jobs that have some, of those jobs that
-- are neither there nor in history, and goes on after the last with the first. Answers
-- how many; nothing when a worker of this schema has called it within `interval_ms`, or
-- does so at this moment.
--
--   beside a release    a job goes from one table to the other in one commit: it is
--                       seen in one of them
--   commit, answer lost the next call goes on behind it
create function :"schema"._howdah_sweep_attempts_v1(interval_ms bigint, quantity integer default 500) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
:{index_scans()}
set jit = off
as $$
declare
  start bigint;
  ids bigint[];
  deleted integer;
begin
  select sweeper.attempts_after into start from :"schema"._howdah_sweeper as sweeper
  -- A time in the future is one of before a clock was set back.
  where sweeper.attempts_at <= :{ms_ago(interval_ms)} or sweeper.attempts_at > now() + interval '1 minute'
  for update skip locked;
  if not found then
    return 0;
  end if;
  ids := array(
    with recursive following as (
      (
        select attempt.job_id from :"schema"._howdah_attempts as attempt
        where attempt.job_id > start order by attempt.job_id limit 1
      )
      union all
      select (
        select attempt.job_id from :"schema"._howdah_attempts as attempt
        where attempt.job_id > following.job_id order by attempt.job_id limit 1
      )
      from following where following.job_id is not null
    )
    select following.job_id from following where following.job_id is not null limit quantity
  );
  delete from :"schema"._howdah_attempts as attempt
  where attempt.job_id = any(array(
    select given.id from unnest(ids) as given(id)
    where not exists (select from :"schema"._private_jobs as job where job.id = given.id)
      and not exists (select from :"schema"._howdah_history as kept where kept.id = given.id)
  ));
  get diagnostics deleted = row_count;
  update :"schema"._howdah_sweeper as sweeper
  set attempts_at = now(), attempts_after = case when cardinality(ids) < quantity then 0 else ids[quantity] end;
  return deleted;
end
$$;
