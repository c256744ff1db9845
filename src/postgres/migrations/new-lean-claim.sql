-- Claims and releases for the case that is by far the most frequent: a backlog of
-- jobs without a queue that are completed. They do what _howdah_claim_v1 and
-- _howdah_release_v1 do, with fewer and smaller statements, and leave everything
-- else to these. docs/internals/claim.md explains when a worker uses them.

set local search_path = pg_catalog, pg_temp;

-- Deletes completed jobs and unlocks the queues whose chains end with them, if all
-- of these jobs are still held; otherwise it raises HWPRT, which undoes it. It does
-- not find out which one was lost: the worker sends the batch again, to
-- _howdah_release_v2, whose parameters of the same name these are.
--
-- A completed job that keeps nothing and has come to be awaited counts as not held.
--
-- Beside a claim: never touches a row that is not this worker's.
-- Beside a call that holds one of the rows: waits 100 ms, then fails with 55P03 and
-- has changed nothing. Jobs first, then queues, then lanes, as everywhere.
-- The row is gone, is not this worker's any more, or is kept by a trigger, rule or
-- policy: HWPRT.
-- If the answer is lost, the batch is repeated with _howdah_release_v2, which finds
-- the rows gone.
create function :"schema"._howdah_release_completed_v1(
  worker text, claim_times bigint[], completed bigint[], end_queues integer[], end_lasts bigint[], end_times bigint[],
  lane_owners integer[] default null, lanes smallint[] default null, lane_lasts bigint[] default null,
  lane_times bigint[] default null,
  kept_ids bigint[] default null, kept_results text[] default null, kept_errors text[] default null,
  kept_starts bigint[] default null
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
:{pinned_plan()}
as $$
declare
  times constant timestamptz[] := :{times_of(claim_times)};
  deleted integer;
  awaited bigint[];
  unlocked integer;
  ended_owners integer[];
  ended_lanes smallint[];
begin
  :{delete_all_completed()}
  if cardinality(end_queues) > 0 then
    :{unlock_queues_of_chains()}
    get diagnostics unlocked = row_count;
    -- A lock that was renewed has several times, of which one counts.
    if unlocked < cardinality(end_queues) and exists (
      select from :"schema"._private_jobs as jobs where jobs.id = any (end_lasts) and :{held_by(jobs, worker, times)}
    ) then
      raise exception 'A job that ends a chain is still held.' using errcode = 'HWPRT';
    end if;
  end if;
  :{unlock_all_ended_lanes()}
end
$$;

-- As _howdah_claim_v2, whose parameters and answers these are, for a worker that
-- expects all it asks for among the jobs without a queue of the best priority. It
-- looks for these first, in one statement that asks whether anything else comes
-- before them or may have to: a paused task, a queued job that became due, a better
-- priority, a queue or a window to look at. When there is none and they are enough,
-- they are the answer, and its summary says so: straight. In all other cases
-- _howdah_claim_v2 goes on from where this look has ended, which makes a claim that
-- comes back short dearer than if it had been called at once.
--
-- While tasks rest, that one does all of it.
--
-- Beside another claim, and beside a pause: as _howdah_claim_v2.
-- A job that is put off between being seen and being locked counts where it was
-- seen: a place read from the answer, or in a later statement, would lie behind
-- others that were not looked at.
create function :"schema"._howdah_claim_straight_v1(
  worker text, quantity integer, tasks integer[], forbidden text[],
  levels integer[], floor_ats bigint[], floor_ids bigint[],
  queue_ids integer[], due_at bigint, due_id bigint, window_after integer, chain_length integer,
  most_queues integer default null,
  queue_floors integer[] default null, queue_levels integer[] default null, queue_ats bigint[] default null,
  queue_floor_ids bigint[] default null, held integer[] default null, skip bigint[] default null,
  served integer[] default null, ruled integer default null, resting integer[] default null,
  gathered integer[] default null, gather_sizes integer[] default null, further integer default null,
  reserve integer default null, aging_ms bigint default null
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
  settled constant timestamptz := :{settled()};
  claimed_at constant timestamptz := now();
  started constant timestamptz := clock_timestamp();
  due_position constant timestamptz := least(:"schema"._howdah_at(due_at), settled);
  due_position_id constant bigint := :{settled_id(:"schema"._howdah_at(due_at), due_id)};
  level constant smallint := levels[1];
  known_at constant timestamptz := :"schema"._howdah_at(floor_ats[1]);
  floor_at constant timestamptz := least(known_at, settled);
  floor_id constant bigint := :{settled_id(known_at, floor_ids[1])};
  picked_ids bigint[];
  seen_at timestamptz;
  seen_id bigint;
  taken integer := 0;
begin
  if level is not null and coalesce(cardinality(resting), 0) = 0 then
    :{pick_of_first_level()}
    taken := coalesce(cardinality(picked_ids), 0);
  end if;
  if taken > 0 then
    return query
    update :"schema"._private_jobs as job
    set :{claim_of(job, worker, claimed_at)}
    where job.id = any (picked_ids)
    returning 'job', job.id, job.task_id, null::integer, null::text, :{claimed_columns(job)}, null::json;
    floor_ats[1] := :"schema"._howdah_us(seen_at);
    floor_ids[1] := seen_id;
  end if;
  if taken < quantity then
    return query
    select * from :"schema"._howdah_claim_v2(
      worker, quantity - taken, tasks, forbidden, levels, floor_ats, floor_ids, queue_ids, due_at, due_id,
      window_after, chain_length, most_queues, queue_floors, queue_levels, queue_ats, queue_floor_ids, held, skip,
      served, ruled, resting, gathered, gather_sizes, further, reserve, aging_ms
    );
  else
    :{answer_of_straight_claim()}
  end if;
end
$$;

-- Deletes completed jobs, as _howdah_release_completed_v1 does, and goes on in each
-- of the queues whose chains end with them: locks the next job for `worker`, if it
-- follows in the same priority, and is the first of its queue. Where it does not,
-- the queue is unlocked, and a claim has to look at it. For a worker that has seen
-- everything else, and whose queues stay locked in between.
--
--   end_times                  the claim times of the locks of the queues
--   floor_levels, floor_ats, floor_ids
--                              the priority, and the position in it (microseconds
--                              and job id), up to which each queue has been seen
--   kept_ids, kept_results, kept_errors, kept_starts
--                              completed jobs that are kept, as in _howdah_release_v2
--
-- Answers rows as _howdah_claim_v1 does, with the claim time (microseconds) in place
-- of the kind.
--
-- Beside a claim: the queues are this worker's until this commits, and then still,
-- or free.
-- Beside a call that holds a completed job or a queue: waits 100 ms, then fails with
-- 55P03 and has changed nothing. It waits for no job that it would claim: that one
-- is left alone, and its queue is unlocked. Jobs first, then queues, as everywhere.
-- Beside a pause: as _howdah_claim_v1. A queue that is paused is unlocked, and so is
-- one that waits to get rules.
-- A completed job is gone or not this worker's any more: HWPRT, nothing has changed.
-- A queue is not this worker's any more: it is left alone.
-- If the answer is lost, what it locked stays under `worker` until recovery.
create function :"schema"._howdah_release_and_continue_v1(
  worker text, claim_times bigint[], completed bigint[], tasks integer[], forbidden text[],
  queue_ids integer[], end_times bigint[], floor_levels integer[], floor_ats bigint[], floor_ids bigint[],
  kept_ids bigint[] default null, kept_results text[] default null, kept_errors text[] default null,
  kept_starts bigint[] default null
)
returns table (
  claimed_us bigint, id bigint, task_id integer, queue_id integer, queue_name text, priority smallint, run_at bigint,
  attempts smallint, max_attempts smallint, payload text, extras text
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
:{pinned_plan()}
set enable_sort = off
as $$
#variable_conflict use_column
declare
  settled constant timestamptz := :{settled()};
  claimed_at constant timestamptz := now();
  times constant timestamptz[] := :{times_of(claim_times)};
  deleted integer;
  awaited bigint[];
  queue integer;
  ended_at timestamptz;
  level smallint;
  known_at timestamptz;
  floor_at timestamptz;
  floor_id bigint;
begin
  :{delete_all_completed()}
  for place in 1..cardinality(queue_ids) loop
    queue := queue_ids[place];
    ended_at := :"schema"._howdah_at(end_times[place]);
    level := floor_levels[place];
    known_at := :"schema"._howdah_at(floor_ats[place]);
    floor_at := least(known_at, settled);
    floor_id := :{settled_id(known_at, floor_ids[place])};
    :{next_job_of_queue()}
    if not found then
      update :"schema"._private_job_queues as queues
      set locked_at = null, locked_by = null
      where queues.id = queue and queues.locked_by = worker and queues.locked_at in (claimed_at, ended_at);
    end if;
  end loop;
end
$$;

-- What these statements look up by number is dear to read and cheap to find. The planner
-- believes in statistics, which are from when no queue was locked, or each: then it expects
-- one row of a whole table of queues, reads all of them to find it, and compares each
-- with each that was asked for. With this price of a row it never does, however few there
-- are; and dear plans would be given to several processes.
alter function :"schema"._howdah_heads_v1 set cpu_tuple_cost = 100 set max_parallel_workers_per_gather = 0;
alter function :"schema"._howdah_claim_v1 set cpu_tuple_cost = 100 set max_parallel_workers_per_gather = 0;
alter function :"schema"._howdah_claim_straight_v1 set cpu_tuple_cost = 100 set max_parallel_workers_per_gather = 0;
alter function :"schema"._howdah_release_v1 set cpu_tuple_cost = 100 set max_parallel_workers_per_gather = 0;
alter function :"schema"._howdah_release_completed_v1 set cpu_tuple_cost = 100 set max_parallel_workers_per_gather = 0;
alter function :"schema"._howdah_release_and_continue_v1 set cpu_tuple_cost = 100 set max_parallel_workers_per_gather = 0;
