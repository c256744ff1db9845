-- The parts of claims, in the order in which they ask their questions, then those of
-- _howdah_claim_straight_v1 and _howdah_release_and_continue_v1. They read and set the variables of their
-- function. docs/internals/claim.md explains the algorithm; what only _howdah_claim_v2 asks,
-- because of the rules of queues, is in flow-claims.sql.

-- What does a claim know, and what has it found?
create fragment variables_of_claim(head) as $$
settled constant timestamptz := :{settled()};
claimed_at constant timestamptz := now();
started constant timestamptz := clock_timestamp();
remaining integer := quantity;
enough constant integer := least(quantity, coalesce(most_queues, quantity));
heads :"schema".:{head}[] := '{}';
spare :"schema".:{head}[] := '{}';
taken integer := 0;
seen integer[] := coalesce(held, '{}');
candidates integer[] := queue_ids;
due_position timestamptz := least(:"schema"._howdah_at(due_at), settled);
due_position_id bigint := :{settled_id(:"schema"._howdah_at(due_at), due_id)};
due_limit integer := greatest(200, 2 * enough);
due_count integer;
due_last_at timestamptz;
due_last_id bigint;
due_left boolean := false;
unlooked integer[] := '{}';
window_started timestamptz;
window_start integer := window_after;
window_end integer;
window_wrapped boolean := false;
window_closed boolean := false;
window_found boolean := false;
window_heads integer;
window_size integer := 16;
level smallint;
level_index integer := 1;
level_count constant integer := coalesce(cardinality(levels), 0);
low integer := -32769;
high integer;
floor_at timestamptz;
floor_id bigint;
rivals integer;
wanted integer;
won integer;
chain integer;
touched integer;
lost boolean := false;
$$;

-- Which of the tasks are not paused?
create fragment unpaused_tasks() as $$
-- Nearly always no task is paused, and this meets an empty table.
if exists (select from :"schema"._howdah_paused_tasks) then
  tasks := :"schema"._howdah_unpaused_v1(tasks);
end if;
$$;

-- Which job is the first of each candidate queue?
create fragment heads_of_candidates() as $$
coalesce(
  :"schema"._howdah_look_v1(
    candidates, tasks, forbidden, skip, queue_floors, queue_levels, queue_ats, queue_floor_ids
  ),
  '{}'
)
$$;

-- Which queues are looked at, and from where on?
create fragment queues_with_floors() as $$
select
  given.id,
  given.level::smallint as floor_level,
  case
    when given.us is null then '-infinity'
    else least(:"schema"._howdah_at(given.us), settled)
  end as floor_at,
  :{settled_id(:"schema"._howdah_at(given.us), given.job_id)} as floor_id
from unnest(queue_ids, floor_levels, floor_ats, floor_ids) as given(id, level, us, job_id)
$$;

-- Which priorities has the queue, from its floor on?
create fragment priorities_from_floor() as $$
-- Not looked for from the front when there is a floor: what has been
-- done may lie there in its thousands.
select coalesce(candidate.floor_level, (
  select jobs.priority from :"schema"._private_jobs as jobs
  where :{in_queue_index(jobs, queues.id)}
  order by jobs.priority limit 1
))
union all
select :{next_priority(queues.id)}
from level where level.priority is not null
$$;

-- Which jobs of the queue are due, of this priority and behind its floor?
create fragment due_from_floor() as $$
-- In an order that only the index of the queues has. Without the priority
-- in it the index of what is due has it, too, and the planner walks all
-- due jobs there when its statistics are of when one queue had them all.
where :{in_queue_index(jobs, queues.id)}
  and (jobs.priority, jobs.run_at) <= (level.priority, now())
  and (jobs.priority, jobs.run_at, jobs.id) > (
    level.priority,
    case when level.priority = candidate.floor_level then candidate.floor_at else '-infinity' end,
    case when level.priority = candidate.floor_level then candidate.floor_id else 0 end
  )
$$;

-- What are the heads of the queues that the worker named?
create fragment heads_of_named_queues(look) as $$
if cardinality(candidates) > 0 then
  :{look}
  seen := seen || candidates;
end if;
$$;

