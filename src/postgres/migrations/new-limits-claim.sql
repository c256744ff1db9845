-- Claims where queues have rules. A claim locks gate rows, which are lanes and parts of
-- buckets, in statements that do nothing else, then looks again, with a snapshot of
-- its own, and then takes jobs: docs/internals/flow-control.md explains why.

set local search_path = pg_catalog, pg_temp;

-- The first due job of a queue, with what its rules say: null for one without.
create type :"schema"._howdah_queue_head as (
  queue_id integer, priority smallint, run_at timestamptz, id bigint,
  width smallint, pool_id integer, share smallint, opens_at timestamptz
);

-- What a claim has locked of an owner: numbers of lanes; or parts of its bucket, with
-- the time up to which each is spent, its time from token to token, and its tokens.
create type :"schema"._howdah_gate as (
  owner_id integer, numbers smallint[], ats timestamptz[], token_us bigint[], tokens integer[]
);

-- How many tokens are in a part of a bucket at this moment? Without a rate always enough.
create function :"schema"._howdah_tokens_v1(next_at timestamptz, token_us bigint, burst integer, at timestamptz) returns integer
language sql stable
return case
  when token_us is null then 1000000
  when next_at > at then 0
  else 1 + floor(
    extract(epoch from at - greatest(next_at, at - (burst - 1) * token_us * interval '1 microsecond')) * 1000000 / token_us
  )::integer
end;

-- What is rare about a job of a queue with rules: also on which lanes it runs.
create function :"schema"._howdah_lane_extras_v1(
  extras text, lane smallint, pool_id integer, pool_lane smallint, share smallint, start integer
)
returns text
language sql stable
return coalesce(left(extras, -1) || ', ', '{') || '"lane" : ' || coalesce(lane, 0)
  || coalesce(', "pool" : ' || pool_id || ', "poolLane" : ' || pool_lane, '')
  || coalesce(', "share" : ' || nullif(share, 1), '') || coalesce(', "start" : ' || start, '') || '}';

