-- What claims ask when calls do several jobs of a queue: the parts of _howdah_claim_v2 for
-- workers whose tasks gather jobs. One call is one start, whatever the number of its jobs.

-- How many jobs may a call do that begins with one of this task?
create fragment jobs_of_call(task_id) as $$
case when :{task_id} = any (gathered) then least(gather_sizes[array_position(gathered, :{task_id})], call_length) else 1 end
$$;

-- How many jobs may a call do that begins with this job?
create fragment jobs_of_call_from(job_id) as $$
coalesce((
  select :{jobs_of_call(head_job.task_id)} from :"schema"._private_jobs as head_job where head_job.id = :{job_id}
), 1)
$$;

-- Which jobs follow the head of a queue without rules, the head included, when those of
-- its task that come next may be done in one call?
create fragment gathered_members() as $$
select run.id
from (
  select held.*, :{jobs_of_call_from(held.head_id)} as most from held
) as held
cross join lateral (
  select listed.id, listed.nth, bool_and(
    job.task_id = (select head_job.task_id from :"schema"._private_jobs as head_job where head_job.id = held.head_id)
  ) over (order by listed.nth) as is_in_call
  from (
    :{numbered_from_head(greatest(held.most, chain))}
  ) as listed
  join :"schema"._private_jobs as job on job.id = listed.id
) as run
where (resting is null and run.nth <= chain) or (run.nth <= held.most and run.is_in_call)
$$;

-- Which jobs come from the head of a queue on, in their order, also those that rest?
create fragment numbered_from_head(most) as $$
select candidate.id, row_number() over () as nth
from (
  :{jobs_from_head(:{claimable(jobs, all_tasks, forbidden, skip)}, :{most})}
) as candidate
$$;

-- Which jobs do the winners take, when those of one call start together, and on which lanes?
create fragment pick_calls_for_winners() as $$
call_length := 1 + greatest(0, remaining + further - extra) / greatest(1, (select sum(room) from unnest(rooms) as room)::integer);
select
  coalesce(array_agg(pick.id), '{}'), coalesce(array_agg(pick.place), '{}'), coalesce(array_agg(pick.start), '{}'),
  coalesce(array_agg(pick.lane), '{}'), coalesce(array_agg(pick.pool_lane), '{}')
into picked_ids, picked_places, picked_starts, picked_lanes, picked_pool_lanes
from (
  select call.id, held.place, call.start, (lanes_held[held.place]).numbers[call.start] as lane,
    case
      when held.pool_id is not null then (
        lanes_held[cardinality(winners) + array_position(pool_ids, held.pool_id)]
      ).numbers[(dense_rank() over (partition by held.pool_id order by held.place, call.start))::integer]
    end as pool_lane
  from (
    select winner.queue_id as id, winner.priority, winner.run_at, winner.id as head_id, winner.pool_id, winner.room,
      winner.place::integer as place, :{jobs_of_call_from(winner.id)} as most
    from unnest(winners, rooms) with ordinality
      as winner(queue_id, priority, run_at, id, width, pool_id, share, opens_at, room, place)
    where winner.room > 0
  ) as held
  cross join lateral (
    :{calls_from_head()}
  ) as call
) as pick;
$$;

-- Which jobs from the head of a queue on are done in which call? One of jobs of the same
-- task that follow each other, up to its size; for another task it begins anew.
create fragment calls_from_head() as $$
select numbered.id, numbered.start
from (
  select placed.id, placed.task_id,
    (count(*) filter (where placed.place % placed.most = 0) over (order by placed.nth))::integer as start
  from (
    select one.id, one.nth, one.task_id, :{jobs_of_call(one.task_id)} as most,
      row_number() over (partition by one.run order by one.nth) - 1 as place
    from (
      select member.*, count(*) filter (where member.is_other) over (order by member.nth) as run
      from (
        select listed.id, listed.nth, job.task_id,
          job.task_id is distinct from lag(job.task_id) over (order by listed.nth) as is_other
        from (
          :{numbered_from_head(held.room * held.most)}
        ) as listed
        join :"schema"._private_jobs as job on job.id = listed.id
      ) as member
    ) as one
  ) as placed
) as numbered
where numbered.start <= held.room and (resting is null or numbered.task_id <> all (resting))
$$;