-- What are the heads of the queues in which jobs became due?
create fragment heads_of_due_queues(look) as $$
-- From the index alone. A queue in which only jobs of other tasks became due
-- is not looked at: it would be walked through from its first job. Once in any
-- case, for the queues that are named may be the same busy ones for ever; what
-- is found then is named next time.
for turn in 1..5 loop
  exit when turn > 1 and cardinality(heads) >= enough;
  :{read_due_entries()}
  due_left := false;
  exit when due_count = 0;
  due_position := due_last_at;
  due_position_id := due_last_id;
  candidates := array(select distinct fresh.id from unnest(candidates) as fresh(id) where fresh.id <> all (seen));
  if cardinality(heads) >= enough then
    unlooked := candidates;
  elsif cardinality(candidates) > 0 then
    :{look}
  end if;
  seen := seen || candidates;
  exit when due_count < due_limit;
  -- After an unsettled position the next claim would only read the same again.
  due_left := due_position <= settled;
  -- Entries that name no queue worth a look cost next to nothing: the fewer
  -- statements read them, the less.
  if cardinality(candidates) = 0 then
    due_limit := greatest(due_limit, least(4 * due_limit, 2000));
  end if;
end loop;
$$;

-- Which entries became due since the last ones that were read, and in which queues?
create fragment read_due_entries() as $$
select
  count(*), max(due.run_at), (array_agg(due.id))[count(*)::integer],
  array_agg(due.job_queue_id) filter (where due.task_id = any (tasks))
into due_count, due_last_at, due_last_id, candidates
from (
  select jobs.job_queue_id, jobs.task_id, jobs.run_at, jobs.id
  from :"schema"._private_jobs as jobs
  where :{in_due_index(jobs)}
    and jobs.run_at <= claimed_at and (jobs.run_at, jobs.id) > (due_position, due_position_id)
  order by jobs.run_at, jobs.id
  limit due_limit
) as due;
$$;

-- What are the heads of the queues that a window comes across?
create fragment heads_of_windows(look) as $$
-- Also when there is enough: jobs that no notification named take their turn, too.
if window_after is not null then
  window_started := clock_timestamp();
  window_heads := cardinality(heads);
  :{start_of_window()}
  window_end := window_start;
  -- Until there is enough, the circle is closed, or the time is used up.
  loop
    :{next_window(:{look})}
    exit when window_wrapped and window_end >= window_start;
    exit when cardinality(heads) >= enough or clock_timestamp() - window_started >= interval '5 milliseconds';
  end loop;
  if window_closed then
    window_end := window_start;
  end if;
end if;
$$;

-- From which queue does the window begin?
create fragment start_of_window() as $$
if window_after < 0 then
  select floor(random() * jobs.job_queue_id)::integer into window_start
  from :"schema"._private_jobs as jobs
  where :{in_due_index(jobs)}
  order by jobs.job_queue_id desc limit 1;
  window_start := coalesce(window_start, 0);
end if;
$$;

-- Which queues are next in the window, and which of them have a head?
create fragment next_window(look) as $$
candidates := :"schema"._howdah_queue_window_v1(window_end, window_size);
if candidates is null then
  -- Past the last id, and then past it again although the circle began
  -- above it: nothing is left between here and there.
  window_closed := window_wrapped or window_start = 0;
  window_wrapped := true;
  window_end := 0;
  exit when window_closed;
  continue;
end if;
window_end := candidates[cardinality(candidates)];
window_size := least(200, 2 * window_size);
candidates := array(select fresh.id from unnest(candidates) as fresh(id) where fresh.id <> all (seen));
if cardinality(candidates) > 0 then
  :{look}
  seen := seen || candidates;
  window_found := window_heads < enough and cardinality(heads) > window_heads;
end if;
$$;

-- Which heads come first, and which are left over?
create fragment best_heads() as $$
if cardinality(heads) > 1 then
  heads := array(select head from unnest(heads) as head order by head.priority, head.run_at, head.id);
  spare := heads[enough + 1:];
  heads := heads[1:enough];
end if;
$$;

-- Which priority is next, and from which floor on?
create fragment next_level() as $$
high := case when level_index <= level_count then levels[level_index] else 32768 end;
level := null;
if high > low + 1 then
  select jobs.priority into level
  from :"schema"._private_jobs as jobs
  where :{in_ready_index(jobs)} and jobs.priority > low and jobs.priority < high
  order by jobs.priority limit 1;
end if;
if level is not null then
  floor_at := '-infinity';
  floor_id := 0;
else
  exit when level_index > level_count;
  level := levels[level_index];
  floor_at := :"schema"._howdah_at(floor_ats[level_index]);
  floor_id := :{settled_id(floor_at, floor_ids[level_index])};
  floor_at := least(floor_at, settled);
  level_index := level_index + 1;