-- As _howdah_heads_v1, for queues without rules and for claims that let tasks rest: a
-- queue whose head is of one of these is left alone.
create function :"schema"._howdah_heads_v2(
  queue_ids integer[], tasks integer[], forbidden text[], skip bigint[], resting integer[],
  floor_levels integer[] default null, floor_ats bigint[] default null, floor_ids bigint[] default null
)
returns :"schema"._howdah_queue_head[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
set enable_sort = off
set cpu_tuple_cost = 100
set max_parallel_workers_per_gather = 0
as $$
declare
  settled constant timestamptz := :{settled()};
begin
  :{heads_of_queues(:{free_without_rules(queues, now())}, jobs.locked_at is not null, null::timestamptz)}
end
$$;

-- The same where there are rules: also for queues with rules that have a lane to give;
-- those of a pool in full_pools are not looked at. For one that has no token, or is
-- of a pool in dry_pools, or is parked, the answer has the moment from which on its
-- head may start.
--
-- Locked jobs are stepped over in queues that run more than one at a time.
create function :"schema"._howdah_wide_heads_v1(
  queue_ids integer[], tasks integer[], forbidden text[], skip bigint[], resting integer[],
  full_pools integer[], dry_pools integer[],
  floor_levels integer[] default null, floor_ats bigint[] default null, floor_ids bigint[] default null
)
returns :"schema"._howdah_queue_head[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
:{pinned_plan()}
set enable_sort = off
set cpu_tuple_cost = 100
set max_parallel_workers_per_gather = 0
as $$
declare
  settled constant timestamptz := :{settled()};
begin
  :{heads_of_queues(:{gives_a_place(queues)}, (jobs.locked_at is not null and coalesce(queues._howdah_width, 1) = 1), :{opens_later_at(queues)})}
end
$$;

-- As _howdah_look_v1, also at queues with rules if it is told that there are any.
create function :"schema"._howdah_look_v2(
  queue_ids integer[], tasks integer[], forbidden text[], skip bigint[],
  floor_queues integer[], floor_levels integer[], floor_ats bigint[], floor_ids bigint[],
  resting integer[], has_rules boolean, full_pools integer[], dry_pools integer[]
)
returns :"schema"._howdah_queue_head[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  known integer[];
  known_levels integer[];
  known_ats bigint[];
  known_ids bigint[];
  heads :"schema"._howdah_queue_head[];
  found integer[];
  hidden integer[];
begin
  if floor_queues is not null and queue_ids && floor_queues then
    select array_agg(place), array_agg(floor_levels[place]), array_agg(floor_ats[place]), array_agg(floor_ids[place])
    into known, known_levels, known_ats, known_ids
    from (
      select array_position(floor_queues, given.id) as place from unnest(queue_ids) as given(id) offset 0
    ) as candidate;
  end if;
  heads := case
    when has_rules then :"schema"._howdah_wide_heads_v1(
      queue_ids, tasks, forbidden, skip, resting, full_pools, dry_pools, known_levels, known_ats, known_ids
    )
    else :"schema"._howdah_heads_v2(
      queue_ids, tasks, forbidden, skip, resting, known_levels, known_ats, known_ids
    )
  end;
  if known is null or cardinality(heads) = cardinality(queue_ids) then
    return heads;
  end if;
  found := array(select head.queue_id from unnest(heads) as head);
  hidden := array(
    select given.id from unnest(queue_ids, known) as given(id, place)
    where given.place is not null and given.id <> all (found)
  );
  if cardinality(hidden) > 0 then
    heads := heads || case
      when has_rules then :"schema"._howdah_wide_heads_v1(
        hidden, tasks, forbidden, skip, resting, full_pools, dry_pools
      )
      else :"schema"._howdah_heads_v2(hidden, tasks, forbidden, skip, resting)
    end;
  end if;
  return heads;
end
$$;

-- As _howdah_claim_v1, whose parameters these are, and also from queues with rules.
--
--   served    queues with rules in the order in which the worker has served them last,
--             the earliest first: it is the turn of those that are not among them, then
--             of the first one. Turns are taken among queues with rules and
--             heads of one priority, for the places that these have by their age
--   ruled     the most jobs to take of queues with rules: for as many there are free
--             slots. Null: `quantity`. 0: they are not looked at
--   resting   tasks whose jobs are left alone for now. One that is the head of
--             a queue is waited for, and no floor rises over one; of each queue no job
--             but the head is taken meanwhile
--
-- A queue with rules gives one job, and more by its share of what is left of
-- `quantity`; not more than it has lanes and tokens for, and its pool.
--
--   gathered  tasks of which several jobs are done in one call. Where one is the head of
--             a queue, those of its task that follow it come along, up to its size in
--             gather_sizes. They start together: on one lane, with one token
--   further   how many of those that come along do not count for `quantity`
--   reserve   take that number of jobs first from the priority, behind the best one that has
--             due jobs, whose first due job has waited longest, if that is more than
--             aging_ms: jobs without a queue, and heads that this claim came across.
--             Null: take all in order
--
-- Answers as _howdah_claim_v1 does. The extras of a job of a queue with rules have its
-- lane (0: the queue has none), where its pool has lanes also pool and poolLane, its
-- share if that is not 1, and, without a lane, the start that it shares with others.
-- The summary, where there are rules, has waits: of at most a hundred queues whose head
-- waits for a token or for the end of a park, the id and that time (microseconds).
-- Queues for whose heads their pools had no room are neither left over nor more: the
-- summary has their pools and ids, a hundred at most, as crowded. Of a pool that had no
-- lane at all it is not known whether they have a head.
--
-- Beside another claim: as _howdah_claim_v1. Lanes and buckets are locked (skip locked)
-- before jobs are looked for, each once in a claim, so no two claims have one.
-- Beside a change of rules, a pause and a clean-up, which hold the row of the
-- queue and then all of its lanes and buckets: what is committed before these
-- are locked counts; otherwise the change waits for the end of the claim.
-- If the answer is lost, jobs and lanes stay under `worker` until recovery, and tokens are spent.
create function :"schema"._howdah_claim_v2(
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
set cpu_tuple_cost = 100
set max_parallel_workers_per_gather = 0
as $$
#variable_conflict use_column
declare
  :{variables_of_claim(_howdah_queue_head)}
  :{variables_of_limits()}
begin
  ruled := coalesce(ruled, quantity);
  resting := nullif(resting, '{}');
  further := coalesce(further, 0);
  :{unpaused_tasks()}

  -- 1. Candidate queues: those named, then those where jobs became due, then windows.
  :{heads_of_named_queues(:{look_with_rules()})}
  :{heads_of_due_queues(:{look_with_rules()})}
  :{heads_of_windows(:{look_with_rules()})}
  all_tasks := tasks;
  if resting is not null then
    :{due_before_resting()}
    tasks := array(select wanted_task.id from unnest(tasks) as wanted_task(id) where wanted_task.id <> all (resting));
  end if;
  if reserve > 0 then
    :{places_of_aged()}
  end if;
  if has_rules then
    ruled_heads := array(select head from unnest(heads) as head where head.width is not null);
  end if;
  if cardinality(ruled_heads) > 0 then
    :{best_heads_by_turns()}
  else
    :{best_heads()}
  end if;
  if cardinality(aged) > 0 then
    :{aged_heads_first()}
  end if;

  -- 2. Jobs without a queue, priority by priority; heads of queues take their
  --    place between them.
  while remaining > 0 loop
    :{next_level()}
    :{take_better_heads()}
    exit when remaining = 0;
    :{places_of_level()}
    if resting is null then
      :{jobs_of_level(:{last_seen_of_level()})}
      get diagnostics touched = row_count;
    else
      :{jobs_of_level(:{seen_before_resting()})}
      get diagnostics touched = row_count;
    end if;
    taken := taken + won;
    remaining := remaining - won - (touched - 1);
  end loop;

  -- 3. The queues that won: their rows first, then their jobs from the head on.
  if taken < cardinality(heads) then
    won := least(remaining, cardinality(heads) - taken);
    taken := taken + won;
    remaining := remaining - won;
  end if;
  if has_rules then
    winners := array(select head from unnest(heads[1:taken]) as head where head.width is not null);
  end if;
  won := taken - cardinality(winners);
  touched := 0;
  if won > 0 then
    chain := least(chain_length, 1 + remaining / taken);
    if gathered is null then
      :{chains_of_winners(:{free_without_rules(queues, claimed_at)}, :{members_in_order()})}
      get diagnostics touched = row_count;
    else
      call_length := 1 + (remaining + further) / taken;
      :{chains_of_winners(:{free_without_rules(queues, claimed_at)}, :{gathered_members()})}
      get diagnostics touched = row_count;
    end if;
    lost := touched < won;
  end if;

  -- 4. The queues with rules that won: their lanes and buckets, a second look, their jobs.
  if cardinality(winners) > 0 then
    touched := greatest(0, touched - won);
    remaining := remaining - greatest(0, touched - further);
    further := greatest(0, further - touched);
    remaining_before := remaining;
    :{claim_winners()}
  end if;
  if has_rules then
    :{waits_of_queues()}
    :{claim_summary(unlooked || passed, :{waits_of_summary()})}
  else
    :{claim_summary(unlooked, )}
  end if;
end
$$;
