import { quoteIdentifier, quoteLiteral } from "../../src/postgres/schema.ts";

/** Who has made a schema, and how far their migrations have come. */
export interface ForeignSchemaOptions {
  /** The last of their migrations, from 16 on. Default 19. */
  readonly ledger?: number;
  /** Node: graphile-worker. Rust: graphile_worker_rs, with its table of workers and six more functions from 20 on. Default node. */
  readonly maker?: "node" | "rust";
}

/**
 * The SQL that makes a schema as graphile-worker or graphile_worker_rs leaves it: tables,
 * names, indexes, row security and signatures are theirs, the bodies of functions are not.
 * test/compat has databases that the real ones made.
 */
export function foreignSchemaSql(name: string, { ledger = 19, maker = "node" }: ForeignSchemaOptions = {}): string {
  const s = quoteIdentifier(name);
  const marks = maker === "node" ? "1, 3, 11, 13, 14, 16, 19" : "1, 3, 11, 13, 14, 16";
  return `
create schema ${s};
create table ${s}.migrations (
  id integer primary key, ts timestamptz not null default now(), breaking boolean not null default false
);
insert into ${s}.migrations (id, breaking) select id, id in (${marks}) from generate_series(1, ${ledger}) as id;
create type ${s}.job_spec as (
  identifier text, payload json, queue_name text, run_at timestamptz, max_attempts smallint, job_key text,
  priority smallint, flags text[]
);
create table ${s}._private_job_queues (
  id integer generated always as identity (sequence name ${s}.job_queues_id_seq)
    constraint job_queues_pkey1 primary key,
  queue_name text not null constraint job_queues_queue_name_key unique,
  locked_at timestamptz,
  locked_by text,
  is_available boolean not null generated always as (locked_at is null) stored,
  constraint job_queues_queue_name_check check (length(queue_name) <= 128)
);
create table ${s}._private_tasks (
  id integer generated always as identity (sequence name ${s}.tasks_id_seq) constraint tasks_pkey primary key,
  identifier text not null constraint tasks_identifier_key unique,
  constraint tasks_identifier_check check (length(identifier) <= 128)
);
create table ${s}._private_jobs (
  id bigint generated always as identity (sequence name ${s}.jobs_id_seq1) constraint jobs_pkey1 primary key,
  job_queue_id integer,
  task_id integer not null,
  payload json not null default '{}'::json,
  priority smallint not null default 0,
  run_at timestamptz not null default now(),
  attempts smallint not null default 0,
  max_attempts smallint not null default 25 constraint jobs_max_attempts_check check (max_attempts >= 1),
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  key text constraint jobs_key_key1 unique,
  locked_at timestamptz,
  locked_by text,
  revision integer not null default 0,
  flags jsonb,
  is_available boolean not null generated always as (locked_at is null and attempts < max_attempts) stored,
  constraint jobs_key_check check (length(key) > 0 and length(key) <= 512)
);
create index jobs_main_index on ${s}._private_jobs (priority, run_at) include (id, task_id, job_queue_id)
  where is_available = true;
create index jobs_no_queue_index on ${s}._private_jobs (priority, run_at) include (id, task_id)
  where is_available = true and job_queue_id is null;
create table ${s}._private_known_crontabs (
  identifier text constraint known_crontabs_pkey primary key,
  known_since timestamptz not null,
  last_execution timestamptz
);
alter table ${s}._private_jobs enable row level security;
alter table ${s}._private_job_queues enable row level security;
alter table ${s}._private_tasks enable row level security;
alter table ${s}._private_known_crontabs enable row level security;
${functionsSql(s)}
${ledger < 18 ? triggerSql(s) : ""}
${ledger >= 17 ? viewSql(s) : ""}
${ledger >= 20 && maker === "rust" ? workersSql(s) : ""}`;
}

/**
 * The statement by which a worker of theirs claims jobs: it looks at the queues that are
 * free, takes the locks of those, and writes the queue and the job.
 */
export function foreignClaimSql(name: string, { worker, limit = 1 }: { worker: string; limit?: number }): string {
  const s = quoteIdentifier(name);
  const id = quoteLiteral(worker);
  return `
with chosen as (
  select job.id, job.job_queue_id from ${s}._private_jobs as job
  where job.is_available = true and job.run_at <= now()
    and (job.job_queue_id is null or job.job_queue_id in (
      select queue.id from ${s}._private_job_queues as queue where queue.is_available = true for update skip locked
    ))
  order by job.priority, job.run_at limit ${limit} for update skip locked
), marked as (
  update ${s}._private_job_queues as queue set locked_by = ${id}, locked_at = now()
  from chosen where queue.id = chosen.job_queue_id
)
update ${s}._private_jobs as job set attempts = job.attempts + 1, locked_by = ${id}, locked_at = now()
from chosen where job.id = chosen.id
returning job.id, job.job_queue_id`;
}

/** The statement by which a worker of theirs completes a job: also when another worker has it by then. */
export function foreignCompleteSql(name: string, { worker, id }: { worker: string; id: string }): string {
  const s = quoteIdentifier(name);
  return `
with gone as (delete from ${s}._private_jobs where id = ${id} returning job_queue_id)
update ${s}._private_job_queues as queue set locked_by = null, locked_at = null
from gone where queue.id = gone.job_queue_id and queue.locked_by = ${quoteLiteral(worker)}`;
}

