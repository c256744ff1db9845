-- What claims ask because of the rules of queues: the parts of the looks at queues, then
-- those of _howdah_claim_v2, in the order in which it asks its questions.
-- docs/internals/flow-control.md explains how a claim of queues with rules holds.

-- What else does a claim know, and find, because of rules, resting tasks, gathered jobs and ageing?
create fragment variables_of_limits() as $$
due_from constant timestamptz := due_position;
due_from_id constant bigint := due_position_id;
resting_at timestamptz;
resting_id bigint;
has_rules boolean;
full_pools integer[] := '{}';
dry_pools integer[] := '{}';
passed integer[] := '{}';
crowded integer[] := '{}';
roomy integer[];
kept_out integer[];
ruled_heads :"schema"._howdah_queue_head[];
seen_heads :"schema"._howdah_queue_head[];
winners :"schema"._howdah_queue_head[] := '{}';
extra integer;
quotas integer[];
pool_ids integer[];
pool_rooms integer[];
owner_ids integer[];
owner_widths smallint[];
owner_wants integer[];
lanes_held :"schema"._howdah_gate[];
stripes_held :"schema"._howdah_gate[];
have_buckets boolean;
rooms integer[];
unpooled_rooms integer[];
picked_ids bigint[];
picked_places integer[];
picked_lanes smallint[];
picked_pool_lanes smallint[];
looked_at :"schema"._howdah_queue_head[];
waiting_heads :"schema"._howdah_queue_head[] := '{}';
waits json;
all_tasks integer[];
call_length integer;
picked_starts integer[];
remaining_before integer;
others :"schema"._howdah_queue_head[];
aged :"schema"._howdah_queue_head[] := '{}';
aged_ruled integer := 0;
$$;

-- Has the owner a lane to give, one that its width still allows?
create fragment free_lane(owner_id, width) as $$
(:{width} = 0 or exists (
  select from :"schema"._howdah_lanes as lanes
  where lanes.owner_id = :{owner_id} and lanes.locked_at is null and lanes.lane <= :{width}
))
$$;

-- Has the owner a token, or needs none? One without lanes and without a bucket has
-- nothing by which claims and changes could meet. The first part that has one is enough.
create fragment has_token(owner_id, width) as $$
(
  exists (
    select from :"schema"._howdah_buckets as buckets where buckets.owner_id = :{owner_id} and buckets.next_at <= now()
  )
  or :{width} > 0 and not exists (
    select from :"schema"._howdah_buckets as buckets where buckets.owner_id = :{owner_id}
  )
)
$$;

-- From when on has the owner a token? Null: it has no buckets. A time later than one
-- token away is from before the server's clock was set back.
create fragment next_token(owner_id) as $$
(
  select min(least(buckets.next_at, now() + buckets.token_us * interval '1 microsecond'))
  from :"schema"._howdah_buckets as buckets where buckets.owner_id = :{owner_id}
)
$$;

-- From when on may the queue start a job, as far as that is a question of time?
create fragment opens_at(queue) as $$
greatest(
  :{queue}._howdah_parked_until,
  :{next_token(:{queue}.id)},
  case when :{queue}._howdah_pool_id = any (dry_pools) then :{next_token(-:{queue}._howdah_pool_id)} end
)
$$;

-- Is the queue not parked at this moment?
create fragment not_parked(queue, at) as $$
(:{queue}._howdah_parked_until is null or :{queue}._howdah_parked_until <= :{at})
$$;

-- Does the queue follow rules, and may claims look at it?
create fragment has_rules(queue, at) as $$
:{queue}._howdah_width is not null and :{queue}._howdah_rules_revision >= 0 and :{not_paused(:{queue}, :{at})}
$$;

-- Does the queue run one job at a time without rules, is it free, and is it to stay so?
create fragment free_without_rules(queue, at) as $$
:{queue}.locked_at is null and :{queue}._howdah_width is null and :{queue}._howdah_rules_revision >= 0
and :{not_paused(:{queue}, :{at})}
$$;

