-- What handlers note of their jobs while they run: how far they are, and lines of the
-- logs of the jobs.

set local search_path = pg_catalog, pg_temp;

-- How far the handler of a job was when it said so last. Apart from the row of the job,
-- which an update would copy with its payload, and not in the write-ahead log: a server
-- that crashes loses it, and a handler that goes on says it again.
create unlogged table :"schema"._howdah_progress (
  job_id bigint not null,
  at timestamptz not null,
  -- When the job was locked by the claim whose handler said it.
  claimed_at timestamptz not null,
  value json not null,
  constraint _howdah_progress_pkey primary key (job_id)
) with (fillfactor = 50);

-- The lines that handlers have logged, where their tasks ask for that. `at` is the time
-- of the worker, by the clock of the database; `seq` tells lines of one moment apart.
create table :"schema"._howdah_job_logs (
  job_id bigint not null,
  at timestamptz not null,
  seq integer not null,
  attempt smallint not null,
  message text not null,
  fields json,
  constraint _howdah_job_logs_pkey primary key (job_id, at, seq)
);

-- How far the search has come for notes of jobs that are gone, and when it begins
-- again. The largest id: it has come to the end of that table.
create table :"schema"._howdah_notes_sweep (
  id boolean not null default true,
  progress_after bigint not null default 0,
  logs_after bigint not null default 0,
  next_at timestamptz not null default timestamptz 'epoch',
  constraint _howdah_notes_sweep_pkey primary key (id),
  constraint _howdah_notes_sweep_id_check check (id)
);
insert into :"schema"._howdah_notes_sweep default values;

-- Which of these jobs are gone, so that what is said of their progress goes as well?
create function :"schema"._howdah_gone_jobs_v1(job_ids bigint[]) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
:{index_scans()}
:{nested_loops()}
as $$
  select array(
    select given.id from unnest(job_ids) as given(id)
    where not exists (select from :"schema"._private_jobs as job where job.id = given.id)
  )
$$;

-- Of which of these jobs is nothing left, neither the job nor its history, so that the
-- lines of its log go as well?
create function :"schema"._howdah_forgotten_jobs_v1(job_ids bigint[]) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
:{index_scans()}
:{nested_loops()}
as $$
  select array(
    select gone.id from unnest(:"schema"._howdah_gone_jobs_v1(job_ids)) as gone(id)
    where not exists (select from :"schema"._howdah_history as history where history.id = gone.id)
  )
$$;