end if;
low := level;
$$;

-- Which heads come before all jobs of this priority?
create fragment take_better_heads() as $$
while remaining > 0 and taken < cardinality(heads) and (heads[taken + 1]).priority < level loop
  taken := taken + 1;
  remaining := remaining - 1;
end loop;
$$;

-- How many of the places go to jobs of this priority without a queue, and how many to heads?
create fragment places_of_level() as $$
rivals := 0;
while taken + rivals < cardinality(heads) and (heads[taken + rivals + 1]).priority = level loop
  rivals := rivals + 1;
end loop;
wanted := remaining;
won := 0;
if rivals > 0 then
  select count(*) filter (where not entrant.queued), count(*) filter (where entrant.queued)
  into wanted, won
  from (
    select * from (
      (
        select false as queued, jobs.run_at, jobs.id
        from :"schema"._private_jobs as jobs
        where :{claimable_of_level(jobs)}
        order by jobs.run_at, jobs.id
        limit remaining
      )
      union all
      select true, rival.run_at, rival.id from unnest(heads[taken + 1:taken + rivals]) as rival
    ) as all_entrants
    order by run_at, id
    limit remaining
  ) as entrant;
end if;
$$;

-- Is the job due, of this priority, behind its floor and claimable?
create fragment claimable_of_level(job) as $$
:{job}.priority = level and :{in_ready_index(:{job})}
and :{job}.run_at <= claimed_at and (:{job}.run_at, :{job}.id) > (floor_at, floor_id)
and :{claimable(:{job}, tasks, forbidden, skip)}
$$;

-- Is the row free of transactions whose end this snapshot does not see? Nearly
-- always they are other claims. Without this each of their rows would be tried, and
-- those that were claimed a moment ago even locked, dropped, and kept from being
-- released until this claim commits. The number of several lockers may look younger
-- than any transaction; a scan of the head takes such a row, too.
create fragment not_in_hand(job) as $$
(:{job}.xmax = '0' or (
  :{job}.xmax <> all ((select transactions from beside)::xid[])
  and (floor_at = '-infinity' or age(:{job}.xmax) > (select youngest from beside))
))
$$;

-- Which jobs of this priority without a queue are locked, and up to where was it seen?
create fragment jobs_of_level(newest) as $$
return query
with beside as materialized (
  select
    array(select pg_snapshot_xip(pg_current_snapshot())::xid) as transactions,
    age(pg_snapshot_xmax(pg_current_snapshot())::xid) as youngest
), picked as materialized (
  select jobs.id
  from :"schema"._private_jobs as jobs
  where :{claimable_of_level(jobs)} and :{not_in_hand(jobs)}
  order by jobs.run_at, jobs.id
  limit wanted
  for update skip locked
), claimed as (
  update :"schema"._private_jobs as jobs
  set :{claim_of(jobs, worker, claimed_at)}
  where jobs.id = any (array(select picked.id from picked))
  returning jobs.*
), short as materialized (
  select (select count(*) from claimed) < wanted as is_short
), newest as materialized (
  :{newest}
)
select 'job', job.id, job.task_id, null::integer, null::text,
  :{claimed_columns(job)}, null::json
from claimed as job
union all
select 'level', newest.id, null, null, null, level, :"schema"._howdah_us(newest.run_at), null, null, null, null, null
from (select) as always
left join newest on true;
$$;

-- Up to which position has this claim seen the priority?
create fragment last_seen_of_level() as $$
-- When the claim came back short, the last due entry of this priority in
-- this very snapshot. Two probes, because before PostgreSQL 18 a row
-- comparison does not end a backward scan. Otherwise the last one picked,
-- where it was seen: one that was put off a moment before it was locked
-- stands behind others now that were not looked at.
select position.run_at, position.id
from (
  (
    select 1 as probe, jobs.run_at, jobs.id
    from :"schema"._private_jobs as jobs
    where (select is_short from short) and jobs.priority = level and :{in_ready_index(jobs)}
      and jobs.run_at <= claimed_at and jobs.run_at > floor_at
    order by jobs.priority desc, jobs.run_at desc, jobs.id desc limit 1
  )
  union all
  (
    select 2, jobs.run_at, jobs.id
    from :"schema"._private_jobs as jobs
    where (select is_short from short) and jobs.priority = level and :{in_ready_index(jobs)}
      and jobs.run_at = floor_at and jobs.id > floor_id
    order by jobs.priority desc, jobs.run_at desc, jobs.id desc limit 1
  )
  union all
  select 3, floor_at, floor_id from short where is_short
  union all
  select 4, last.run_at, last.id
  from :"schema"._private_jobs as last
  where not (select is_short from short)
    and last.id = (select picked.id from picked offset greatest(wanted, 1) - 1 limit 1)
) as position
limit 1
$$;