-- What is the first due job of each of these queues, unless its task rests?
create fragment heads_of_queues(queue, ends, opens_at) as $$
return (
  select array_agg(row(
    queues.id, head.priority, head.run_at, head.id,
    queues._howdah_width, queues._howdah_pool_id, queues._howdah_share, :{opens_at}
  ):::"schema"._howdah_queue_head)
  from (
    :{queues_with_floors()}
  ) as candidate
  join :"schema"._private_job_queues as queues on queues.id = candidate.id
    and :{queue}
  cross join lateral (
    with recursive level(priority) as (
      :{priorities_from_floor()}
    )
    select first.priority, first.run_at, first.id, first.locked_at, first.task_id
    from level
    cross join lateral (
      select jobs.priority, jobs.run_at, jobs.id, jobs.locked_at, jobs.task_id
      from :"schema"._private_jobs as jobs
      :{due_from_floor()}
        and (:{ends} or (:{claimable(jobs, tasks, forbidden, skip)}))
      order by jobs.priority, jobs.run_at, jobs.id limit 1
    ) as first
    limit 1
  ) as head
  where head.locked_at is null and (resting is null or head.task_id <> all (resting))
);
$$;

-- Is the queue free, or has it a lane to give, and its pool too?
create fragment gives_a_place(queue) as $$
:{queue}._howdah_rules_revision >= 0 and :{not_paused(:{queue}, now())}
and case
  when :{queue}._howdah_width is null then :{queue}.locked_at is null
  else (:{queue}._howdah_pool_id is null or :{queue}._howdah_pool_id <> all (full_pools))
    and :{free_lane(:{queue}.id, :{queue}._howdah_width)}
end
$$;

-- From when on may the queue start its job, if that is not now?
create fragment opens_later_at(queue) as $$
case
  when :{queue}._howdah_width is not null and not (
    :{not_parked(:{queue}, now())}
    and (:{queue}._howdah_pool_id is null or :{queue}._howdah_pool_id <> all (dry_pools))
    and :{has_token(:{queue}.id, :{queue}._howdah_width)}
  ) then coalesce(:{opens_at(:{queue})}, 'infinity')
end
$$;

-- What are the heads of the candidate queues, of those with rules as well?
create fragment look_with_rules() as $$
if has_rules is null then
  has_rules := exists (select from :"schema"._howdah_rules);
  if has_rules then
    :{pools_without_room()}
  end if;
end if;
if not has_rules then
  heads := heads || coalesce(:{heads_with_rules(candidates)}, '{}');
else
  if ruled = 0 then
    passed := passed || array(
      select queues.id from :"schema"._private_job_queues as queues
      where queues.id = any (candidates) and :{has_rules(queues, claimed_at)}
    );
  end if;
  roomy := candidates;
  if cardinality(full_pools) > 0 then
    :{leave_out_crowded()}
  end if;
  looked_at := :{heads_with_rules(roomy)};
  heads := heads || array(select head from unnest(looked_at) as head where head.opens_at is null);
  waiting_heads := waiting_heads || array(select head from unnest(looked_at) as head where head.opens_at is not null);
end if;
$$;

-- Which candidates are of pools that have no lane to give?
create fragment leave_out_crowded() as $$
kept_out := array(
  select queues.id from :"schema"._private_job_queues as queues
  where queues.id = any (candidates) and queues._howdah_pool_id = any (full_pools)
);
if cardinality(kept_out) > 0 then
  roomy := array(select one.id from unnest(candidates) as one(id) where one.id <> all (kept_out));
  if cardinality(crowded) < 100 then
    crowded := crowded || kept_out;
  end if;
end if;
$$;

-- What are the heads of these queues, also of those that have to wait for a moment?
create fragment heads_with_rules(queue_ids) as $$
:"schema"._howdah_look_v2(
  :{queue_ids}, tasks, forbidden, skip, queue_floors, queue_levels, queue_ats, queue_floor_ids,
  resting, has_rules and ruled > 0, full_pools, dry_pools
)
$$;

