-- What claims ask so that no priority waits for ever: the parts of _howdah_claim_v2 for
-- workers with priority ageing. Some places of a claim are taken first from a priority
-- behind the best one; all others go in order.

-- Which of the places of this claim go to jobs that have waited for long, and to which?
create fragment places_of_aged() as $$
:{priority_that_waits()}
if level is not null then
  others := heads;
  heads := array(
    :{heads_of_priority()}
  );
  floor_at := coalesce(:"schema"._howdah_at(floor_ats[array_position(levels, level::integer)]), '-infinity');
  floor_id := coalesce(:{settled_id(floor_at, floor_ids[array_position(levels, level::integer)])}, 0);
  floor_at := least(floor_at, settled);
  remaining := least(reserve, quantity);
  :{places_of_level()}
  aged := heads[1:won];
  heads := array(
    select head from unnest(others) as head
    where head.queue_id <> all (array(select one.queue_id from unnest(aged) as one))
  );
  remaining := quantity - won;
  if wanted > 0 then
    :{jobs_of_level(:{seen_before_resting()})}
    get diagnostics touched = row_count;
    remaining := remaining - (touched - 1);
    touched := 0;
  end if;
  aged_ruled := (select count(*) from unnest(aged) as head where head.width is not null);
  ruled := ruled - aged_ruled;
end if;
$$;

-- Which priority behind the best one has waited longest, and for too long?
create fragment priority_that_waits() as $$
with first as materialized (
  :{first_due_of_priorities()}
  union all
  select head.priority, head.run_at, head.id from unnest(heads) as head
)
select late.priority into level
from first as late
where late.run_at <= :{ms_before(claimed_at, aging_ms)}
  and late.priority > (select min(best.priority) from first as best)
order by late.run_at, late.id limit 1;
$$;

-- Which job without a queue is the first due one of each priority, of two hundred of them?
create fragment first_due_of_priorities() as $$
select known.priority, due.run_at, due.id
from (
  with recursive step(priority) as (
    select -32769
    union all
    -- Those that the worker knows are not looked for in the index: what has been done may lie before their floors.
    select coalesce(
      (
        select jobs.priority::integer from :"schema"._private_jobs as jobs
        where :{in_ready_index(jobs)} and jobs.priority > step.priority and jobs.priority < known_one.priority
        order by jobs.priority limit 1
      ),
      nullif(known_one.priority, 32768)
    )
    from step
    cross join lateral (
      select coalesce(min(one.priority), 32768) as priority from unnest(levels) as one(priority)
      where one.priority > step.priority
    ) as known_one
    where step.priority is not null
  )
  select step.priority::smallint as priority from step where step.priority > -32769 limit 200
) as known
cross join lateral (
  select coalesce(:"schema"._howdah_at(floor_ats[place.nth]), '-infinity') as at, coalesce(floor_ids[place.nth], 0) as id
  from (select array_position(levels, known.priority::integer) as nth) as place
) as floor
cross join lateral (
  select jobs.run_at, jobs.id
  from :"schema"._private_jobs as jobs
  where jobs.priority = known.priority and :{in_ready_index(jobs)} and jobs.run_at <= claimed_at
    and (jobs.run_at, jobs.id) > (least(floor.at, settled), :{settled_id(floor.at, floor.id)})
    and :{claimable(jobs, tasks, forbidden, skip)}
  order by jobs.run_at, jobs.id limit 1
) as due
$$;

-- Which heads of this priority may take its places, the one that waits longest first? Of
-- queues with rules as many as slots are free.
create fragment heads_of_priority() as $$
select entrant.head
from (
  select one.head, one.run_at, one.id, one.width,
    count(*) filter (where one.width is not null) over (order by one.run_at, one.id) as ruled_so_far
  from (
    -- A queue that was named twice is looked at twice.
    select distinct on (head.queue_id) head, head.run_at, head.id, head.width
    from unnest(heads) as head where head.priority = level order by head.queue_id
  ) as one
) as entrant
where entrant.width is null or entrant.ruled_so_far <= ruled
order by entrant.run_at, entrant.id
$$;

-- Which heads win because they have waited, before all others?
create fragment aged_heads_first() as $$
spare := heads[enough - cardinality(aged) + 1:] || spare;
heads := aged || heads[1:enough - cardinality(aged)];
taken := cardinality(aged);
ruled := ruled + aged_ruled;
seen_heads := coalesce(seen_heads, '{}') || array(select head from unnest(aged) as head where head.width is not null);
$$;
