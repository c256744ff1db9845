-- Tables, types and indexes of the owned layout. The names of tables, columns,
-- constraints and sequences are an interface that other implementations share
-- (docs/reference/sql.md); what begins with _howdah_ is Howdah's alone.

set local search_path = pg_catalog, pg_temp;

create type :"schema".job_spec as (
  identifier text,
  payload json,
  queue_name text,
  run_at timestamptz,
  max_attempts smallint,
  job_key text,
  priority smallint,
  flags text[]
);

-- There are no foreign keys: every add would lock its task and queue row.
-- Clean-up takes table locks instead.
create table :"schema"._private_tasks (
  id integer generated always as identity (sequence name :"schema".tasks_id_seq),
  identifier text not null,
  constraint tasks_pkey primary key (id),
  constraint tasks_identifier_key unique (identifier),
  constraint tasks_identifier_check check (length(identifier) <= 128)
);

create table :"schema"._private_job_queues (
  id integer generated always as identity (sequence name :"schema".job_queues_id_seq),
  queue_name text not null,
  locked_at timestamptz,
  locked_by text,
  is_available boolean not null generated always as (locked_at is null) stored,
  -- Until then no job of the queue is claimed; infinity for a pause without an end.
  _howdah_paused_until timestamptz,
  constraint job_queues_pkey1 primary key (id),
  constraint job_queues_queue_name_key unique (queue_name),
  constraint job_queues_queue_name_check check (length(queue_name) <= 128)
);

create table :"schema"._private_jobs (
  id bigint generated always as identity (sequence name :"schema".jobs_id_seq1),
  job_queue_id integer,
  task_id integer not null,
  payload json not null default '{}'::json,
  priority smallint not null default 0,
  run_at timestamptz not null default now(),
  attempts smallint not null default 0,
  max_attempts smallint not null default 25,
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  key text,
  locked_at timestamptz,
  locked_by text,
  revision integer not null default 0,
  flags jsonb,
  is_available boolean not null generated always as (locked_at is null and attempts < max_attempts) stored,
  -- True for a job that waits and may never start again. A claim does not
  -- change the value, not even the last one, so that claims stay HOT although
  -- the indexes below depend on it.
  _howdah_exhausted boolean not null generated always as (locked_at is null and attempts >= max_attempts) stored,
  -- How often a worker died with this job; negative once its handler has been
  -- called since, which ends the refund of attempts.
  _howdah_recoveries smallint not null default 0,
  -- Removed or replaced while it ran: giving it back refunds no attempt.
  _howdah_detached boolean not null default false,
  -- How long one attempt may take; null leaves that to the task.
  _howdah_timeout_ms integer,
  -- Why the job was cancelled while it ran.
  _howdah_cancelled text,
  -- The newest claim that a release has ended and kept the row: its locked_at. A
  -- release that is sent again learns from it whether it was carried out.
  _howdah_released_at timestamptz,
  -- Reserved, always null so far, which takes no space: the group of jobs that the
  -- job counts in, and whether a client waits for its end.
  _howdah_group_id bigint,
  _howdah_awaited boolean,
  constraint jobs_pkey1 primary key (id),
  constraint jobs_key_key1 unique (key),
  constraint jobs_key_check check (length(key) > 0 and length(key) <= 512),
  constraint jobs_max_attempts_check check (max_attempts >= 1)
);

-- None of the columns that a claim or a release writes may be part of an index
-- or of its condition: locked_at, locked_by, attempts, is_available.
create index _howdah_ready on :"schema"._private_jobs (priority, run_at, id)
  where job_queue_id is null and not _howdah_exhausted;

create index _howdah_queued on :"schema"._private_jobs (job_queue_id, priority, run_at, id)
  where job_queue_id is not null and not _howdah_exhausted;

create index _howdah_due on :"schema"._private_jobs (run_at, id) include (job_queue_id, task_id)
  where job_queue_id is not null and not _howdah_exhausted;

-- The queues that are paused, or were, for those who ask which. A claim neither
-- enters nor leaves it.
create index _howdah_paused on :"schema"._private_job_queues (id) where _howdah_paused_until is not null;

-- Jobs that failed for good, for calls that list or delete them, or look for
-- queues without jobs. A claim never enters or leaves it.
create index _howdah_failed on :"schema"._private_jobs (id) include (job_queue_id)
  where _howdah_exhausted;