-- Which pools have no lane to give, and which no token?
create fragment pools_without_room() as $$
if exists (select from :"schema"._howdah_pools) then
  -- Of a hundred: more of them are asked when a head is of one.
  select
    coalesce(array_agg(pool.id) filter (where not pool.has_lane), '{}'),
    coalesce(array_agg(pool.id) filter (where pool.has_lane and not pool.has_token), '{}')
  into full_pools, dry_pools
  from (
    select pools.id, :{free_lane(-pools.id, pools.width)} as has_lane,
      :{has_token(-pools.id, pools.width)} as has_token
    from :"schema"._howdah_pools as pools
    order by pools.id limit 100
  ) as pool;
end if;
$$;

-- Which heads come first, when some are of queues with rules?
create fragment best_heads_by_turns() as $$
pool_ids := array(select distinct head.pool_id from unnest(ruled_heads) as head where head.pool_id is not null);
pool_rooms := array(select :{room_of_pool(pool.id)} from unnest(pool_ids) with ordinality as pool(id, place) order by pool.place);
seen_heads := ruled_heads;
ruled_heads := array(
  :{heads_in_turn()}
);
if cardinality(pool_ids) > 0 then
  crowded := crowded || array(
    select head.queue_id from unnest(seen_heads) as head where head.pool_id is not null
    except select head.queue_id from unnest(ruled_heads) as head
  );
end if;
if cardinality(ruled_heads) > ruled then
  passed := passed || array(select (loser).queue_id from unnest(ruled_heads[ruled + 1:]) as loser);
  ruled_heads := ruled_heads[1:ruled];
end if;
heads := array(
  :{heads_in_their_places()}
);
spare := heads[enough + 1:];
heads := heads[1:enough];
$$;

-- How many jobs does the pool let start, as far as it was seen?
create fragment room_of_pool(pool_id) as $$
(
  select least(
    case
      when pools.width > 0 then (
        select count(*) from (
          select from :"schema"._howdah_lanes as lanes
          where lanes.owner_id = -pools.id and lanes.locked_at is null and lanes.lane <= pools.width
          limit quantity
        ) as free
      )
      else quantity
    end,
    (
      select sum(:"schema"._howdah_tokens_v1(buckets.next_at, buckets.token_us, buckets.burst, claimed_at))
      from :"schema"._howdah_buckets as buckets where buckets.owner_id = -pools.id
    )
  )
  from :"schema"._howdah_pools as pools where pools.id = :{pool_id}
)
$$;

-- In which order is it the turn of queues with rules, as many of a pool as it has room for?
create fragment heads_in_turn() as $$
select placed.head
from (
  select one.*, row_number() over (
    partition by one.pool_id order by one.priority, one.turn, one.run_at, one.id
  ) as place
  from (
    -- A queue that was named twice is looked at twice, and takes part once.
    select distinct on (head.queue_id)
      head, head.pool_id, head.priority, coalesce(array_position(served, head.queue_id), 0) as turn, head.run_at, head.id
    from unnest(ruled_heads) as head
    order by head.queue_id
  ) as one
) as placed
where placed.pool_id is null or placed.place <= pool_rooms[array_position(pool_ids, placed.pool_id)]
order by placed.priority, placed.turn, placed.run_at, placed.id
$$;

-- In which order are all heads? By age, except that the places of queues with rules
-- belong to those of them whose turn it is: nothing keeps others waiting longer.
create fragment heads_in_their_places() as $$
select entrant.head
from (
  select head, head.priority, head.run_at, head.id from unnest(heads) as head where head.width is null
  union all
  select ruled_heads[place.nth], place.priority, place.run_at, place.id
  from (
    select head.priority, head.run_at, head.id,
      row_number() over (order by head.priority, head.run_at, head.id) as nth
    from unnest(ruled_heads) as head
  ) as place
) as entrant
order by entrant.priority, entrant.run_at, entrant.id
$$;