-- Which jobs are claimed of the queues that won?
create fragment chains_of_winners(free, members) as $$
return query
with held as materialized (
  select queues.id, winner.priority, winner.run_at, winner.id as head_id
  from unnest(heads[1:taken]) as winner
  join :"schema"._private_job_queues as queues on queues.id = winner.queue_id and queues.locked_at is null
    and :{free}
  for update of queues skip locked
), members as materialized (
  :{members}
), claimed as (
  update :"schema"._private_jobs as jobs
  set :{claim_of(jobs, worker, claimed_at)}
  where jobs.id = any (array(select members.id from members))
  returning jobs.*
), marked as (
  update :"schema"._private_job_queues as queues
  set locked_by = worker, locked_at = claimed_at
  where queues.id = any (array(select distinct claimed.job_queue_id from claimed))
)
select 'job', job.id, job.task_id, queues.id, queues.queue_name,
  :{claimed_columns(job)}, null::json
from claimed as job
-- By the index: a join with what is held compares each with each.
join :"schema"._private_job_queues as queues on queues.id = job.job_queue_id;
$$;

-- Which jobs follow the head of a queue, the head included?
create fragment members_of_chains() as $$
select member.id
from held
cross join lateral (
  :{jobs_from_head(:{claimable(jobs, tasks, forbidden, skip)}, chain)}
) as member
$$;

-- Which jobs of a queue are locked from its head on, up to this number?
create fragment jobs_from_head(condition, most) as $$
with recursive level(priority) as (
  select held.priority
  union all
  select :{next_priority(held.id)}
  from level where level.priority is not null
)
select later.id
from level
cross join lateral (
  select jobs.id
  from :"schema"._private_jobs as jobs
  -- In the order of the index of the queues alone, as for a head.
  where :{in_queue_index(jobs, held.id)}
    and (jobs.priority, jobs.run_at) <= (level.priority, claimed_at)
    and (jobs.priority, jobs.run_at, jobs.id) >= (
      level.priority,
      case when level.priority = held.priority then held.run_at else '-infinity' end,
      case when level.priority = held.priority then held.head_id else 0 end
    )
    and :{condition}
  order by jobs.priority, jobs.run_at, jobs.id
  limit :{most}
  for update skip locked
) as later
limit :{most}
$$;

-- What is answered of a job, but for its ids and its queue? What most jobs have is null.
create fragment claimed_columns(job) as $$
:{common_columns(:{job})},
:"schema"._howdah_extras_v1(:{job})
$$;

-- What has every job of an answer, but for its ids and its queue?
create fragment common_columns(job) as $$
nullif(:{job}.priority, 0), :"schema"._howdah_us(:{job}.run_at),
nullif(:{job}.attempts, 1), nullif(:{job}.max_attempts, 25), :{job}.payload::text
$$;

-- What does the worker have to know for its next claim?
create fragment claim_summary(left_over, more_facts) as $$
return query
select 'summary', null::bigint, null::integer, null::integer, null::text, null::smallint, null::bigint,
  null::smallint, null::smallint, null::text, null::text,
  json_build_object(
    'claimedAt', :"schema"._howdah_us(claimed_at)::text,
    'tasksGone', level_count = 0 and (
      select count(*) < cardinality(tasks) from :"schema"._private_tasks as known where known.id = any (tasks)
    ),
    'more', taken < cardinality(heads) or cardinality(spare) > 0 or cardinality(unlooked) > 0 or lost or remaining = 0
      or due_left,
    'dueAt', :"schema"._howdah_us(due_position)::text,
    'dueId', due_position_id::text,
    'leftover', array(select (loser).queue_id from unnest(heads[taken + 1:] || spare) as loser) || :{left_over},
    'windowAfter', coalesce(window_end, window_after),
    'windowStart', window_start,
    'windowWrapped', window_wrapped,
    'windowFound', window_found,
    'micros', (extract(epoch from clock_timestamp() - started) * 1000000)::bigint,
    'windowMicros', coalesce((extract(epoch from clock_timestamp() - window_started) * 1000000)::bigint, 0):{more_facts}
  );
