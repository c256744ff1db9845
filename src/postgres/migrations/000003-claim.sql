-- How workers claim jobs. Claims are functions so that their plans can be pinned:
-- the statistics of a queue table are always stale, and one sequential scan in a
-- claim is an outage. A function that released code calls is never changed; its
-- next form gets the next number.
-- docs/internals/claim.md explains the algorithm.

-- The first due job of a named queue.
create type :"schema"._howdah_head as (queue_id integer, priority smallint, run_at timestamptz, id bigint);

-- For each of these queues that is unlocked: its first due job that this worker
-- may run. Goes priority by priority, so that jobs of later do not have to be
-- stepped over. A queue with a locked job before its head is left alone: only
-- other implementations leave one behind, and it may still be running.
--
-- A queue with a floor (priority, microseconds and job id) is looked at from
-- there on.
create function :"schema"._howdah_heads_v1(
  queue_ids integer[], tasks integer[], forbidden text[], skip bigint[],
  floor_levels integer[] default null, floor_ats bigint[] default null, floor_ids bigint[] default null
)
returns :"schema"._howdah_head[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
set enable_sort = off
as $$
declare
  settled constant timestamptz := :{settled()};
begin
  return (
    select array_agg(row(queues.id, head.priority, head.run_at, head.id):::"schema"._howdah_head)
    from (
      :{queues_with_floors()}
    ) as candidate
    join :"schema"._private_job_queues as queues on queues.id = candidate.id and queues.locked_at is null
      and :{not_paused(queues, now())}
    cross join lateral (
      with recursive level(priority) as (
        :{priorities_from_floor()}
      )
      select first.priority, first.run_at, first.id, first.locked_at
      from level
      cross join lateral (
        select jobs.priority, jobs.run_at, jobs.id, jobs.locked_at
        from :"schema"._private_jobs as jobs
        :{due_from_floor()}
          and (
            jobs.locked_at is not null
            or (
              :{runnable(jobs, tasks, forbidden)} and :{not_skipped(jobs, skip)}
            )
          )
        order by jobs.priority, jobs.run_at, jobs.id limit 1
      ) as first
      limit 1
    ) as head
    where head.locked_at is null
  );
end
$$;

-- As above, for queues of which some have been seen up to a floor. What a floor
-- hides, such as a job of a better priority that became due, is looked for
-- before the queue counts as empty.
create function :"schema"._howdah_look_v1(
  queue_ids integer[], tasks integer[], forbidden text[], skip bigint[],
  floor_queues integer[], floor_levels integer[], floor_ats bigint[], floor_ids bigint[]
)
returns :"schema"._howdah_head[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  known integer[];
  heads :"schema"._howdah_head[];
  found integer[];
  hidden integer[];
begin
  if floor_queues is null or not queue_ids && floor_queues then
    return :"schema"._howdah_heads_v1(queue_ids, tasks, forbidden, skip);
  end if;
  known := array(select array_position(floor_queues, given.id) from unnest(queue_ids) as given(id));
  heads := :"schema"._howdah_heads_v1(
    queue_ids, tasks, forbidden, skip,
    array(select floor_levels[place] from unnest(known) as place),
    array(select floor_ats[place] from unnest(known) as place),
    array(select floor_ids[place] from unnest(known) as place)
  );
  if cardinality(heads) = cardinality(queue_ids) then
    return heads;
  end if;
  found := array(select head.queue_id from unnest(heads) as head);
  hidden := array(
    select given.id from unnest(queue_ids, known) as given(id, place)
    where given.place is not null and given.id <> all (found)
  );
  if cardinality(hidden) > 0 then
    heads := heads || :"schema"._howdah_heads_v1(hidden, tasks, forbidden, skip);
  end if;
  return heads;
end
$$;

-- The next queues with jobs after this queue id, by skip scan: one index probe
-- a queue, however many jobs it holds.
create function :"schema"._howdah_queue_window_v1(after integer, quantity integer)
returns integer[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
:{index_scans()}
:{generic_plan()}
as $$
begin
  return (
    with recursive step(queue_id) as (
      (
        select jobs.job_queue_id from :"schema"._private_jobs as jobs
        where jobs.job_queue_id > after and not jobs._howdah_exhausted
        order by jobs.job_queue_id limit 1
      )
      union all
      select (
        select jobs.job_queue_id from :"schema"._private_jobs as jobs
        where jobs.job_queue_id > step.queue_id and not jobs._howdah_exhausted
        order by jobs.job_queue_id limit 1
      )
      from step where step.queue_id is not null
    )
    select array_agg(found.queue_id)
    from (select step.queue_id from step where step.queue_id is not null limit quantity) as found
  );
end
$$;

-- Those of these tasks that are not paused at this moment. Ids without a row stay.
create function :"schema"._howdah_unpaused_v1(tasks integer[]) returns integer[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  return array(
    select wanted.id from unnest(tasks) as wanted(id)
    where not exists (
      select from :"schema"._private_tasks as task
      join :"schema"._howdah_paused_tasks as paused on paused.identifier = task.identifier
      where task.id = wanted.id and paused.paused_until > now()
    )
  );
end
$$;

-- What is rare about a job, as JSON; null for a plain one, which most are. Whatever
-- a later version has to tell of few jobs gets a key here: then the columns that
-- claims answer stay as they are. Readers leave keys alone that they do not know.
create function :"schema"._howdah_extras_v1(job :"schema"._private_jobs) returns text
language sql stable
return
  case
    when job.key is null and job.flags is null and job.last_error is null and job.revision = 0
      and job.created_at = job.run_at and job.updated_at = job.run_at and job._howdah_recoveries = 0
      and job._howdah_timeout_ms is null and job._howdah_group_id is null and job._howdah_awaited is null
      then null
    else pg_catalog.json_build_object(
      'key', job.key, 'flags', job.flags, 'lastError', job.last_error, 'revision', job.revision,
      'createdAt', :"schema"._howdah_us(job.created_at)::text,
      'updatedAt', :"schema"._howdah_us(job.updated_at)::text,
      'recoveries', job._howdah_recoveries, 'timeoutMs', job._howdah_timeout_ms,
      'groupId', job._howdah_group_id::text, 'awaited', job._howdah_awaited
    )::text
  end;

-- Locks those of these jobs for `worker` that are due, unlocked and without a
-- queue, and that it may run, and returns them. It is the claim of a worker that
-- has seen everything else, for jobs that a notification named.
--
-- Answers rows as _howdah_claim_v1 does, without the queue, and with the claim
-- time (microseconds) in place of the kind. Every column delays a worker that starts a
-- job as soon as it is added.
--
-- Beside another claim: each takes what the other has not (skip locked). A row
-- that was replaced in place is looked at again and taken if it still fits; one
-- that is gone is left out. If the answer is lost, what it locked stays under
-- `worker` until recovery.
create function :"schema"._howdah_claim_named_v1(worker text, ids bigint[], tasks integer[], forbidden text[])
returns table (
  claimed_at bigint, id bigint, task_id integer, priority smallint, run_at bigint, attempts smallint,
  max_attempts smallint, payload text, extras text
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{index_scans()}
:{generic_plan()}
as $$
#variable_conflict use_column
begin
  :{unpaused_tasks()}
  return query
  update :"schema"._private_jobs as job
  set :{claim_of(job, worker, now())}
  where job.id = any (array(
    select named.id
    from :"schema"._private_jobs as named
    -- Not "is null", which would let the planner walk the index of all jobs without a queue.
    where named.id = any (ids) and coalesce(named.job_queue_id, 0) = 0 and not named._howdah_exhausted
      and named.run_at <= now() and named.locked_at is null and :{runnable(named, tasks, forbidden)}
    for update skip locked
  ))
  returning (extract(epoch from job.locked_at) * 1000000)::bigint, job.id, job.task_id, job.priority,
    :"schema"._howdah_us(job.run_at), job.attempts, job.max_attempts, job.payload::text,
    :"schema"._howdah_extras_v1(job);
end
$$;

-- Locks up to `quantity` jobs for `worker` and returns them: jobs without a
-- queue, and of each queue its head, in one order. What is then left of
-- `quantity` goes to the queues that were taken, as chains of at most
-- `chain_length` jobs.
--
--   worker                     who claims
--   tasks, forbidden           task ids it runs; flags it leaves alone, or null
--   levels, floor_ats, floor_ids
--                              the priorities it knows among jobs without a
--                              queue, ascending, and the position up to which
--                              it has seen each: microseconds and job id
--   queue_ids                  queues to look at first
--   queue_floors, queue_levels, queue_ats, queue_floor_ids
--                              queues of which it knows up to where they have
--                              been seen: id, priority, microseconds, job id
--   due_at, due_id             the position up to which it has seen queued jobs
--                              become due
--   window_after               look through all queues from this id on, one step
--                              of it when there is enough; -1: from anywhere;
--                              null: do not
--   most_queues                take no more queues than this, so that chains
--                              become longer instead; null: `quantity`
--   held                       queues that are not worth a look unless they are
--                              among queue_ids: the worker holds them, and will
--                              name them once they are free. One that it holds no
--                              more is left to others and to its later claims
--   skip                       jobs to leave alone for now, because they could not be
--                              locked: others of their queue go first
--
-- Answers, told apart by `kind`:
--   job       a claimed job; its priority, attempts and max_attempts are null
--             for 0, 1 and 25, which most jobs have: then they need not be sent
--   level     up to here (run_at, id) priority `priority` was seen; run_at is
--             null when nothing of it was looked at
--   summary   once, last: an object with claimedAt (microseconds, the claim time
--             that fences the release), tasksGone (a task id no longer exists;
--             looked at when no level was given), more (there may be more to
--             claim right now), dueAt and dueId (the new due position), leftover
--             (queues with a due job that were not taken or not looked at),
--             windowStart and windowAfter (from where to where the window went;
--             where it started when it came round to there without meeting a
--             queue), windowWrapped (past the last queue), windowFound (there was
--             not enough without what it found), windowMicros (its cost), micros
--             (the cost of all)
--
-- Beside another claim: locks nothing that is locked (skip locked), waits for
-- no other, and does not try what it sees another one take. Queue rows are locked
-- before their jobs are looked at again, so no two claims hold one queue. A queue
-- is marked only for jobs really updated.
-- Beside a pause: what it has read of a queue or task before the pause was
-- committed counts, so jobs that are claimed at that moment are given back by
-- the worker when it learns of the pause.
-- If the answer is lost, what it locked stays under `worker` until recovery.
create function :"schema"._howdah_claim_v1(
  worker text, quantity integer, tasks integer[], forbidden text[],
  levels integer[], floor_ats bigint[], floor_ids bigint[],
  queue_ids integer[], due_at bigint, due_id bigint, window_after integer, chain_length integer,
  most_queues integer default null,
  queue_floors integer[] default null, queue_levels integer[] default null, queue_ats bigint[] default null,
  queue_floor_ids bigint[] default null, held integer[] default null, skip bigint[] default null
)
returns table (
  kind text, id bigint, task_id integer, queue_id integer, queue_name text, priority smallint, run_at bigint,
  attempts smallint, max_attempts smallint, payload text, extras text, summary json
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
set enable_sort = off
as $$
#variable_conflict use_column
declare
  :{variables_of_claim(_howdah_head)}
begin
  :{unpaused_tasks()}

  -- 1. Candidate queues: those named, then those where jobs became due, then windows.
  :{heads_of_named_queues(heads := :{heads_of_candidates()};)}
  :{heads_of_due_queues(heads := heads || :{heads_of_candidates()};)}
  :{heads_of_windows(heads := heads || :{heads_of_candidates()};)}
  :{best_heads()}

  -- 2. Jobs without a queue, priority by priority; heads of queues take their
  --    place between them.
  while remaining > 0 loop
    :{next_level()}
    :{take_better_heads()}
    exit when remaining = 0;
    :{places_of_level()}
    :{jobs_of_level(:{last_seen_of_level()})}
    get diagnostics touched = row_count;
    taken := taken + won;
    remaining := remaining - won - (touched - 1);
  end loop;

  -- 3. The queues that won: their rows first, then their jobs from the head on.
  if taken < cardinality(heads) then
    won := least(remaining, cardinality(heads) - taken);
    taken := taken + won;
    remaining := remaining - won;
  end if;
  if taken > 0 then
    chain := least(chain_length, 1 + remaining / taken);
    :{chains_of_winners(:{not_paused(queues, claimed_at)}, :{members_of_chains()})}
    get diagnostics touched = row_count;
    lost := touched < taken;
  end if;

  :{claim_summary(unlooked, )}
end
$$;

-- Which of the first `quantity` jobs that a claim would find, without a queue and
-- with one, can be locked (state is null), which cannot, and why: a trigger,
-- constraint or policy on the table refuses the change, or drops it without a word
-- (HWKPT). For a worker whose claims fail: a claim names no rows. Each row is
-- changed as a claim would change it and changed back at once; that costs a
-- subtransaction each, so no claim does so. When none can be locked the rows need
-- not be at fault: a right or the disk may be missing. Answers nothing where
-- nothing can be written at all.
--
-- Beside a claim: steps over what others have locked, and what it tries itself is
-- locked for a moment. Nothing of it stays, whether or not its answer arrives.
create function :"schema"._howdah_unclaimable_v1(
  worker text, tasks integer[], forbidden text[], skip bigint[], quantity integer
)
returns table (id bigint, state text, message text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
  candidate bigint;
  touched integer;
begin
  if current_setting('transaction_read_only')::boolean then
    return;
  end if;
  for candidate in
    (
      select jobs.id from :"schema"._private_jobs as jobs
      where :{in_ready_index(jobs)} and jobs.run_at <= now()
        and :{claimable(jobs, tasks, forbidden, skip)}
      order by jobs.priority, jobs.run_at, jobs.id limit quantity
    )
    union all
    (
      select jobs.id from :"schema"._private_jobs as jobs
      where :{in_due_index(jobs)} and jobs.run_at <= now()
        and :{claimable(jobs, tasks, forbidden, skip)}
      order by jobs.run_at, jobs.id limit quantity
    )
  loop
    begin
      perform from :"schema"._private_jobs as jobs
      where jobs.id = candidate and jobs.locked_at is null for update skip locked;
      if found then
        update :"schema"._private_jobs as jobs
        set :{claim_of(jobs, worker, now())}
        where jobs.id = candidate;
        get diagnostics touched = row_count;
        raise exception using
          errcode = case touched when 0 then 'HWKPT' else 'HWBCK' end,
          message = 'a trigger, rule or policy keeps the row as it is';
      end if;
    exception when others then
      if sqlstate = 'HWBCK' then
        return query select candidate, null::text, null::text;
      elsif sqlstate not in ('55P03', '40P01') then
        return query select candidate, sqlstate, sqlerrm;
      end if;
    end;
  end loop;
end
$$;