-- Before which entry that became due does a task rest, so that it has to be seen again?
create fragment due_before_resting() as $$
select due.run_at, due.id into resting_at, resting_id
from :"schema"._private_jobs as due
where :{in_due_index(due)} and due.task_id = any (resting)
  and (due.run_at, due.id) > (due_from, due_from_id) and (due.run_at, due.id) <= (due_position, due_position_id)
order by due.run_at, due.id limit 1;
if found then
  due_position := resting_at;
  due_position_id := resting_id - 1;
  due_left := false;
end if;
$$;

-- Up to which position has this claim seen the priority, but for jobs that rest?
create fragment seen_before_resting() as $$
select position.run_at, position.id
from (
  with seen as materialized (
    :{last_seen_of_level()}
  )
  select seen.run_at, seen.id from seen
  union all
  (
    select resting_job.run_at, resting_job.id - 1
    from :"schema"._private_jobs as resting_job
    where resting_job.priority = level and :{in_ready_index(resting_job)} and resting_job.task_id = any (resting)
      and (resting_job.run_at, resting_job.id) > (floor_at, floor_id)
      and (resting_job.run_at, resting_job.id) <= (select seen.run_at, seen.id from seen)
    order by resting_job.run_at, resting_job.id limit 1
  )
) as position
order by position.run_at, position.id
limit 1
$$;

-- May the claim take this job? When tasks rest, it takes nothing but the head that it
-- has seen: what comes after it may rest, and is not overtaken.
create fragment claimable_in_order(job) as $$
:{claimable(:{job}, tasks, forbidden, skip)} and (resting is null or :{job}.id = held.head_id)
$$;

-- Which jobs follow the head of a queue without rules, the head included?
create fragment members_in_order() as $$
select member.id
from held
cross join lateral (
  :{jobs_from_head(:{claimable_in_order(jobs)}, chain)}
) as member
$$;

-- How many jobs may each winner take at most, by its share of what is left?
create fragment quotas_of_winners() as $$
extra := case when resting is null then greatest(0, least(remaining, ruled - cardinality(winners))) else 0 end;
if extra = 0 then
  quotas := array_fill(1, array[cardinality(winners)]);
else
  quotas := array(
    select least(
      1 + floor(extra * winner.share / sum(winner.share) over ()),
      case when winner.width > 0 then winner.width else quantity end
    )::integer
    from (
      select coalesce(one.share, 1)::bigint as share, one.width, one.place
      from unnest(winners) with ordinality
        as one(queue_id, priority, run_at, id, width, pool_id, share, opens_at, place)
    ) as winner
    order by winner.place
  );
end if;
$$;

-- Which gate rows are locked for the winners and their pools? These statements do
-- nothing else; a change of an owner holds all of its rows.
create fragment lock_gates() as $$
-- Each row is wanted by one owner here, and each owner is here once: a statement would
-- lock again, and give away again, what it has only locked.
select
  array_agg(owner.id order by owner.place), array_agg(owner.width order by owner.place),
  array_agg(owner.want order by owner.place)
into owner_ids, owner_widths, owner_wants
from (
  :{owners_of_gates()}
) as owner;
lanes_held := array(
  select row(owner.id, array(
    select lanes.lane
    from :"schema"._howdah_lanes as lanes
    where lanes.owner_id = owner.id and lanes.locked_at is null and lanes.lane <= owner.width
    order by lanes.owner_id, lanes.lane
    limit owner.want
    for update skip locked
  ), null, null, null):::"schema"._howdah_gate
  from unnest(owner_ids, owner_widths, owner_wants) as owner(id, width, want)
);
-- After the lanes, so that it sees the buckets of a rate that came before they were locked.
have_buckets := exists (
  select from :"schema"._howdah_buckets as buckets where buckets.owner_id = any (owner_ids)
);
if have_buckets then
  stripes_held := array(
    :{lock_stripes()}
  );