$$;

-- Which jobs of the first priority that is known are locked, when nothing comes before
-- them, and up to where was it seen?
create fragment pick_of_first_level() as $$
with beside as materialized (
  select
    array(select pg_snapshot_xip(pg_current_snapshot())::xid) as transactions,
    age(pg_snapshot_xmax(pg_current_snapshot())::xid) as youngest
), asked as materialized (
  select :{nothing_else_to_look_at()} as is_plain
), picked as materialized (
  select jobs.id
  from :"schema"._private_jobs as jobs
  where (select asked.is_plain from asked) and :{claimable_of_level(jobs)} and :{not_in_hand(jobs)}
  order by jobs.run_at, jobs.id
  limit quantity
  for update skip locked
), ids as materialized (
  select array(select picked.id from picked) as picked
)
select ids.picked, last.run_at, last.id
into picked_ids, seen_at, seen_id
from ids
left join :"schema"._private_jobs as last on last.id = ids.picked[cardinality(ids.picked)];
$$;

-- Is no queue worth a look, no task paused, and no priority better than the first that is known?
create fragment nothing_else_to_look_at() as $$
cardinality(queue_ids) = 0 and window_after is null
and not exists (select from :"schema"._howdah_paused_tasks)
-- Each in an order that one index has, so that no statistics lead to another one.
and (
  select due.id from :"schema"._private_jobs as due
  where :{in_due_index(due)} and due.run_at <= claimed_at and (due.run_at, due.id) > (due_position, due_position_id)
  order by due.run_at, due.id limit 1
) is null
and (
  select better.priority from :"schema"._private_jobs as better
  where :{in_ready_index(better)} and better.priority < level
  order by better.priority limit 1
) is null
$$;

-- What does the worker have to know after a claim that looked at one priority and nothing else?
create fragment answer_of_straight_claim() as $$
kind := 'level';
id := seen_id;
priority := level;
run_at := floor_ats[1];
return next;
kind := 'summary';
id := null;
priority := null;
run_at := null;
summary := json_build_object(
  'claimedAt', :"schema"._howdah_us(claimed_at)::text,
  'tasksGone', false,
  'more', true,
  'dueAt', due_at::text,
  'dueId', due_id::text,
  'leftover', '[]'::json,
  'windowAfter', null,
  'windowStart', null,
  'windowWrapped', false,
  'windowFound', false,
  'micros', (extract(epoch from clock_timestamp() - started) * 1000000)::bigint,
  'windowMicros', 0,
  'straight', true
);
return next;
$$;

-- Which job of a queue that the worker holds is locked as the next one?
create fragment next_job_of_queue() as $$
return query
with kept as (
  update :"schema"._private_job_queues as queues
  set locked_at = claimed_at
  where queues.id = queue and queues.locked_by = worker and queues.locked_at = ended_at
    and :{not_paused(queues, claimed_at)} and not exists (select from :"schema"._howdah_paused_tasks)
    and queues._howdah_rules_revision >= 0
  returning queues.id, queues.queue_name
)
update :"schema"._private_jobs as job
set :{claim_of(job, worker, claimed_at)}
from kept
where job.id = (
  select free.id
  from :"schema"._private_jobs as free
  where free.id = (
    -- The first one, also when it is locked: then only another implementation can
    -- have left it, and it may still run.
    select jobs.id
    from :"schema"._private_jobs as jobs
    where :{in_queue_index(jobs, queue)}
      and (jobs.priority, jobs.run_at) <= (level, claimed_at)
      and (jobs.priority, jobs.run_at, jobs.id) > (level, floor_at, floor_id)
      and (jobs.locked_at is not null or (:{runnable(jobs, tasks, forbidden)}))
    order by jobs.priority, jobs.run_at, jobs.id limit 1
  )
    -- Not plainly its queue, which would let the planner walk the index of that.
    and coalesce(free.job_queue_id, 0) = queue and not free._howdah_exhausted and free.run_at <= claimed_at
    -- A better job may have come to stand before it since it was seen.
    and free.priority = level
    and free.locked_at is null and :{runnable(free, tasks, forbidden)}
  for update skip locked
)
returning :"schema"._howdah_us(claimed_at), job.id, job.task_id, kept.id, kept.queue_name, :{claimed_columns(job)};
$$;