alter table :"schema"._private_jobs set (
  -- Room for the claimed version of every row of a page: at 50 a quarter of
  -- the claims finds no room once the worker's id is stored.
  fillfactor = 40,
  -- How many jobs wait says nothing about how many have died, and dead index
  -- entries are what a scan from the head has to walk.
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 1000,
  -- A vacuum that dawdles leaves the next ones more to do.
  autovacuum_vacuum_cost_limit = 2000,
  -- A bulk add is about to be updated and deleted: visiting it early is wasted.
  autovacuum_vacuum_insert_threshold = -1
);

alter table :"schema"._private_job_queues set (
  -- A queue is locked and unlocked for every job or chain. Full pages leave one
  -- update of eight HOT, these nearly all.
  fillfactor = 40,
  -- The table is small and every row of it is updated again and again.
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_limit = 2000
);

-- Tasks of which no job is claimed until then. Apart from the tasks, so that one
-- can be paused before it has a row, and that a claim finds an empty table when
-- none is.
create table :"schema"._howdah_paused_tasks (
  identifier text not null,
  paused_until timestamptz not null,
  constraint _howdah_paused_tasks_pkey primary key (identifier),
  constraint _howdah_paused_tasks_identifier_check check (length(identifier) <= 128)
);

create table :"schema"._private_known_crontabs (
  identifier text not null,
  known_since timestamptz not null,
  last_execution timestamptz,
  constraint known_crontabs_pkey primary key (identifier)
);

create table :"schema"._private_workers (
  id text not null,
  last_heartbeat_at timestamptz not null,
  started_at timestamptz not null default now(),
  metadata jsonb,
  -- The advisory lock that the worker's session holds, and that session; null
  -- when there is nothing to be watched but the heartbeat.
  _howdah_lock_key integer,
  _howdah_lock_pid integer,
  -- When the server was started that the lock was recorded on.
  _howdah_lock_server timestamptz,
  -- The process that it runs in; what another process of the same machine can
  -- tell from that is told in src/runtime/process-mark.ts.
  _howdah_process text,
  -- How long it was absent in the looks of processes that had just started,
  -- until when, and which heartbeat was the last then: after another one that
  -- counts for nothing.
  _howdah_absent_ms integer,
  _howdah_absent_until timestamptz,
  _howdah_absent_beat timestamptz,
  -- 0 while it lives. Declared dead 1, its jobs recovered 2, its queues freed 3:
  -- heartbeats of what is left of it are rejected.
  _howdah_swept smallint not null default 0,
  -- When an operator last ended its locks.
  _howdah_unlocked_at timestamptz,
  constraint _private_workers_pkey primary key (id)
);

create index _private_workers_last_heartbeat_at_idx on :"schema"._private_workers (last_heartbeat_at);

-- What the other implementations read to learn which of their migrations are
-- in place. Their newest is 20: a higher number would make them warn or refuse.
create table :"schema".migrations (
  id integer not null,
  ts timestamptz not null default now(),
  breaking boolean not null default false,
  constraint migrations_pkey primary key (id)
);

insert into :"schema".migrations (id, breaking)
select id, id in (1, 3, 11, 13, 14, 16, 19) from generate_series(1, 20) as id;

create view :"schema".jobs as
select
  job.id,
  queue.queue_name,
  task.identifier as task_identifier,
  job.priority,
  job.run_at,
  job.attempts,
  job.max_attempts,
  job.last_error,
  job.created_at,
  job.updated_at,
  job.key,
  job.locked_at,
  job.locked_by,
  job.revision,
  job.flags
from :"schema"._private_jobs as job
join :"schema"._private_tasks as task on task.id = job.task_id
left join :"schema"._private_job_queues as queue on queue.id = job.job_queue_id;

-- A time as microseconds since 1970: clients lose nothing, whatever their date
-- type. The infinities become the extreme numbers; the last thirty years of
-- PostgreSQL's calendar do not fit and count as the number before the largest.
create function :"schema"._howdah_us(at timestamptz) returns bigint
language sql stable parallel safe
return case
  when isfinite(at) then least(extract(epoch from at) * 1000000, 9223372036854775806)::bigint
  when at > timestamptz 'epoch' then 9223372036854775807
  when at < timestamptz 'epoch' then -9223372036854775807 - 1
end;

-- The time that _howdah_us wrote. Days and the rest are added apart, because an
-- interval is multiplied in floating point.
create function :"schema"._howdah_at(us bigint) returns timestamptz
language sql immutable parallel safe
return case
  when us = 9223372036854775807 then timestamptz 'infinity'
  when us = -9223372036854775807 - 1 then timestamptz '-infinity'
  else (
    timestamp 'epoch' + (us / 86400000000) * interval '1 day' + (us % 86400000000) * interval '1 microsecond'
  ) at time zone 'UTC'
end;