else
  stripes_held := '{}';
end if;
$$;

-- Of which owners does this claim need gate rows, and how many? The winners, then their pools.
create fragment owners_of_gates() as $$
select winner.queue_id as id, winner.width, winner.quota as want, winner.place
from unnest(winners, quotas) with ordinality
  as winner(queue_id, priority, run_at, id, width, pool_id, share, opens_at, quota, place)
union all
select -pool.id, coalesce(pools.width, 0::smallint), (
  select sum(winner.quota)
  from unnest(winners, quotas) as winner(queue_id, priority, run_at, id, width, pool_id, share, opens_at, quota)
  where winner.pool_id = pool.id
)::integer, cardinality(winners) + pool.place
from unnest(pool_ids) with ordinality as pool(id, place)
left join :"schema"._howdah_pools as pools on pools.id = pool.id
$$;

-- Which parts of buckets have a token, as many parts as the wish needs, and how many tokens has each?
create fragment lock_stripes() as $$
select row(owner.id, held.numbers, held.ats, held.us, held.tokens):::"schema"._howdah_gate
from unnest(owner_ids, owner_wants) as owner(id, want)
cross join lateral (
  select array_agg(part.stripe) as numbers, array_agg(part.at) as ats, array_agg(part.us) as us,
    array_agg(part.tokens) as tokens
  from (
    select buckets.stripe, buckets.token_us as us,
      greatest(
        buckets.next_at, claimed_at - (buckets.burst - 1) * buckets.token_us * interval '1 microsecond'
      ) as at,
      :"schema"._howdah_tokens_v1(buckets.next_at, buckets.token_us, buckets.burst, claimed_at) as tokens
    from :"schema"._howdah_buckets as buckets
    where buckets.owner_id = owner.id and buckets.next_at <= claimed_at
    order by buckets.owner_id, buckets.stripe
    limit (
      select coalesce(ceil(owner.want::numeric / one.burst), 1)
      from :"schema"._howdah_buckets as one where one.owner_id = owner.id order by one.stripe limit 1
    )
    for update skip locked
  ) as part
) as held
$$;

-- What may each winner take now that its gate rows are locked? Looked at anew, with a
-- snapshot of its own: what was changed before they were locked is seen here.
create fragment look_again() as $$
rooms := array(
  select coalesce(:{room_of_winner()}, 0)
  from unnest(winners, quotas) with ordinality
    as winner(queue_id, priority, run_at, id, width, pool_id, share, opens_at, quota, place)
  left join :"schema"._private_job_queues as queues on queues.id = winner.queue_id
    and :{has_rules(queues, claimed_at)}
    and :{not_parked(queues, claimed_at)}
    and queues._howdah_pool_id is not distinct from winner.pool_id
  order by winner.place
);
if cardinality(pool_ids) > 0 then
  unpooled_rooms := rooms;
  :{look_again_at_pools()}
  :{deal_out_pools()}
end if;
$$;

-- How many jobs may the winner start with the gate rows that are locked for it?
create fragment room_of_winner() as $$
case
  when queues._howdah_width = 0 then least(winner.quota, coalesce(:{tokens_held(winner.place)}, 0))
  else least(
    winner.quota,
    :{lanes_within(winner.place, queues._howdah_width)},
    case
      when not have_buckets then null
      when (stripes_held[winner.place::integer]).numbers is null and exists (
        select from :"schema"._howdah_buckets as buckets where buckets.owner_id = queues.id
      ) then 0
      else :{tokens_held(winner.place)}
    end
  )
end
$$;

-- How many of the lanes that are locked for the owner does its width still allow? They are the first ones.
create fragment lanes_within(place, width) as $$
case
  -- Nearly always: they were locked up to the width that was seen before.
  when :{width} >= owner_widths[(:{place})::integer] then cardinality((lanes_held[(:{place})::integer]).numbers)
  else (
    select count(*)::integer from unnest((lanes_held[(:{place})::integer]).numbers) as lane where lane <= :{width}
  )