function functionsSql(s: string): string {
  return `
create function ${s}.add_jobs(specs ${s}.job_spec[], job_key_preserve_run_at boolean default false)
returns setof ${s}._private_jobs language plpgsql as $$
begin
  insert into ${s}._private_tasks (identifier) select distinct identifier from unnest(specs) on conflict do nothing;
  insert into ${s}._private_job_queues (queue_name)
  select distinct queue_name from unnest(specs) where queue_name is not null on conflict do nothing;
  perform pg_notify('jobs:insert', json_build_object('r', random(), 'count', cardinality(specs))::text);
  return query
  insert into ${s}._private_jobs as stored (task_id, job_queue_id, payload, run_at, max_attempts, key, priority)
  select task.id, queue.id, coalesce(spec.payload, '{}'), coalesce(spec.run_at, now()),
    coalesce(spec.max_attempts, 25::smallint), spec.job_key, coalesce(spec.priority, 0::smallint)
  from unnest(specs) as spec
  join ${s}._private_tasks as task on task.identifier = spec.identifier
  left join ${s}._private_job_queues as queue on queue.queue_name = spec.queue_name
  on conflict (key) do update set payload = excluded.payload, revision = stored.revision + 1
  returning *;
end
$$;
create function ${s}.add_job(
  identifier text, payload json default null, queue_name text default null, run_at timestamptz default null,
  max_attempts integer default null, job_key text default null, priority integer default null,
  flags text[] default null, job_key_mode text default 'replace'
) returns ${s}._private_jobs language plpgsql as $$
begin
  return (select added from ${s}.add_jobs(array[(
    identifier, payload, queue_name, run_at, max_attempts::smallint, job_key, priority::smallint, flags
  )::${s}.job_spec]) as added limit 1);
end
$$;
create function ${s}.complete_jobs(job_ids bigint[]) returns setof ${s}._private_jobs language sql as $$
  delete from ${s}._private_jobs where id = any (job_ids) and locked_at is null returning *
$$;
create function ${s}.permanently_fail_jobs(job_ids bigint[], error_message text default null)
returns setof ${s}._private_jobs language sql as $$
  update ${s}._private_jobs set attempts = max_attempts, last_error = error_message
  where id = any (job_ids) and locked_at is null returning *
$$;
create function ${s}.reschedule_jobs(
  job_ids bigint[], run_at timestamptz default null, priority integer default null, attempts integer default null,
  max_attempts integer default null
) returns setof ${s}._private_jobs language sql as $$
  update ${s}._private_jobs as job set
    run_at = coalesce(reschedule_jobs.run_at, job.run_at), attempts = coalesce(reschedule_jobs.attempts, job.attempts)
  where job.id = any (job_ids) and job.locked_at is null returning *
$$;
create function ${s}.remove_job(job_key text) returns ${s}._private_jobs language plpgsql strict as $$
declare
  removed ${s}._private_jobs;
begin
  delete from ${s}._private_jobs where key = job_key and locked_at is null returning * into removed;
  return removed;
end
$$;
create function ${s}.force_unlock_workers(worker_ids text[]) returns void language sql as $$
  update ${s}._private_jobs set locked_at = null, locked_by = null where locked_by = any (worker_ids);
  update ${s}._private_job_queues set locked_at = null, locked_by = null where locked_by = any (worker_ids);
$$;`;
}

function triggerSql(s: string): string {
  return `
create function ${s}.tg_jobs__after_insert() returns trigger language plpgsql as $$
begin
  perform pg_notify('jobs:insert', '');
  return new;
end
$$;
create trigger _900_after_insert after insert on ${s}._private_jobs
for each statement execute function ${s}.tg_jobs__after_insert();`;
}

function viewSql(s: string): string {
  return `
create view ${s}.jobs as
select job.id, queue.queue_name, task.identifier as task_identifier, job.priority, job.run_at, job.attempts,
  job.max_attempts, job.last_error, job.created_at, job.updated_at, job.key, job.locked_at, job.locked_by,
  job.revision, job.flags
from ${s}._private_jobs as job
join ${s}._private_tasks as task on task.id = job.task_id
left join ${s}._private_job_queues as queue on queue.id = job.job_queue_id;`;
}

function workersSql(s: string): string {
  return `
create table ${s}._private_workers (
  id text primary key, last_heartbeat_at timestamptz not null, started_at timestamptz not null default now(),
  metadata jsonb
);
create index _private_workers_last_heartbeat_at_idx on ${s}._private_workers (last_heartbeat_at);
create function ${s}.worker_heartbeat(worker_id text, metadata json default null) returns void language sql as $$
  insert into ${s}._private_workers (id, last_heartbeat_at) values (worker_heartbeat.worker_id, now())
  on conflict (id) do update set last_heartbeat_at = now()
$$;
create function ${s}.worker_deregister(worker_id text) returns void language sql as $$
  delete from ${s}._private_workers where id = worker_deregister.worker_id
$$;
create function ${s}.list_stale_workers(stale_threshold interval) returns table (worker_id text) language sql as $$
  select id from ${s}._private_workers where last_heartbeat_at < now() - stale_threshold
$$;
create function ${s}.list_orphan_locked_workers(stale_threshold interval) returns table (worker_id text)
language sql as $$
  select distinct locked_by from ${s}._private_jobs where locked_at < now() - stale_threshold
$$;
create function ${s}.recover_dead_worker_jobs(worker_ids text[], recovery_delay interval default interval '0 seconds')
returns integer language plpgsql as $$
begin
  perform ${s}.force_unlock_workers(worker_ids);
  return 0;
end
$$;
create function ${s}.delete_stale_workers(worker_ids text[]) returns void language sql as $$
  delete from ${s}._private_workers where id = any (worker_ids)
$$;`;
}