-- Writes what the handlers of one worker have noted since the last call.
--
--   job_ids, workers, claim_times, progress
--                         in parallel, how far jobs are. Fenced: only where the row is
--                         still locked by this worker at this time (microseconds). A
--                         job whose lock was renewed is given with each of its times
--   line_jobs, line_times, line_numbers, line_attempts, lines, line_fields
--                         in parallel, lines of logs. Not fenced, because the last ones
--                         come as their job ends; none of a job that is gone and not kept. A line
--                         that was written already is not written again, so the call
--                         may be repeated after a lost answer
--   full_jobs, kept_lines in parallel, jobs that may have more lines than they keep:
--                         the oldest ones go
--   done                  jobs of this worker that it has released as completed
--
-- Concurrently with a release of the same job: what is written after it was released
-- stays until the sweep finds it. Concurrently with another worker that has the job
-- now: what the later claim has noted stays. Takes no locks on jobs; rows of progress
-- are locked in the order of their ids.
create function :"schema"._howdah_note_v1(
  job_ids bigint[], workers text[], claim_times bigint[], progress text[],
  line_jobs bigint[], line_times bigint[], line_numbers integer[], line_attempts smallint[],
  lines text[], line_fields text[], full_jobs bigint[], kept_lines integer[], done bigint[]
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
as $$
declare
  gone bigint[];
begin
  if cardinality(job_ids) > 0 then
    insert into :"schema"._howdah_progress as old (job_id, at, claimed_at, value)
    select job.id, now(), job.locked_at, given.value::json
    from unnest(job_ids, workers, claim_times, progress) as given(id, worker, claimed_us, value)
    join :"schema"._private_jobs as job
      on job.id = given.id and job.locked_by = given.worker and job.locked_at = :"schema"._howdah_at(given.claimed_us)
    order by job.id
    on conflict (job_id) do update
      set at = excluded.at, claimed_at = excluded.claimed_at, value = excluded.value
      where old.claimed_at <= excluded.claimed_at;
  end if;
  if cardinality(line_jobs) > 0 then
    gone := :"schema"._howdah_forgotten_jobs_v1(array(select distinct id from unnest(line_jobs) as given(id)));
    insert into :"schema"._howdah_job_logs (job_id, at, seq, attempt, message, fields)
    select given.id, :"schema"._howdah_at(given.us), given.seq, given.attempt, given.message, given.fields::json
    from unnest(line_jobs, line_times, line_numbers, line_attempts, lines, line_fields)
      as given(id, us, seq, attempt, message, fields)
    where given.id <> all (gone)
    on conflict do nothing;
  end if;
  if cardinality(full_jobs) > 0 then
    delete from :"schema"._howdah_job_logs as line
    using unnest(full_jobs, kept_lines) as given(id, kept)
    cross join lateral (
      select first.at, first.seq from :"schema"._howdah_job_logs as first
      where first.job_id = given.id order by first.at desc, first.seq desc offset given.kept - 1 limit 1
    ) as oldest
    where line.job_id = given.id and (line.at, line.seq) < (oldest.at, oldest.seq);
  end if;
  if cardinality(done) > 0 then
    delete from :"schema"._howdah_progress as old
    where old.job_id = any (done)
      and not exists (select from :"schema"._private_jobs as job where job.id = old.job_id);
    delete from :"schema"._howdah_job_logs as line
    where line.job_id = any (:"schema"._howdah_forgotten_jobs_v1(done));
  end if;
end
$$;

-- Deletes the notes of jobs that are gone which no worker has deleted: it was killed,
-- noted nothing in the last attempt, or the job was removed by a call. Looks at some
-- rows, after those of the last call, and at none for ten minutes when it has come to
-- their end. One caller at a time does so, the others return at once.
create function :"schema"._howdah_sweep_notes_v1(page_size integer default 2000) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
as $$
declare
  last_id constant bigint := 9223372036854775807;
  sweep record;
  progress_ids bigint[];
  line_ids bigint[];
  is_over boolean;
begin
  select * into sweep from :"schema"._howdah_notes_sweep as state
  where state.next_at <= now() or state.next_at > now() + interval '1 hour'
  for update skip locked;
  if not found then
    return;
  end if;
  progress_ids := array(
    select old.job_id from :"schema"._howdah_progress as old
    where old.job_id > sweep.progress_after order by old.job_id limit page_size
  );
  line_ids := array(
    select line.job_id from :"schema"._howdah_job_logs as line
    where line.job_id > sweep.logs_after order by line.job_id limit page_size
  );
  delete from :"schema"._howdah_progress as old
  where old.job_id = any (progress_ids)
    and not exists (select from :"schema"._private_jobs as job where job.id = old.job_id);
  delete from :"schema"._howdah_job_logs as line
  where line.job_id = any (:"schema"._howdah_forgotten_jobs_v1(
    array(select distinct id from unnest(line_ids) as given(id))
  ));
  -- Each waits at its end for the other.
  is_over := cardinality(progress_ids) < page_size and cardinality(line_ids) < page_size;
  update :"schema"._howdah_notes_sweep as state
  set
    progress_after = case when is_over then 0 else coalesce(progress_ids[page_size], last_id) end,
    logs_after = case when is_over then 0 else coalesce(line_ids[page_size], last_id) end,
    next_at = case when is_over then now() + interval '10 minutes' else now() end;
end
$$;