end
$$;

-- How many tokens are in what is locked for the owner? Null: nothing is.
create fragment tokens_held(place) as $$
(select sum(tokens)::integer from unnest((stripes_held[(:{place})::integer]).tokens) as tokens)
$$;

-- What may start of the pools, with the gate rows that are locked for them?
create fragment look_again_at_pools() as $$
pool_rooms := array(
  select coalesce(
    case
      when pools.width = 0 then :{tokens_held(cardinality(winners) + pool.place)}
      else least(
        :{lanes_within(cardinality(winners) + pool.place, pools.width)},
        coalesce(:{tokens_held(cardinality(winners) + pool.place)}, case when pools.token_us is not null then 0 end)
      )
    end,
    0
  )
  from unnest(pool_ids) with ordinality as pool(id, place)
  left join :"schema"._howdah_pools as pools on pools.id = pool.id
  order by pool.place
);
$$;

-- How is what a pool gives dealt out among its winners? One to each, then a second one, and so on.
create fragment deal_out_pools() as $$
rooms := array(
  select count(ranked.nth) filter (where ranked.pool_id is null or ranked.rank <= pool_rooms[array_position(pool_ids, ranked.pool_id)])
  from (
    select winner.place, winner.pool_id, wish.nth,
      case
        when wish.nth is not null then row_number() over (partition by winner.pool_id order by wish.nth, winner.place)
      end as rank
    from unnest(winners, rooms) with ordinality
      as winner(queue_id, priority, run_at, id, width, pool_id, share, opens_at, room, place)
    left join lateral generate_series(1, winner.room) as wish(nth) on true
  ) as ranked
  group by ranked.place
  order by ranked.place
);
$$;

-- Which jobs do the winners take, each from its head on, and on which lanes?
create fragment pick_for_winners() as $$
select
  coalesce(array_agg(pick.id), '{}'), coalesce(array_agg(pick.place), '{}'), coalesce(array_agg(pick.start), '{}'),
  coalesce(array_agg(pick.lane), '{}'), coalesce(array_agg(pick.pool_lane), '{}')
into picked_ids, picked_places, picked_starts, picked_lanes, picked_pool_lanes
from (
  select member.id, held.place, member.nth::integer as start, (lanes_held[held.place]).numbers[member.nth::integer] as lane,
    case
      when held.pool_id is not null then (
        lanes_held[cardinality(winners) + array_position(pool_ids, held.pool_id)]
      ).numbers[(row_number() over (partition by held.pool_id order by held.place, member.nth))::integer]
    end as pool_lane
  from (
    select winner.queue_id as id, winner.priority, winner.run_at, winner.id as head_id, winner.pool_id, winner.room,
      winner.place::integer as place
    from unnest(winners, rooms) with ordinality
      as winner(queue_id, priority, run_at, id, width, pool_id, share, opens_at, room, place)
    where winner.room > 0
  ) as held
  cross join lateral (
    select one.id, row_number() over () as nth
    from (
      :{jobs_from_head(:{claimable_in_order(jobs)}, held.room)}
    ) as one
  ) as member
) as pick;
$$;

