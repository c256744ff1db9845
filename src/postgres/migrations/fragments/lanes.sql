-- How lanes end: with the jobs that were claimed on them, with the worker that
-- held them, or with the width of their owner. Those for releases read and set the
-- variables of their functions. A change of the shape of an owner holds all of
-- its lanes meanwhile: so a statement that begins once a lane is locked sees the
-- shape that counts.

-- Who holds the queues that have rules, at a time that never comes?
create fragment holder_of_lanes() as $$
'_howdah_lanes'
$$;

-- Which of these lanes, locked by a statement before, are free from now on, and
-- which go because their owner has fewer now?
create fragment end_lanes(owners, numbers) as $$
with ended as materialized (
  select
    given.owner_id, given.lane,
    given.lane > coalesce(
      case
        when given.owner_id > 0 then (
          select queue._howdah_width from :"schema"._private_job_queues as queue where queue.id = given.owner_id
        )
        else (select pool.width from :"schema"._howdah_pools as pool where pool.id = -given.owner_id)
      end,
      0
    ) as is_above
  from unnest(:{owners}, :{numbers}) as given(owner_id, lane)
), removed as (
  delete from :"schema"._howdah_lanes as held
  using ended
  where ended.is_above and held.owner_id = ended.owner_id and held.lane = ended.lane
)
update :"schema"._howdah_lanes as held
set :{unlocked_row()}
from ended
where not ended.is_above and held.owner_id = ended.owner_id and held.lane = ended.lane;
$$;

-- Which lanes end with this release, because the last job of their claim is not held any more?
create fragment find_ended_lanes() as $$
select array_agg(locked.owner_id), array_agg(locked.lane) into ended_owners, ended_lanes
from (
  select held.owner_id, held.lane
  from unnest(lane_owners, lanes, lane_lasts, lane_times) as lane_end(owner_id, lane, last, us)
  join :"schema"._howdah_lanes as held on held.owner_id = lane_end.owner_id and held.lane = lane_end.lane
  where held.locked_by = worker and held.locked_at = :"schema"._howdah_at(lane_end.us)
    and not exists (
      select from :"schema"._private_jobs as jobs
      where jobs.id = lane_end.last and :{held_by(jobs, worker, times)}
    )
  order by held.owner_id, held.lane
  for update of held
) as locked;
$$;

-- Which lanes are unlocked because their chain has ended, and which cannot be yet?
create fragment unlock_ended_lanes() as $$
if cardinality(lane_owners) > 0 then
  :{find_ended_lanes()}
  if ended_owners is not null then
    :{end_lanes(ended_owners, ended_lanes)}
  end if;
  if coalesce(cardinality(ended_owners), 0) < cardinality(lane_owners) then
    return query
    select jobs.id, 'busy'::text, null::bigint, null::bigint
    from :"schema"._private_jobs as jobs
    where jobs.id = any (lane_lasts) and :{held_by(jobs, worker, times)};
  end if;
end if;
$$;

-- Are all lanes unlocked whose chain has ended?
create fragment unlock_all_ended_lanes() as $$
if cardinality(lane_owners) > 0 then
  :{find_ended_lanes()}
  if ended_owners is not null then
    :{end_lanes(ended_owners, ended_lanes)}
  end if;
  if coalesce(cardinality(ended_owners), 0) < cardinality(lane_owners) and exists (
    select from :"schema"._private_jobs as jobs where jobs.id = any (lane_lasts) and :{held_by(jobs, worker, times)}
  ) then
    raise exception 'A job that ends a chain on a lane is still held.' using errcode = 'HWPRT';
  end if;
end if;
$$;

-- Which queues rest until a time, because a handler was told to wait?
create fragment park_queues() as $$
if cardinality(park_queues) > 0 then
  update :"schema"._private_job_queues as queue
  set _howdah_parked_until = greatest(queue._howdah_parked_until, :"schema"._howdah_at(park.us))
  from (
    select given.queue_id, max(given.us) as us
    from unnest(park_queues, park_untils) as given(queue_id, us)
    group by given.queue_id order by given.queue_id
  ) as park
  where queue.id = park.queue_id and queue._howdah_width is not null;
end if;
$$;

-- Which lanes do these workers hold? They are locked in their order.
create fragment lock_lanes_held(owners, numbers) as $$
select array_agg(locked.owner_id), array_agg(locked.lane) into :{owners}, :{numbers} from (
  select held.owner_id, held.lane from :"schema"._howdah_lanes as held
  where held.locked_by = any(worker_ids) order by held.owner_id, held.lane for update
) as locked;
$$;

-- Which lanes of these owners do the dead hold, of those whose jobs they do not hold any more?
create fragment lock_lanes_of_dead(condition) as $$
select array_agg(locked.owner_id), array_agg(locked.lane), array_agg(locked.locked_by)
into owners, numbers, holders
from (
  select held.owner_id, held.lane, held.locked_by
  from :"schema"._howdah_lanes as held
  where held.locked_by = any(dead)
    and (older_ms is null or held.locked_at < :{ms_ago(older_ms)})
    and not exists (
      select from :"schema"._private_jobs as jobs where jobs.id = held.job_id and jobs.locked_by = held.locked_by
    )
    and :{condition}
  order by held.owner_id, held.lane for update skip locked
) as locked;
$$;