-- What is written into the jobs that were picked, and into their lanes?
create fragment take_picked() as $$
return query
with picked as materialized (
  select one.id, one.lane, one.pool_lane, (winners[one.place]).share,
    case when one.pool_lane is not null then (winners[one.place]).pool_id end as pool_id,
    case when gathered is not null and one.lane is null then one.start end as start
  from unnest(picked_ids, picked_places, picked_starts, picked_lanes, picked_pool_lanes)
    as one(id, place, start, lane, pool_lane)
), claimed as (
  update :"schema"._private_jobs as jobs
  set :{claim_of(jobs, worker, claimed_at)}
  from picked
  where jobs.id = picked.id
  returning jobs as job, picked.lane, picked.pool_id, picked.pool_lane, picked.share, picked.start
), marked as (
  update :"schema"._howdah_lanes as lanes
  set locked_by = worker, locked_at = claimed_at, job_id = hold.job_id
  from (
    -- Several jobs may be on a lane; that of their pool is found by the same one.
    select (claimed.job).job_queue_id as owner_id, claimed.lane, max((claimed.job).id) as job_id
    from claimed where claimed.lane is not null group by 1, 2
    union all
    select -claimed.pool_id, claimed.pool_lane, max((claimed.job).id)
    from claimed where claimed.pool_lane is not null group by 1, 2
  ) as hold
  where lanes.owner_id = hold.owner_id and lanes.lane = hold.lane
)
select 'job', (claimed.job).id, (claimed.job).task_id, queues.id, queues.queue_name,
  :{common_columns((claimed.job))},
  :"schema"._howdah_lane_extras_v1(
    :"schema"._howdah_extras_v1(claimed.job), claimed.lane, claimed.pool_id, claimed.pool_lane, claimed.share,
    claimed.start
  ),
  null::json
from claimed
join :"schema"._private_job_queues as queues on queues.id = (claimed.job).job_queue_id;
$$;

-- How many starts has each owner of gate rows? Jobs that are done in one call are one.
create fragment starts_of_owners() as $$
select one.place, one.starts from (
  :{starts_of_winners()}
) as one
union all
select cardinality(winners) + array_position(pool_ids, (winners[one.place]).pool_id), sum(one.starts)
from (
  :{starts_of_winners()}
) as one
where (winners[one.place]).pool_id is not null group by 1
$$;

-- How many starts has each winner?
create fragment starts_of_winners() as $$
select pick.place, max(pick.start)::bigint as starts
from unnest(picked_places, picked_starts) as pick(place, start)
group by pick.place
$$;

-- From when on has each part of a bucket its next token, after these were taken?
create fragment spend_tokens() as $$
update :"schema"._howdah_buckets as buckets
set next_at = spent.at + spent.count * spent.us * interval '1 microsecond'
from (
  select gate.owner_id, part.number, part.at, part.us, least(part.tokens, owner.starts - part.before) as count
  from (
    :{starts_of_owners()}
  ) as owner
  cross join lateral (select (stripes_held[owner.place]).*) as gate
  cross join lateral (
    select one.*, sum(one.tokens) over (order by one.number) - one.tokens as before
    from unnest(gate.numbers, gate.ats, gate.token_us, gate.tokens) as one(number, at, us, tokens)
  ) as part
  where part.us is not null and owner.starts > part.before
) as spent
where buckets.owner_id = spent.owner_id and buckets.stripe = spent.number;
$$;

-- Which queues with rules are claimed, of those that won?
create fragment claim_winners() as $$
:{quotas_of_winners()}
pool_ids := array(select distinct winner.pool_id from unnest(winners) as winner where winner.pool_id is not null);
:{lock_gates()}
:{look_again()}
if gathered is null then
  :{pick_for_winners()}
else
  :{pick_calls_for_winners()}
end if;
if cardinality(picked_ids) > 0 then
  :{take_picked()}
  if have_buckets and exists (select from unnest(stripes_held) as gate where gate.token_us[1] is not null) then
    :{spend_tokens()}
    :{waits_after_spending()}
  end if;
end if;
:{what_became_of_winners()}
$$;

-- Which winners were lost to others, and which may have more to give?
create fragment what_became_of_winners() as $$
remaining := remaining - greatest(0, cardinality(picked_ids) - cardinality(winners) - further);
if gathered is not null then
  remaining := greatest(0, least(remaining, remaining_before - (
    select sum(one.starts) - cardinality(winners) from (
      :{starts_of_winners()}
    ) as one
  )));
end if;
select
  lost or coalesce(bool_or(winner.is_lost), false),
  passed || coalesce(array_agg(winner.queue_id) filter (where winner.is_lost or winner.has_more), '{}'),
  crowded || coalesce(array_agg(winner.queue_id) filter (where winner.is_crowded), '{}')
into lost, passed, crowded
from (
  select one.queue_id,
    -- One for which its pool had no room is not lost: it has to wait.
    picked.count is null and not (one.wish > 0 and one.room = 0) as is_lost,
    picked.count >= one.quota and (one.width = 0 or picked.starts < one.width) as has_more,
    one.wish > 0 and one.room = 0 as is_crowded
  from unnest(winners, quotas, rooms, coalesce(unpooled_rooms, rooms)) with ordinality
    as one(queue_id, priority, run_at, id, width, pool_id, share, opens_at, quota, room, wish, nth)
  left join (
    select pick.place, count(*) as count, max(pick.start) as starts
    from unnest(picked_places, picked_starts) as pick(place, start) group by pick.place
  ) as picked on picked.place = one.nth
) as winner;
$$;

-- Which queues have to wait now that tokens are spent?
create fragment waits_after_spending() as $$
-- At most those of an owner of which all that was locked is spent.
owner_ids := array(
  select (stripes_held[owner.place]).owner_id
  from (
    :{starts_of_owners()}
  ) as owner
  where owner.starts >= :{tokens_held(owner.place)}
);
if cardinality(owner_ids) > 0 then
  :{pools_without_room()}
  looked_at := :"schema"._howdah_look_v2(
    array(
      select head.queue_id from unnest(seen_heads) as head
      where head.queue_id = any (owner_ids) or -head.pool_id = any (owner_ids)
    ),
    tasks, forbidden, skip, queue_floors, queue_levels, queue_ats, queue_floor_ids, resting, true, full_pools, dry_pools
  );
  waiting_heads := waiting_heads || array(select head from unnest(looked_at) as head where head.opens_at is not null);
  -- In another part of the bucket, which was not needed.
  passed := passed || array(select head.queue_id from unnest(looked_at) as head where head.opens_at is null);
end if;
$$;

-- Which queues have a due job and only have to wait for a moment that is known?
create fragment waits_of_queues() as $$
if cardinality(waiting_heads) > 0 then
  passed := array(
    select distinct one.id from unnest(passed) as one(id)
    where one.id <> all (array(select head.queue_id from unnest(waiting_heads) as head))
  );
  waits := (
    select json_agg(json_build_array(head.queue_id, :"schema"._howdah_us(head.opens_at)))
    from (
      select distinct one.queue_id, one.opens_at from unnest(waiting_heads) as one
      where one.opens_at < 'infinity'
      order by one.opens_at, one.queue_id limit 100
    ) as head
  );
  :{forget_times_of_another_clock()}
end if;
$$;

-- Which buckets have a time that the server's clock, since set back, would reach too late?
create fragment forget_times_of_another_clock() as $$
-- By the clock, not by the beginning of this claim, after which others may have taken tokens.
with late as materialized (
  select buckets.owner_id, buckets.stripe
  from unnest(waiting_heads) as head
  join :"schema"._howdah_buckets as buckets on buckets.owner_id in (head.queue_id, -head.pool_id)
    and buckets.next_at > clock_timestamp() + buckets.token_us * interval '1 microsecond'
  for update of buckets skip locked
)
update :"schema"._howdah_buckets as buckets
set next_at = clock_timestamp() + buckets.token_us * interval '1 microsecond'
where (buckets.owner_id, buckets.stripe) in (select late.owner_id, late.stripe from late);
$$;

-- What else is in the summary of a claim where there are rules?
create fragment waits_of_summary() as $$
,
    'waits', coalesce(waits, '[]'),
    'crowded', coalesce((
      select json_agg(json_build_array(queues._howdah_pool_id, queues.id))
      from :"schema"._private_job_queues as queues
      where cardinality(crowded) > 0 and queues.id = any (crowded[1:100]) and queues._howdah_pool_id is not null
    ), '[]')
$$;
